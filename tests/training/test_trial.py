"""Networks are fine-tuned at their own size, or at another one that every one of them takes."""

import json

import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import perturbed
from helpers.format_cases import HIERA
from helpers.formats import DECODER, SIZE
from helpers.grids import SMALL_GRID
from timm.models import save_for_hf

from hf_transferability import UsageError
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.errors import ImageSizeError
from hf_transferability.training import finetuning
from hf_transferability.training.grids import run_grid
from hf_transferability.training.settings import Protocol

pytestmark = pytest.mark.usefixtures("one_thread")
BODY = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
OWN = {"protocol": Protocol(epochs=1, train_per_class=8, validation_per_class=4), "seeds": 1}
AT_32 = {"protocol": Protocol(image_size=32, epochs=1, train_per_class=8, validation_per_class=4), "seeds": 1}


def save(folder, network, size, processor=None):
    perturbed(network).save_pretrained(folder)
    (processor or hf.ViTImageProcessor(size={"height": size, "width": size})).save_pretrained(folder)
    return folder


def swin():
    stages = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2]}
    return hf.Swinv2ForImageClassification(hf.Swinv2Config(image_size=64, patch_size=4, window_size=8, num_labels=3, **stages))


def half_precision(dtype=torch.bfloat16):
    config = hf.ViTConfig(**BODY, image_size=48, patch_size=16, num_labels=3)
    return hf.ViTForImageClassification(config).to(dtype)


def masked():
    return hf.ViTMAEForPreTraining(hf.ViTMAEConfig(**BODY, **DECODER, image_size=32, patch_size=16))


def sam():
    config = {**BODY, "mlp_dim": 16, "output_channels": 12, "num_pos_feats": 6, "image_size": 64, "patch_size": 16}
    return hf.SamVisionModel(hf.SamVisionConfig(**config, window_size=2, global_attn_indexes=[0]))


def save_naflex(folder):
    network = hf.Siglip2VisionModel(hf.Siglip2VisionConfig(**BODY, patch_size=8, num_patches=16))
    return save(folder, network, 0, hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=16))


def save_timm(folder, architecture, size, **arguments):
    network = perturbed(timm.create_model(architecture, num_classes=3, **arguments))
    network.pretrained_cfg |= {"input_size": (3, size, size), "crop_pct": 1.0}
    save_for_hf(network, str(folder), model_config={"num_classes": 3}, model_args=arguments, safe_serialization=True)
    return folder


EVA = {"img_size": 28, "patch_size": 14, "embed_dim": 24, "depth": 1, "num_heads": 3}


@pytest.fixture
def networks(tmp_path):
    return {
        "swin": save(tmp_path / "swin", swin(), 64),
        "bfloat16": save(tmp_path / "bfloat16", half_precision(), 48),
        "mae": save(tmp_path / "mae", masked(), 32),
        "naflex": save_naflex(tmp_path / "naflex"),
        "eva02": save_timm(tmp_path / "eva02", "eva02_tiny_patch14_224", 28, **EVA),
    }


def test_each_network_is_trained_at_its_own_size(target, networks, grid, tmp_path):
    at_40 = {**BODY, "patch_size": 8, "image_size": 40}
    networks["siglip"] = save(tmp_path / "siglip", hf.SiglipVisionModel(hf.SiglipVisionConfig(**at_40)), 40)
    networks["dinov2"] = save(tmp_path / "dinov2", hf.Dinov2Model(hf.Dinov2Config(**at_40, mlp_ratio=2)), 40)
    networks["hiera"] = save(tmp_path / "hiera", hf.HieraForImageClassification(hf.HieraConfig(**HIERA, num_labels=3)), SIZE)
    runs = run_grid(target, networks, tmp_path / "out", grid=grid(0.01), **OWN).set_index("source")
    assert set(runs["status"]) == {"ok"}, runs["note"].tolist()
    assert runs["image_size"].to_dict() == {
        "swin": "64", "bfloat16": "48", "mae": "32", "naflex": "32", "eva02": "28", "siglip": "40", "dinov2": "40",
        "hiera": str(SIZE),
    }  # fmt: skip
    assert runs["normalisation"]["swin"] == "mean 0.5, 0.5, 0.5; std 0.5, 0.5, 0.5"
    assert set(runs["dtype"]) == {"float32"} and runs["preprocessing"]["mae"].startswith("32 px, random views")
    protocol = json.loads((tmp_path / "out" / target.name / "protocol.json").read_text())
    assert protocol["image_size"] == protocol["normalisation"] == "each network's own" and protocol["dtype"] == "float32"
    accounts = json.loads((tmp_path / "out" / target.name / "account.json").read_text())
    assert set(accounts) >= {"train", "test"} and all("left out: nothing" in account["line"] for account in accounts.values())


def test_half_precision_is_trained_in_float32(networks):
    model = finetuning.Classifier(load(resolve(str(networks["bfloat16"]))), 3, 0.0)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_and_momentum_of_half_precision_are_float32(target, grid, tmp_path, monkeypatch, dtype):
    optimizers = []

    class Seen(torch.optim.SGD):
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            optimizers.append(self)

    monkeypatch.setattr(torch.optim, "SGD", Seen)
    folder = save(tmp_path / "half", half_precision(dtype), 48)
    runs = run_grid(target, [folder], tmp_path / "out", grid=grid(0.01), **OWN)
    assert runs["status"].tolist() == ["ok"]
    (optimizer,) = optimizers
    weights = optimizer.param_groups[0]["params"]
    momenta = [state["momentum_buffer"] for state in optimizer.state.values()]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    assert len(momenta) == len(gradients) > 10
    assert {tensor.dtype for tensor in (*weights, *gradients, *momenta)} == {torch.float32}


