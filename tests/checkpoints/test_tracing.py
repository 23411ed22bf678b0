"""Head, features and gradient layers of tiny random networks of every family, found by a trace; nothing is downloaded."""

import dataclasses

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same
from PIL import Image
from timm.models import save_for_hf
from torch import nn

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.checkpoints.tracing import GradientLayer, find_head, gradient_layers, pooled, trace

SIZE = 32
N_LABELS = 5
VIT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32}
VIT |= {"image_size": SIZE, "patch_size": 8}
LABELS = {"num_labels": N_LABELS}
STAGES = {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1], **LABELS}
SWIN = {"image_size": SIZE, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, **LABELS}
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 50}
TEXT |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}


def clip(**labels):
    return hf.CLIPConfig(vision_config=VIT, text_config=TEXT, projection_dim=8, **labels)


def siglip(**labels):
    return hf.SiglipConfig(vision_config=VIT, text_config=TEXT, **labels)


# name: (configuration, class or None for the classifier, features from, width, first layer, second layer, extension)
RESNET_STEM = "resnet.embedder.embedder.convolution.weight"
RESNET_SECOND = "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight"
FAMILIES = {
    "resnet basic": (
        lambda: hf.ResNetConfig(embedding_size=8, layer_type="basic", **STAGES),
        None, "input of classifier.1", 20, RESNET_STEM, RESNET_SECOND, False,
    ),
    "resnet bottleneck": (  # the 1x1 shortcut is registered before the second convolution, but runs after it
        lambda: hf.ResNetConfig(embedding_size=8, layer_type="bottleneck", **STAGES),
        None, "input of classifier.1", 20, RESNET_STEM, RESNET_SECOND, False,
    ),
    "regnet": (
        lambda: hf.RegNetConfig(embedding_size=8, groups_width=4, **STAGES),
        None, "input of classifier.1", 20,
        "regnet.embedder.embedder.convolution.weight", "regnet.encoder.stages.0.layers.0.layer.0.convolution.weight", False,
    ),
    "convnext": (
        lambda: hf.ConvNextConfig(**STAGES),
        None, "input of classifier", 20,
        "convnext.embeddings.patch_embeddings.weight", "convnext.encoder.stages.0.layers.0.dwconv.weight", False,
    ),
    "convnextv2": (
        lambda: hf.ConvNextV2Config(**STAGES),
        None, "input of classifier", 20,
        "convnextv2.embeddings.patch_embeddings.weight", "convnextv2.encoder.stages.0.layers.0.dwconv.weight", False,
    ),
    "efficientnet": (
        lambda: hf.EfficientNetConfig(
            image_size=SIZE, width_coefficient=0.25, depth_coefficient=0.1, hidden_dim=320, initializer_range=0.3, **LABELS
        ),
        None, "input of classifier", 320,
        "efficientnet.embeddings.convolution.weight",
        "efficientnet.encoder.blocks.0.depthwise_conv.depthwise_conv.weight", False,
    ),
    "mobilenetv2": (
        lambda: hf.MobileNetV2Config(image_size=SIZE, depth_multiplier=0.25, finegrained_output=False, **LABELS),
        None, "input of classifier", 320,
        "mobilenet_v2.conv_stem.first_conv.convolution.weight", "mobilenet_v2.conv_stem.conv_3x3.convolution.weight", False,
    ),
    "vit": (
        lambda: hf.ViTConfig(**VIT, **LABELS),
        None, "input of classifier", 24,
        "vit.embeddings.patch_embeddings.projection.weight", "vit.layers.0.attention.q_proj.weight", True,
    ),
    "deit": (
        lambda: hf.DeiTConfig(**VIT, **LABELS),
        "DeiTForImageClassification", "input of classifier", 24,
        "deit.embeddings.patch_embeddings.projection.weight", "deit.layers.0.attention.q_proj.weight", True,
    ),
    "deit with teacher": (
        lambda: hf.DeiTConfig(**VIT, **LABELS),
        "DeiTForImageClassificationWithTeacher", "input of cls_classifier", 24,
        "deit.embeddings.patch_embeddings.projection.weight", "deit.layers.0.attention.q_proj.weight", True,
    ),
    "swin": (
        lambda: hf.SwinConfig(**SWIN),
        None, "input of classifier", 16,
        "swin.embeddings.patch_embeddings.projection.weight",
        "swin.encoder.layers.0.blocks.0.attention.q_proj.weight", True,
    ),
    "swinv2": (
        lambda: hf.Swinv2Config(**SWIN),
        None, "input of classifier", 16,
        "swinv2.embeddings.patch_embeddings.projection.weight",
        "swinv2.encoder.layers.0.blocks.0.attention.self.query.weight", True,
    ),
    "beit": (
        lambda: hf.BeitConfig(**VIT, **LABELS),
        None, "input of classifier", 24,
        "beit.embeddings.patch_embeddings.projection.weight", "beit.layers.0.attention.q_proj.weight", True,
    ),
    "dinov2": (
        lambda: hf.Dinov2Config(**VIT, mlp_ratio=2, **LABELS),
        None, "input of classifier", 48,
        "dinov2.embeddings.patch_embeddings.projection.weight", "dinov2.encoder.layer.0.attention.q_proj.weight", True,
    ),
    "dinov2 headless": (
        lambda: hf.Dinov2Config(**VIT, mlp_ratio=2),
        "Dinov2Model", "pooler_output", 24,
        "embeddings.patch_embeddings.projection.weight", "encoder.layer.0.attention.q_proj.weight", True,
    ),
    "dinov2 of no classes": (
        lambda: hf.Dinov2Config(**VIT, mlp_ratio=2, num_labels=0),
        None, "pooler_output", 24,
        "embeddings.patch_embeddings.projection.weight", "encoder.layer.0.attention.q_proj.weight", True,
    ),
    "dinov3 vit": (
        lambda: hf.DINOv3ViTConfig(**VIT),
        "DINOv3ViTModel", "pooler_output", 24,
        "embeddings.patch_embeddings.weight", "model.layer.0.attention.q_proj.weight", True,
    ),
    "dinov3 convnext": (
        lambda: hf.DINOv3ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1]),
        "DINOv3ConvNextModel", "pooler_output", 20,
        "model.stages.0.downsample_layers.0.weight", "model.stages.0.layers.0.depthwise_conv.weight", False,
    ),
    "clip classifier": (
        lambda: clip(**LABELS),
        None, "input of classifier", 24,
        "vision_model.embeddings.patch_embedding.weight", "vision_model.encoder.layers.0.self_attn.q_proj.weight", True,
    ),
    "clip two towers": (
        clip,
        "CLIPModel", "pooler_output", 24,
        "embeddings.patch_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight", True,
    ),
    "siglip classifier": (
        lambda: siglip(**LABELS),
        None, "input of classifier", 24,
        "vision_model.embeddings.patch_embedding.weight", "vision_model.encoder.layers.0.self_attn.q_proj.weight", True,
    ),
    "siglip two towers": (
        siglip,
        "SiglipModel", "pooler_output", 24,
        "embeddings.patch_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight", True,
    ),
}  # fmt: skip
HEADLESS = {"dinov2 headless", "dinov2 of no classes", "dinov3 vit", "dinov3 convnext", "clip two towers", "siglip two towers"}

