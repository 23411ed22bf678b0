"""Head, features and gradient layers of tiny random networks of every family, found by a trace; nothing is downloaded."""

import dataclasses

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same
from helpers.families import (
    FAMILIES,
    HEADLESS,
    N_LABELS,
    SIZE,
    TIMM,
    TINY_VIT,
    VIT,
)
from PIL import Image
from timm.models import save_for_hf
from torch import nn

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.checkpoints.tracing import GradientLayer, find_head, gradient_layers, pooled, trace


def images(n: int, seed: int = 0) -> list[np.ndarray]:
    """Images of different sizes, as real ones are."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (40 + 3 * i, 50 - 2 * i, 3), dtype=np.uint8) for i in range(n)]


@pytest.fixture(scope="module")
def family(make_checkpoint, tmp_path_factory):
    """A loaded checkpoint of a family of transformers; each is made once."""
    made: dict[str, Checkpoint] = {}

    def get(name: str) -> Checkpoint:
        if name not in made:
            config, model_class, *_ = FAMILIES[name]
            if model_class in {"CLIPModel", "SiglipModel"}:  # needs texts to run, so it is saved as it is
                folder = tmp_path_factory.mktemp("two-towers")
                with torch.random.fork_rng():
                    torch.manual_seed(0)
                    getattr(hf, model_class)(config()).save_pretrained(folder)
                hf.ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
            else:
                folder = make_checkpoint(config(), size=SIZE, model_class=getattr(hf, model_class) if model_class else None)
            made[name] = load(resolve(str(folder)))
        return made[name]

    return get


def save_timm(folder, name: str, arguments: dict, n_classes: int | None = 7, given: bool = True) -> nn.Module:
    """A random timm network in timm's Hub layout; `given`: the number of classes is also among the saved arguments."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model(name, num_classes=n_classes, **arguments).eval()
    network.pretrained_cfg |= {"input_size": (3, SIZE, SIZE), "crop_pct": 1.0}
    kept = {**arguments, "num_classes": n_classes} if given else arguments
    config = {"num_classes": n_classes}
    save_for_hf(network, str(folder), model_config=config, model_args=kept, safe_serialization=True)
    return network


@pytest.mark.parametrize("name", FAMILIES)
def test_head_features_and_layers(family, name):
    checkpoint = family(name)
    _, _, source, width, first, second, extension = FAMILIES[name]
    assert checkpoint.facts["feature_source"] == source
    assert [layer.name for layer in checkpoint.layers] == [first, second]
    assert [layer.rows for layer in checkpoint.layers] == [None, None]
    assert (checkpoint.flags.get("vit_extension") == second) if extension else "vit_extension" not in checkpoint.flags
    features, logits = checkpoint.forward(checkpoint.preprocess(images(3)))
    assert features.shape == (3, width)
    assert checkpoint.facts["n_features"] == width
    assert features.dtype == torch.float32
    assert features.std(dim=0).max() > 1e-3  # alive: the images differ
    assert checkpoint.has_source_head == (name not in HEADLESS)
    if name in HEADLESS:
        assert logits is None
        assert checkpoint.flags["no_source_head"] == source
        assert ("pooler_output" in checkpoint.flags) == (source == "pooler_output")
    else:
        assert not {"no_source_head", "pooler_output", "mean_hidden_state"} & set(checkpoint.flags)
        assert logits.shape == (3, N_LABELS)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in HEADLESS])
def test_head_of_the_features_is_the_logits(family, name):
    checkpoint = family(name)
    pixels = checkpoint.preprocess(images(2))
    with torch.no_grad():
        features, logits = checkpoint.forward(pixels)
        assert_same(logits, checkpoint.network(pixel_values=pixels).logits)
        if name == "deit with teacher":  # its logits are the mean of two heads; the first, on the class token, is the head
            assert_same(checkpoint.head(features), checkpoint.network(pixel_values=pixels).cls_logits)
        else:
            assert_same(checkpoint.head(features), logits)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_equals_single_images(family, name):
    checkpoint = family(name)
    batch = images(4)
    pixels = checkpoint.preprocess(batch)
    assert pixels.shape == (4, 3, SIZE, SIZE)
    with torch.no_grad():
        together, logits = checkpoint.forward(pixels)
        for i, image in enumerate(batch):
            single = checkpoint.preprocess([image])
            assert_same(single[0], pixels[i])
            alone, alone_logits = checkpoint.forward(single)
            torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-4 * float(together.abs().max()))
            if logits is not None:
                torch.testing.assert_close(alone_logits[0], logits[i], rtol=0, atol=1e-4 * float(logits.abs().max()))


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_reach_both_layers_and_no_other_weight_asks_for_one(family, name):
    checkpoint = family(name)
    assert not any(parameter.requires_grad for parameter in checkpoint.network.parameters())
    assert not checkpoint.network.training
    weights = [layer.weight for layer in checkpoint.layers]
    for weight in weights:
        weight.requires_grad_(True)
    features, _ = checkpoint.forward(checkpoint.preprocess(images(2)))
    gradients = torch.autograd.grad((features[0] - features[1]).square().sum(), weights)
    for weight in weights:
        weight.requires_grad_(False)
    assert all(layer.norm(gradient) > 0 for layer, gradient in zip(checkpoint.layers, gradients, strict=True))


