"""Where the authors of a network embed in another way than its library: known by Hub id, by config.json, or by its layers."""

import dataclasses
from pathlib import Path

import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same, change_json, opened, perturbed
from helpers.formats import TIMM_VIT, VIT, features_of, save_hf, save_timm
from timm.layers import SwiGLUPacked
from torch import nn

from hf_transferability import hub
from hf_transferability.checkpoints.formats import pooling_choice
from hf_transferability.checkpoints.formats.pooling_choice import PoolingChoice, choose_pooling
from hf_transferability.checkpoints.formats.reviewed import KNOWN
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.weights import stored_shapes
from hf_transferability.results import COLUMNS

SWIGLU = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}


def from_hub(folder: Path, repo_id: str, **options) -> Source:
    """A local folder that claims to be a repository of the Hub."""
    source = resolve(str(folder), **options)
    return dataclasses.replace(source, model=hub.Snapshot(repo_id, "0" * 40, source.files))


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def chosen(shapes: dict, repo_id: str | None = None, config: dict | None = None, files=(), folder=None) -> PoolingChoice:
    model = hub.Snapshot(repo_id, "0" * 40, ()) if repo_id else None
    return choose_pooling(Source("x", "0", "0", False, tuple(files), None, model), config or {}, shapes, folder)


def carded(folder: Path, text: str) -> Path:
    (folder / "README.md").write_text(text)
    return folder


@pytest.fixture(scope="module")
def virchow2():
    with torch.device("meta"):
        return timm.create_model(
            "vit_huge_patch14_224", num_classes=0, mlp_ratio=5.3375, reg_tokens=4, init_values=1e-5, **SWIGLU
        )


def test_a_copy_of_virchow_is_known_by_its_layers(virchow2):
    choice = chosen(shapes_of(virchow2))
    assert (choice.name, choice.other) == ("cls+mean", "")
    assert "Virchow" in choice.reason
    assert chosen({**shapes_of(virchow2), "head.weight": (3, 1280)}).name == "native"
    with torch.device("meta"):
        plain = timm.create_model("vit_huge_patch14_224", num_classes=0)
    assert chosen(shapes_of(plain)) == ("native", "the library's own", "")


# The names are those in its file, which the test below checks; transformers splits these weights in memory.
GIANT = {
    "embeddings.patch_embeddings.projection.weight": (1536, 3, 14, 14),
    "encoder.layer.39.mlp.weights_in.weight": (8192, 1536),
}
RETFOUND_MAE = {"patch_embed.proj.weight": (1024, 3, 16, 16), "blocks.23.mlp.fc1.weight": (4096, 1024)}
RETFOUND_DINOV2 = {
    "backbone.patch_embed.proj.weight": (1024, 3, 14, 14),
    "backbone.blocks.23.mlp.fc1.weight": (4096, 1024),
    "backbone.blocks.23.ls1.gamma": (1024,),
}


def test_layers_that_two_published_networks_have_get_a_note_that_names_both():
    for shapes, theirs, other in (
        (GIANT, "kaiko-ai/midnight (cls+mean: --pooling cls+mean)", "facebook/dinov2-giant (cls)"),
        (RETFOUND_MAE, "YukunZhou/RETFound_mae (mean: --pooling mean)", "facebook's masked autoencoder (cls)"),
        (RETFOUND_DINOV2, "YukunZhou/RETFound_dinov2 (mean: --pooling mean)", "facebook/dinov2-large (cls)"),
    ):
        choice = chosen(shapes, "someone/a-copy")
        assert choice.name == "native"
        assert theirs in choice.other and other in choice.other
    uni = {**RETFOUND_MAE, "blocks.23.ls1.gamma": (1024,)}
    assert chosen(uni) == chosen({**RETFOUND_MAE, "head.weight": (5, 1024)}) == ("native", "the library's own", "")