TINY_VIT = {"img_size": SIZE, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
TINY_SWIN = {"img_size": SIZE, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2)}
QKV = "timm_model.blocks.0.attn.qkv.weight"
PATCH = "timm_model.patch_embed.proj.weight"
# name: (arguments, head, width, first layer, second layer, rows of the second)
TIMM = {
    "resnet18": ({}, "fc", 512, "timm_model.conv1.weight", "timm_model.layer1.0.conv1.weight", None),
    "convnext_atto": (
        {"dims": (8, 12, 16, 20), "depths": (1, 1, 1, 1)},
        "head.fc", 20, "timm_model.stem.0.weight", "timm_model.stages.0.blocks.0.conv_dw.weight", None,
    ),
    "densenet121": (
        {"growth_rate": 4, "block_config": (1, 1, 1, 1)},
        "classifier", 8, "timm_model.features.conv0.weight",
        "timm_model.features.denseblock1.denselayer1.conv1.weight", None,
    ),
    "mobilenetv3_small_050": (
        {}, "classifier", 1024, "timm_model.conv_stem.weight", "timm_model.blocks.0.0.conv_dw.weight", None,
    ),
    "vit_tiny_patch16_224": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "vit_base_patch16_siglip_224": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "vit_small_patch14_dinov2": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "beit_base_patch16_224": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "swin_tiny_patch4_window7_224": (
        TINY_SWIN, "head.fc", 24, PATCH, "timm_model.layers.0.blocks.0.attn.qkv.weight", 12,
    ),
    "swinv2_tiny_window8_256": (
        TINY_SWIN, "head.fc", 24, PATCH, "timm_model.layers.0.blocks.0.attn.qkv.weight", 12,
    ),
}  # fmt: skip


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
