"""One fine-tuning run: its figures, its images and when it stops."""

from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import timm
import torch
import transformers
from helpers.splits import in_memory
from sklearn.metrics import roc_auc_score
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.training import finetuning
from hf_transferability.training.finetuning import fine_tune, macro_auc
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import Protocol, Setting

pytestmark = pytest.mark.usefixtures("one_thread")
SPLITS = ("train", "validation", "test")
SETTING = Setting(8, 0.05, 0.9, 1e-4)
FEW = {"train_per_class": 8, "validation_per_class": 4}


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load(resolve(str(checkpoint)))


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_auc_equals_that_of_scikit_learn(n_classes):
    rng = np.random.default_rng(n_classes)
    labels = np.append(np.arange(n_classes), rng.integers(n_classes, size=60))
    probabilities = rng.dirichlet(np.ones(n_classes), len(labels)).round(2)  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = (
        roc_auc_score(labels, probabilities[:, 1])
        if n_classes == 2
        else roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )
    assert macro_auc(labels, probabilities) == pytest.approx(expected, abs=1e-12)


def test_auc_of_several_labels_is_the_mean_over_columns_with_both():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=(50, 4)), rng.random((50, 4))
    assert macro_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores, average="macro"), abs=1e-12)
    labels[:, 1] = 1
    kept = [0, 2, 3]
    assert macro_auc(labels, scores) == pytest.approx(roc_auc_score(labels[:, kept], scores[:, kept]), abs=1e-12)
    assert macro_auc(np.zeros(5, int), np.full((5, 2), 0.5)) == 0.5