def test_card_files_configuration_and_hub_id_tell_such_networks_apart(tmp_path):
    assert chosen(GIANT, "facebook/dinov2-giant") == ("native", "the library's own", "")
    assert chosen(GIANT, "kaiko-ai/midnight").name == "cls+mean"
    assert chosen(GIANT, config={"_name_or_path": "kaiko-ai/midnight"}).name == "cls+mean"
    assert chosen(GIANT, config={"_name_or_path": "facebook/dinov2-giant"}).other == ""
    readme = {"files": ["README.md"], "folder": tmp_path}
    carded(tmp_path, "---\nbase_model: kaiko-ai/midnight\n---\n")
    assert chosen(GIANT, **readme)[:2] == ("cls+mean", "as the authors of kaiko-ai/midnight, which its card or files name")
    assert chosen(GIANT, folder=tmp_path).other  # a card that is not among its files
    carded(tmp_path, "model = AutoModel.from_pretrained('facebook/dinov2-giant')")
    assert chosen(GIANT, **readme) == ("native", "the library's own", "")
    carded(tmp_path, "facebook/dinov2-giant, trained as https://huggingface.co/kaiko-ai/midnight")
    assert "midnight" in chosen(GIANT, **readme).other  # both
    assert chosen(RETFOUND_MAE, files=["RETFound_mae_natureCFP.pth"]).name == "mean"
    assert chosen(RETFOUND_DINOV2, "someone/RETFound_dinov2_meh", files=["model.safetensors"]).name == "mean"
    assert chosen(RETFOUND_MAE, config={"pretrained_cfg": {"hf_hub_id": "timm/vit_large_patch16_224.mae"}}).other == ""


def test_a_card_that_may_decide_the_pooling_is_part_of_the_cache_key(tmp_path):
    save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    plain = resolve(str(tmp_path / "x")).key
    carded(tmp_path / "x", "A network.")
    assert resolve(str(tmp_path / "x")).key == plain
    carded(tmp_path / "x", "A copy of kaiko-ai/midnight.")
    assert resolve(str(tmp_path / "x")).key != plain


def test_names_of_stored_swiglu_weights(tmp_path):
    save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=4, use_swiglu_ffn=True)))
    shapes = stored_shapes(tmp_path / "x", ["model.safetensors"])
    assert shapes["encoder.layer.1.mlp.weights_in.weight"] == (2 * 176, 64)  # 1536 -> 2 * 4096 by the same rule
    assert "embeddings.patch_embeddings.projection.weight" in shapes


def test_a_copy_whose_configuration_names_its_origin_is_embedded_as_its_authors_do(tmp_path):
    network = save_timm(tmp_path / "x", "vit_tiny_patch16_224", **TIMM_VIT, reg_tokens=2, n_classes=0)
    change_json(tmp_path / "x", pretrained_cfg={"input_size": [3, 32, 32], "hf_hub_id": "paige-ai/Virchow2"})
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        tokens = network.forward_features(pixels)
    assert_same(features, torch.cat([tokens[:, 0], tokens[:, 3:].mean(dim=1)], dim=1))
    assert checkpoint.facts["pooling"] == "cls+mean"
    assert checkpoint.facts["pooling_reason"] == "as the authors of paige-ai/Virchow2, which config.json names"
    assert "pooling_reason" in COLUMNS


def test_the_row_of_a_network_that_others_embed_differently_says_so(tmp_path, monkeypatch):
    family = pooling_choice.FAMILIES[1]._replace(shapes={"patch_embeddings.projection.weight": (64, 3, 8, 8)})
    monkeypatch.setattr(pooling_choice, "FAMILIES", (family,))
    save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    flag = opened(tmp_path / "x").flags["other_embedding"]
    assert flag == (
        "cls taken; its layers are those of kaiko-ai/midnight (cls+mean: --pooling cls+mean) and of facebook/dinov2-giant (cls)"
    )
    asked = opened(tmp_path / "x", pooling="cls")
    assert "other_embedding" not in asked.flags
    assert asked.facts["pooling_reason"] == "asked for"