def test_one_size_for_all_is_interpolated(target, networks, grid, tmp_path):
    del networks["swin"], networks["eva02"]
    runs = run_grid(target, networks, tmp_path / "out", grid=grid(0.01), **AT_32)
    assert set(runs["status"]) == {"ok"} and set(runs["image_size"]) == {"32"}
    vit = load(resolve(str(networks["bfloat16"]), image_size=32))
    pixels = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = vit.network(pixels, interpolate_pos_encoding=True, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(vit.forward(pixels)[0], vit.network.vit.layernorm(expected)[:, 0], rtol=1e-3, atol=1e-4)


def test_networks_that_do_not_take_the_size_are_named_before_any_run(target, networks, grid, tmp_path, instant_runs):
    networks["sam"] = save(tmp_path / "sam", sam(), 64)
    del networks["eva02"]
    with pytest.raises(UsageError, match=r"`image_size` must suit .*; 32 does not: sam cannot .*Leave out"):
        run_grid(target, networks, tmp_path / "out", grid=grid(0.01), **AT_32)
    assert not instant_runs and not list((tmp_path / "out").rglob("*.json"))
    with pytest.raises(ImageSizeError, match=r"cannot take images of 32 x 32 pixels: .*Leave out --image-size"):
        load(resolve(str(networks["sam"]), image_size=32))


def test_what_cannot_be_loaded_is_named_at_once_before_any_run(target, networks, grid, tmp_path, instant_runs):
    grey = hf.ViTForImageClassification(hf.ViTConfig(**BODY, image_size=32, patch_size=16, num_channels=1, num_labels=3))
    networks["grey"] = save(tmp_path / "grey", grey, 32)
    networks["old"] = save_timm(tmp_path / "old", "test_resnet", 32)
    (networks["old"] / "config.json").write_text(json.dumps({"num_classes": 3, "input_size": [3, 32, 32]}))
    (networks["mae"] / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"`checkpoints` must be .*Leave them out") as caught:
        run_grid(target, networks, tmp_path / "out", grid=grid(0.01), **OWN)
    for text in ("version for RGB images", "pass --architecture timm:NAME", "mae has no model.safetensors"):
        assert text in str(caught.value)
    assert "swin" not in str(caught.value) and str(tmp_path) not in str(caught.value)
    assert not instant_runs and not list((tmp_path / "out").rglob("*.json"))


@pytest.mark.parametrize("family", ["timm", "transformers"])
def test_a_size_whose_border_no_patch_covers_is_refused(tmp_path, networks, family):
    folder = networks["eva02"]
    if family == "transformers":
        config = hf.Dinov2Config(**BODY, mlp_ratio=2, image_size=28, patch_size=14)
        folder = save(tmp_path / "dinov2", hf.Dinov2Model(config), 28)
    with pytest.raises(ImageSizeError, match=r"32 x 32 pixels: .* multiple of its patch size of 14, such as 28 or 42\. Leave"):
        load(resolve(str(folder), image_size=32))
    assert load(resolve(str(folder), image_size=42)).image_size == (42, 42)


def test_windows_of_a_fixed_size_are_named_in_plain_words(tmp_path):
    config = hf.SwinConfig(
        image_size=64, patch_size=4, window_size=8, num_labels=3, embed_dim=8, depths=[1, 1], num_heads=[1, 2]
    )
    folder = save(tmp_path / "swin", hf.SwinForImageClassification(config), 64)
    with pytest.raises(ImageSizeError, match=r"32 x 32 pixels: its windows or positions have a fixed size\. Leave"):
        load(resolve(str(folder), image_size=32))


def test_a_network_that_pads_its_border_takes_any_size(networks):
    assert load(resolve(str(networks["swin"]), image_size=66)).image_size == (66, 66)


def test_a_folder_of_the_old_default_size_is_refused(target, checkpoint, grid, tmp_path, instant_runs):
    run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)
    file = tmp_path / target.name / "protocol.json"
    stored = json.loads(file.read_text())
    old = {name: value for name, value in stored.items() if name not in ("normalisation", "dtype")}
    file.write_text(json.dumps(old | {"image_size": 224, "epochs": 1, "patience": 50}))
    with pytest.raises(UsageError, match="image_size 224 there, each network's own now"):
        run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **OWN)
    file.write_text(json.dumps(old))
    run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)


def test_patches_equal_those_of_the_processor(networks):
    checkpoint = load(resolve(str(networks["naflex"])))
    image = torch.randint(256, (1, 3, *checkpoint.image_size), dtype=torch.uint8)
    seen = checkpoint.preprocess([image[0].permute(1, 2, 0).numpy()])
    model = finetuning.Classifier(checkpoint, 3, 0.0).eval()
    torch.testing.assert_close(model(image), model.head(checkpoint.forward(seen)[0]), rtol=1e-3, atol=1e-4)