PROCESSORS = {
    "plain": lambda: transformers.ViTImageProcessor(size={"height": 16, "width": 16}, image_mean=[0.1, 0.2, 0.3]),
    "not normalised": lambda: transformers.ViTImageProcessor(do_normalize=False),
    "other order of channels": lambda: transformers.MobileViTImageProcessor(do_flip_channel_order=True),
    "divided twice": lambda: transformers.EfficientNetImageProcessor(include_top=True),
    "timm": lambda: TimmWrapperImageProcessor({"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.1), "input_size": (3, 32, 32)}),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_normalisation_equals_the_image_processor(name):
    checkpoint = Checkpoint(name, None, PROCESSORS[name](), None, False, [], {}, {})
    shades = np.random.default_rng(0).integers(256, size=(9, 3)).astype(np.uint8)
    pixels = checkpoint.preprocess([np.tile(shade, (40, 50, 1)) for shade in shades])
    expected = pixels[..., pixels.shape[-2] // 2, pixels.shape[-1] // 2]
    colours, black = finetuning.normalisation(checkpoint)
    torch.testing.assert_close(torch.from_numpy(shades).float() @ colours + black, expected, atol=1e-4, rtol=0)


def test_the_classifier_equals_the_network_after_its_image_processor(loaded):
    pixels = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    model = finetuning.Classifier(loaded, 3, 0.5).eval()
    seen = loaded.forward(loaded.preprocess([image.permute(1, 2, 0).numpy() for image in pixels]))[0]
    torch.testing.assert_close(model(pixels), model.head(seen), atol=1e-4, rtol=1e-4)


def test_a_run_learns_and_can_be_repeated(target, loaded):
    draw = Splits(target, 16).draw(0, 12, 4)
    before = {name: tensor.clone() for name, tensor in loaded.network.state_dict().items()}
    first, again, other = (fine_tune(loaded, draw, SETTING, Protocol(epochs=2), seed=seed) for seed in (0, 0, 1))
    for row in (first, again, other):
        row.pop("seconds")
        assert row.pop("status") == "ok"
    assert again == pytest.approx(first, rel=1e-3, abs=1e-3)  # copies of a network may differ in the last bits
    assert other["validation_loss"] != pytest.approx(first["validation_loss"], rel=1e-3)
    assert fine_tune(loaded, draw, SETTING, Protocol(epochs=8, augment=False))["test_auc"] > 0.9
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.network.state_dict().items())


def test_a_run_stops_when_validation_no_longer_improves(target, loaded, monkeypatch):
    aucs = iter([0.6, 0.7, 0.65, 0.7, 0.7, 0.9, 0.8])
    monkeypatch.setattr(finetuning, "macro_auc", lambda labels, probabilities: next(aucs))
    monkeypatch.setattr(finetuning, "_train_epoch", lambda model, sample, view, optimizer, size: not optimizer.step())
    monkeypatch.setattr(finetuning, "_loss", lambda logits, labels: torch.ones(len(labels)))
    row = fine_tune(loaded, Splits(target, 16).draw(0, **FEW), SETTING, Protocol(epochs=20, patience=3))
    assert (row["best_epoch"], row["stopped_epoch"], row["validation_auc"], row["test_auc"]) == (2, 5, 0.7, 0.9)


def test_the_test_split_is_used_once_and_after_the_choice(target, loaded, monkeypatch):
    draw = Splits(target, 16).draw(0, **FEW)
    seen = []
    evaluate, train = finetuning._evaluate, finetuning._train_epoch
    monkeypatch.setattr(finetuning, "_evaluate", lambda model, sample: seen.append(sample) or evaluate(model, sample))
    monkeypatch.setattr(
        finetuning, "_train_epoch", lambda model, sample, *rest: seen.append(sample) or train(model, sample, *rest)
    )
    fine_tune(loaded, draw, SETTING, Protocol(epochs=3))
    roles = {id(draw.train): "train", id(draw.validation): "validation", id(draw.test): "test"}
    assert [roles[id(sample)] for sample in seen] == ["train", "validation"] * 3 + ["test"]


def test_divergence_is_a_status_without_figures(target, loaded):
    row = fine_tune(loaded, Splits(target, 16).draw(0, **FEW), Setting(8, 1e25, 0.9, 0.0), Protocol(epochs=5))
    assert row["status"] == "diverged"
    assert not [name for name in row if name.startswith(("test_", "validation_"))]


@pytest.mark.parametrize("outputs", [float("inf"), float("-inf"), float("nan")])
def test_infinite_outputs_on_the_test_split_are_divergence(target, loaded, monkeypatch, outputs):
    draw = Splits(target, 16).draw(0, **FEW)
    evaluate = finetuning._evaluate

    def spoiled(model, sample):
        if sample is draw.test:
            model.head[-1].bias.data[0] = outputs
        return evaluate(model, sample)

    monkeypatch.setattr(finetuning, "_evaluate", spoiled)
    row = fine_tune(loaded, draw, SETTING, Protocol(epochs=1))
    assert set(row) == {"stopped_epoch", "status", "seconds"} and row["status"] == "diverged"


def test_an_output_of_minus_infinity_makes_the_loss_nan(target, loaded):
    draw = Splits(target, 16).draw(0, **FEW)
    model = finetuning.Classifier(loaded, 4, 0.5)  # the fourth class has no image
    model.head[-1].bias.data[3] = float("-inf")
    assert np.isnan(finetuning._evaluate(model, draw.test)["loss"])


def test_two_classes_and_several_labels(loaded):
    binary = in_memory({split: [0, 1] * 12 for split in SPLITS}, datasets.ClassLabel(names=["a", "b"]))
    several = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    labels = [[k % 3] + [2] * (k % 2 and k % 3 != 2) for k in range(24)]
    for data, width in ((binary, 2), (in_memory(dict.fromkeys(SPLITS, labels), several), 3)):
        draw = Splits(data, 16).draw(0, **FEW)
        assert len(draw.train.pool.classes) == width
        row = fine_tune(loaded, draw, SETTING, Protocol(epochs=1))
        assert row["status"] == "ok" and 0 <= row["test_auc"] <= 1 and 0 <= row["test_accuracy"] <= 1


def test_checkpoints_without_a_source_head_are_fine_tuned(target, make_checkpoint):
    from transformers import CLIPVisionConfig, CLIPVisionModel, ViTConfig, ViTModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"image_size": 16, "patch_size": 8}
    draw = Splits(target, 16).draw(0, **FEW)
    for config, model_class in ((ViTConfig(**sizes), ViTModel), (CLIPVisionConfig(**sizes), CLIPVisionModel)):
        checkpoint = load(resolve(str(make_checkpoint(config, size=16, model_class=model_class))))
        assert not checkpoint.has_source_head
        assert fine_tune(checkpoint, draw, SETTING, Protocol(epochs=2))["status"] == "ok"


def test_a_checkpoint_of_timm_is_fine_tuned(target, tmp_path):
    network = timm.create_model("test_resnet", pretrained=False, num_classes=5)
    timm.models.save_for_hf(network, tmp_path, model_config={"num_classes": 5}, safe_serialization=True)
    row = fine_tune(load(resolve(str(tmp_path))), Splits(target, 16).draw(0, **FEW), SETTING, Protocol(epochs=1))
    assert row["status"] == "ok"


def test_grey_images_and_images_of_other_shapes(loaded):
    names = datasets.ClassLabel(names=["a", "b", "c"])
    labels = dict.fromkeys(SPLITS, [0, 1, 2] * 8)
    for change in (lambda image: image.convert("L"), lambda image: image.resize((40, 17)), lambda image: image.convert("RGBA")):
        draw = Splits(in_memory(labels, names, change), 16).draw(0, **FEW)
        assert draw.test.pixels(torch.arange(24)).shape == (24, 3, 16, 16)
        assert fine_tune(loaded, draw, SETTING, Protocol(epochs=1))["status"] == "ok"


@pytest.mark.parametrize(
    ("size", "images"), [((32, 32), 256), ((224, 224), 256), ((448, 448), 64), ((448, 224), 128), ((9000, 9000), 1)]
)
def test_large_images_are_evaluated_in_smaller_batches(size, images):
    pool = SimpleNamespace(size=size)
    asked = []

    class Sample:
        labels = torch.arange(300) % 2

        def __len__(self):
            return 300

        def pixels(self, places):
            asked.append(len(places))
            return torch.zeros(len(places), 2)

    sample = Sample()
    sample.pool = pool
    finetuning._evaluate(torch.nn.Linear(2, 2), sample)
    assert max(asked) == images
    assert sum(asked) == 300