def test_native_is_the_librarys_own_pooling_even_of_known_repositories(tmp_path):
    network = save_timm(tmp_path / "timm", "vit_tiny_patch16_224", TIMM_VIT, **TIMM_VIT, **SWIGLU, n_classes=0)
    checkpoint = load(from_hub(tmp_path / "timm", "paige-ai/Virchow", pooling="native"))
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        assert_same(features, network(pixels))
    network = save_hf(tmp_path / "hf", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    checkpoint = load(from_hub(tmp_path / "hf", "kaiko-ai/midnight", pooling="native"))
    assert checkpoint.facts["pooling"] == "cls"
    assert load(from_hub(tmp_path / "hf", "kaiko-ai/midnight")).facts["pooling"] == "cls+mean"
    assert resolve(str(tmp_path / "hf"), pooling="native").key != resolve(str(tmp_path / "hf")).key


def retfound(kind: str) -> tuple[nn.Module, dict]:
    """A network in miniature, and the content of a file as RETFound's authors publish it."""
    network = perturbed(timm.create_model("test_vit", num_classes=0))
    weights = network.state_dict()
    if kind == "mae":
        decoder = {"mask_token": torch.zeros(1, 1, 8), "decoder_embed.weight": torch.zeros(8, 8)}
        return network, {"model": {**weights, **decoder}, "epoch": 799}
    heads = {"dino_head.mlp.0.weight": torch.zeros(8, 8), "ibot_head.last_layer.weight_g": torch.zeros(8, 1)}
    backbone = {f"backbone.{name}": value for name, value in weights.items()}
    return network, {"teacher": {**backbone, **heads, "backbone.mask_token": torch.zeros(1, 64)}}


@pytest.mark.parametrize("kind", ["mae", "dinov2"])
def test_retfound_files_are_read_and_their_patches_averaged(tmp_path, kind):
    network, content = retfound(kind)
    torch.save(content, tmp_path / "RETFound.pth")
    options = {"allow_pickle": True, "architecture": "timm:test_vit"}
    checkpoint = load(from_hub(tmp_path, f"YukunZhou/RETFound_{kind}_meh", **options))
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        assert_same(features, network.forward_features(pixels)[:, 1:].mean(dim=1))
    assert checkpoint.facts["pooling_reason"] == f"as the authors of YukunZhou/RETFound_{kind}_meh"


@pytest.mark.parametrize("data", ["mae_natureCFP", "mae_natureOCT", "mae_meh", "dinov2_meh", "dinov2_shanghai"])
def test_retfound_needs_no_architecture(data, monkeypatch):
    repo_id = f"YukunZhou/RETFound_{data}"
    files = (f"RETFound_{data}.pth", "README.md")
    monkeypatch.setattr(hub, "resolve_model", lambda *given: hub.Snapshot(repo_id, "0" * 40, files))
    source = resolve(repo_id, allow_pickle=True)
    assert source.layout == "plain" and source.weights == [files[0]]
    architecture = str(source.options.architecture).removeprefix("timm:")
    assert timm.get_pretrained_cfg(architecture).mean[0] == pytest.approx(0.485)
    assert architecture.startswith("vit_large_patch16" if "mae" in data else "vit_large_patch14_dinov2")


def test_every_entry_of_the_table_says_where_it_was_read():
    assert {known.read for known in KNOWN.values()} == {"card", "code", "copies"}
    assert all(repo_id == repo_id.lower() for repo_id in KNOWN)
    activations = {repo_id for repo_id, known in KNOWN.items() if "act_layer" in known.arguments}  # no weight shows them
    assert activations == {"mahmoodlab/uni2-h", "paige-ai/virchow", "paige-ai/virchow2", "bioptimus/h0-mini"}
