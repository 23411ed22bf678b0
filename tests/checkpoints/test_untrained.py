"""Networks that were never trained, by their normalisation layers; and how they are listed."""

import pytest
import torch
import transformers as hf
from helpers.checkpoint_folders import VIT, change_weights, opened
from helpers.inputs import resnet_config
from torch import nn

from hf_transferability import rank
from hf_transferability.checkpoints.untrained import untrained
from hf_transferability.metrics import SCENARIOS, all_metrics

CONVOLUTIONAL = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}


def fresh(config):
    return hf.AutoModelForImageClassification.from_config(config)


@pytest.mark.parametrize(
    "config",
    [resnet_config(), hf.ViTConfig(**VIT), hf.ConvNextConfig(**CONVOLUTIONAL), hf.ConvNextV2Config(**CONVOLUTIONAL)],
    ids=lambda config: config.model_type,
)
def test_fresh_networks_are_untrained(config):
    why = untrained(fresh(config))
    total = int(why.split()[0])
    assert why == f"{total} of {total} normalisation layers hold their initial values"


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050", "vgg11_bn"])
def test_fresh_networks_of_timm_are_untrained(name):
    timm = pytest.importorskip("timm")
    assert untrained(timm.create_model(name, pretrained=False))


@pytest.mark.parametrize("config", [resnet_config(), hf.ViTConfig(**VIT)], ids=lambda config: config.model_type)
@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.AdamW])
def test_one_step_of_training_is_training(config, optimiser):
    network = fresh(config).train()
    loss = network(pixel_values=torch.randn(4, 3, 24, 24), labels=torch.tensor([0, 1, 0, 1])).loss
    loss.backward()
    optimiser(network.parameters(), lr=1e-5).step()
    assert untrained(network) is None


def test_one_step_with_frozen_statistics_is_training():
    network = fresh(resnet_config()).eval()
    network(pixel_values=torch.randn(4, 3, 24, 24), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    torch.optim.SGD(network.parameters(), lr=1e-3).step()
    assert untrained(network) is None


def test_one_layer_with_other_values_is_enough():
    network = fresh(hf.ViTConfig(**VIT))
    with torch.no_grad():
        network.vit.layernorm.bias[0] = 1e-6
    assert untrained(network) is None


def test_statistics_that_were_collected_without_training_cannot_be_told_from_training():
    network = fresh(resnet_config()).train()
    with torch.no_grad():
        network(pixel_values=torch.randn(4, 3, 24, 24))
    assert untrained(network) is None


def test_layers_without_values_of_their_own_say_nothing():
    bare = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3, elementwise_affine=False), nn.InstanceNorm1d(3))
    assert untrained(bare) is None
    assert untrained(nn.Sequential(nn.Linear(3, 3), nn.ReLU())) is None
    assert untrained(nn.Sequential(bare, nn.LayerNorm(3)))
    assert untrained(nn.Sequential(nn.BatchNorm1d(3, affine=False)))


def test_weights_of_zero_are_initial_values_but_others_are_not():
    layer = nn.BatchNorm2d(3)
    for value, initial in ((0.0, True), (1.0, True), (0.5, False)):
        nn.init.constant_(layer.weight, value)
        assert (untrained(nn.Sequential(layer)) is not None) == initial
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 0.0, 1.0]))
    assert untrained(nn.Sequential(layer)) is None


def test_frozen_batch_normalisation_is_judged_by_its_values():
    from torchvision.ops import FrozenBatchNorm2d

    layer = FrozenBatchNorm2d(3)
    assert untrained(nn.Sequential(layer))
    layer.running_mean += 0.1
    assert untrained(nn.Sequential(layer)) is None


def save(config, folder, seed=0):
    """A fresh checkpoint in Hub layout."""
    torch.manual_seed(seed)
    fresh(config).save_pretrained(folder)
    hf.ViTImageProcessor(size={"height": 24, "width": 24}).save_pretrained(folder)
    return folder


def test_the_checkpoint_says_so(tmp_path, originals):
    checkpoint = opened(save(resnet_config(), tmp_path / "fresh"))
    assert checkpoint.facts["untrained"] is True
    assert "normalisation layers" in checkpoint.flags["untrained"]
    checkpoint = opened(originals["resnet"])
    assert checkpoint.facts["untrained"] is False
    assert "untrained" not in checkpoint.flags


def test_every_trained_candidate_precedes_every_untrained_one(make_target, make_checkpoint, tmp_path):
    """In both scenarios and by every metric, also one that was trained for a single step."""
    step = save(resnet_config(), tmp_path / "step", seed=5)
    change_weights(step, lambda weights: weights["resnet.embedder.embedder.normalization.bias"].add_(1e-5))
    trained = [str(step), *(str(make_checkpoint(resnet_config(width=width), seed=width)) for width in (6, 12))]
    bare = [str(save(resnet_config(), tmp_path / "small")), str(save(resnet_config(width=32), tmp_path / "large", seed=1))]
    target = make_target(n=48)
    metrics = all_metrics()
    both = [(scenario, [name]) for scenario in SCENARIOS for name in metrics if metrics[name].uses_scenario]
    for scenario, metric in [("auto", []), *both, *(("auto", [name]) for name in metrics if not metrics[name].uses_scenario)]:
        result = rank(
            target, [bare[0], *trained, bare[1]], metrics=metric, scenario=scenario, intervals=not metric,
            cache_dir=tmp_path / "cache",
        )  # fmt: skip
        assert {row["checkpoint"] for row in result.rows[:3]} == set(trained), (scenario, metric)
        assert [(row["untrained"], row["score"], row["rank"], row["tie_group"]) for row in result.rows[3:]] == [
            (True, None, None, None)
        ] * 2
        assert all("untrained" in row["flags"] and row["error"] is None for row in result.rows[3:])
        assert all(row["score"] is not None for row in result.rows[:3])