@pytest.mark.parametrize("name", TIMM)
def test_timm_networks(tmp_path, name):
    arguments, head, width, first, second, rows = TIMM[name]
    network = save_timm(tmp_path, name, arguments)
    checkpoint = load(resolve(str(tmp_path)))
    assert checkpoint.facts["feature_source"] == f"input of timm_model.{head}"
    assert [(layer.name, layer.rows) for layer in checkpoint.layers] == [(first, None), (second, rows)]
    assert ("vit_extension" in checkpoint.flags) == (rows is not None)
    pixels = checkpoint.preprocess(images(2))
    with torch.no_grad():
        features, logits = checkpoint.forward(pixels)
        assert_same(checkpoint.head(features), logits)
        assert_same(logits, network(pixels))
        assert_same(features, network.forward_head(network.forward_features(pixels), pre_logits=True))
        alone, _ = checkpoint.forward(pixels[1:])
    assert features.shape == (2, width)
    torch.testing.assert_close(alone, features[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224", "vit_base_patch16_siglip_224"])
def test_timm_networks_without_a_head(tmp_path, name):
    """As timm's self-supervised and CLIP checkpoints are."""
    arguments, _, width, first, second, rows = TIMM[name]
    network = save_timm(tmp_path, name, arguments, n_classes=0)
    checkpoint = load(resolve(str(tmp_path)))
    assert [(layer.name, layer.rows) for layer in checkpoint.layers] == [(first, None), (second, rows)]
    pixels = checkpoint.preprocess(images(2))
    with torch.no_grad():
        features, logits = checkpoint.forward(pixels)
        assert logits is None
        assert_same(features, network(pixels))
    assert features.shape == (2, width)
    assert "no_source_head" in checkpoint.flags


def test_timm_class_count_only_at_the_root(tmp_path):
    save_timm(tmp_path, "vit_tiny_patch16_224", TINY_VIT, given=False)
    checkpoint = load(resolve(str(tmp_path)))
    assert checkpoint.forward(checkpoint.preprocess(images(1)))[1].shape == (1, 7)


def test_one_vit_in_both_libraries_gives_one_update_ratio(tmp_path, make_target):
    """The query rows of timm's fused projection are transformers' query weight."""
    from hf_transferability.data.targets import check_images, load_target
    from hf_transferability.extraction.passes import extract

    ours, theirs = tmp_path / "hf", tmp_path / "timm"
    network = save_timm(theirs, "vit_tiny_patch16_224", {**TINY_VIT, "mlp_ratio": 2})
    config = hf.ViTConfig(**{**VIT, "intermediate_size": 48}, num_labels=7, layer_norm_eps=1e-6)
    twin = hf.ViTForImageClassification(config)
    timm_names = {
        "vit.embeddings.cls_token": "cls_token",
        "vit.embeddings.position_embeddings": "pos_embed",
        "vit.embeddings.patch_embeddings.projection": "patch_embed.proj",
        "vit.layernorm": "norm",
        "classifier": "head",
        "layernorm_before": "norm1",
        "layernorm_after": "norm2",
        "o_proj": "attn.proj",
        "fc1": "mlp.fc1",
        "fc2": "mlp.fc2",
    }
    weights, given = twin.state_dict(), network.state_dict()
    for name in weights:
        stem, _, kind = name.rpartition(".")
        if name in timm_names:
            weights[name] = given[timm_names[name]]
        elif stem in timm_names:
            weights[name] = given[f"{timm_names[stem]}.{kind}"]
        else:
            block, last = f"blocks.{name.split('.')[2]}", stem.rpartition(".")[2]
            if last in ("q_proj", "k_proj", "v_proj"):
                third = "qkv".index(last[0])
                weights[name] = given[f"{block}.attn.qkv.{kind}"].chunk(3)[third]
            else:
                weights[name] = given[f"{block}.{timm_names[last]}.{kind}"]
    twin.load_state_dict(weights)
    twin.save_pretrained(ours)
    hf.ViTImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3
    ).save_pretrained(ours)

    a, b = load(resolve(str(ours))), load(resolve(str(theirs)))
    target, _ = check_images(load_target(make_target(n=36)))
    # Even random networks part these classes by more than the margin; mixed labels have a gradient.
    target = dataclasses.replace(target, labels=np.random.default_rng(0).permutation(target.labels))
    b.preprocess = a.preprocess  # the two libraries resize differently by a grey level
    left, right = extract(a, target), extract(b, target)
    np.testing.assert_allclose(left.features, right.features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(left.source_probabilities, right.source_probabilities, rtol=1e-4, atol=1e-6)
    assert (left.gradient_norms > 0).all(axis=1).sum() >= 2
    np.testing.assert_allclose(left.gradient_norms, right.gradient_norms, rtol=1e-3)


class Toy(nn.Module):
    """A network of chosen parts whose forward is a function."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def test_execution_order_not_registration_order_decides():
    toy = Toy(
        lambda net, x: net.head(net.second(net.first(x)).mean((2, 3))),
        head=nn.Linear(4, 3), second=nn.Conv2d(4, 4, 1), first=nn.Conv2d(3, 4, 3),
    )  # fmt: skip
    x = torch.randn(2, 3, 8, 8)
    traced = trace(toy, lambda: toy(x))
    assert [weight.name for weight in traced.weights] == ["first.weight", "second.weight", "head.weight"]
    assert find_head(traced.outputs, traced.result) == ("head", toy.head)
    layers, extension = gradient_layers(toy, traced.weights, "head")
    assert [layer.name for layer in layers] == ["first.weight", "second.weight"]
    assert not extension


def test_a_layer_used_twice_counts_once_and_hooks_are_removed():
    toy = Toy(lambda net, x: net.second(net.first(net.first(x))), first=nn.Conv2d(3, 3, 1), second=nn.Conv2d(3, 2, 1))
    x = torch.randn(1, 3, 4, 4)
    traced = trace(toy, lambda: toy(x))
    assert [weight.name for weight in traced.weights] == ["first.weight", "second.weight"]
    assert not toy.first._forward_hooks and not toy.first._forward_pre_hooks
    with pytest.raises(RuntimeError):
        trace(toy, lambda: toy(torch.randn(1, 5, 4, 4)))
    assert not toy.first._forward_hooks and not toy.first._forward_pre_hooks


def test_convolutional_head_and_a_head_over_places():
    """A 1x1 convolution makes the logits, before or after they are averaged; an early layer with as many outputs is none."""
    for reduce in (lambda z: z.mean((2, 3)), lambda z: z.flatten(1)):
        places = (8, 8) if reduce(torch.zeros(1, 5, 1, 2)).shape[1] == 5 else (1, 1)
        toy = Toy(
            lambda net, x, reduce=reduce: reduce(net.head(net.early(x))), early=nn.Conv2d(3, 5, 1), head=nn.Conv2d(5, 5, 1)
        )
        x = torch.randn(2, 3, *places)
        traced = trace(toy, lambda toy=toy, x=x: toy(x))
        assert find_head(traced.outputs, traced.result)[0] == "head"


def test_linear_head_over_tokens():
    toy = Toy(lambda net, x: net.head(net.early(x)).mean(1), early=nn.Linear(6, 4), head=nn.Linear(4, 4))
    x = torch.randn(2, 7, 6)
    traced = trace(toy, lambda: toy(x))
    assert find_head(traced.outputs, traced.result)[0] == "head"


def test_no_head_and_no_layers():
    toy = Toy(lambda net, x: x.flatten(1)[:, :5] * 2, unused=nn.Linear(3, 5))
    x = torch.randn(2, 3, 8, 8)
    traced = trace(toy, lambda: toy(x))
    assert find_head(traced.outputs, traced.result) is None
    assert gradient_layers(toy, traced.weights, None) == ([], False)


def test_pooling_is_over_places_or_tokens():
    rng = torch.Generator().manual_seed(0)
    maps, tokens, flat = (torch.randn(*shape, generator=rng) for shape in ((2, 5, 3, 4), (2, 7, 5), (2, 5)))
    torch.testing.assert_close(pooled(maps, channels_first=True), maps.mean((2, 3)))
    torch.testing.assert_close(pooled(maps.permute(0, 2, 3, 1), channels_first=False), maps.mean((2, 3)))
    torch.testing.assert_close(pooled(tokens, channels_first=False), tokens.mean(1))
    assert torch.equal(pooled(flat, channels_first=True), flat)


def test_gradient_norm_of_some_rows():
    gradient = torch.arange(12.0).reshape(6, 2)
    weight = nn.Parameter(torch.zeros(6, 2))
    assert GradientLayer("w", weight, 2).norm(gradient) == pytest.approx(np.sqrt(0 + 1 + 4 + 9))
    assert GradientLayer("w", weight).norm(gradient) == pytest.approx(float((np.arange(12) ** 2).sum() ** 0.5))


def test_preprocessing_is_the_networks_own(family):
    checkpoint = family("vit")
    grey = np.full((SIZE, SIZE, 3), 200, dtype=np.uint8)
    expected = (200 / 255 - 0.5) / 0.25
    torch.testing.assert_close(checkpoint.preprocess([grey]), torch.full((1, 3, SIZE, SIZE), expected), rtol=0, atol=1e-5)
    resized = checkpoint.preprocess([np.asarray(Image.fromarray(grey).resize((90, 41)))])
    torch.testing.assert_close(resized, torch.full((1, 3, SIZE, SIZE), expected), rtol=0, atol=1e-5)
