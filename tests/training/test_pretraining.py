"""Pre-training: the checkpoint, its card, and arguments that are refused."""

import json
import re

import datasets
import numpy as np
import pytest
import torch
from helpers.forks import connected
from helpers.inputs import blobs, resnet_config
from helpers.medical import nifti, phantom
from helpers.splits import in_memory
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_transferability import UsageError, rank
from hf_transferability.checkpoints.cards import card_facts
from hf_transferability.cli import main
from hf_transferability.errors import TransferabilityError
from hf_transferability.training import pretraining
from hf_transferability.training.pretraining import PretrainingOptions, pretrain

pytestmark = pytest.mark.usefixtures("one_thread")


def small(**options) -> PretrainingOptions:
    return PretrainingOptions(image_size=24, batch_size=12, **options)


@pytest.fixture(scope="module")
def architecture(tmp_path_factory):
    file = tmp_path_factory.mktemp("architecture") / "network.json"
    file.write_text(json.dumps({"model_type": "resnet"} | resnet_config().to_diff_dict()))
    return file


@pytest.fixture(scope="module")
def union(tmp_path_factory, make_target, architecture):
    """A checkpoint that was trained on two datasets, and their folders."""
    parts = [make_target(n=36, n_classes=3), make_target(n=24, n_classes=2, seed=5)]
    folder = tmp_path_factory.mktemp("pretrained") / "union"
    assert pretrain(parts, architecture, folder, small(max_steps=3)) == folder
    return folder, parts


def test_a_union_has_the_classes_of_its_parts_side_by_side(union):
    folder, parts = union
    model, info = AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    names = [f"{part.name}: class {k}" for part, n in zip(parts, (3, 2), strict=True) for k in range(n)]
    assert [model.config.id2label[k] for k in range(5)] == names
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip
    card = (folder / "README.md").read_text()
    for part, n in zip(parts, (3, 2), strict=True):  # the account of each
        assert re.search(rf"^- data of {part.name}: split.*; {n} classes: .*; left out: nothing", card, re.MULTILINE)
    processor = AutoImageProcessor.from_pretrained(folder)
    assert processor(np.zeros((30, 40, 3), np.uint8), return_tensors="pt")["pixel_values"].shape == (1, 3, 24, 24)


def test_rank_flags_a_leak_exactly_if_there_is_one(union, make_target, tmp_path):
    folder, parts = union
    assert card_facts(folder)["training_datasets"] == [part.name for part in parts]
    other = make_target(seed=9)
    for target, leaks in ((parts[0], True), (parts[1], True), (other, False)):
        row = rank(target, [folder], metrics=["knn"], intervals=False, cache_dir=tmp_path).rows[0]
        assert ("trained_on_target" in row["flags"]) == leaks


def test_training_learns_its_source_and_random_weights_do_not(make_target, architecture, tmp_path):
    source = make_target(n=60, n_classes=3)
    trained = pretrain([source], architecture, tmp_path / "trained", small(epochs=8))
    untrained = pretrain([source], architecture, tmp_path / "untrained", small(epochs=0))
    assert "datasets" not in (untrained / "README.md").read_text().split("---")[1]
    rows = datasets.load_dataset(str(source), split="train")
    accuracies = []
    for folder in (trained, untrained):
        processor = AutoImageProcessor.from_pretrained(folder)
        pixels = processor(list(rows["image"]), return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            logits = AutoModelForImageClassification.from_pretrained(folder)(pixels).logits
        accuracies.append(float((logits.argmax(1) == torch.tensor(rows["label"])).float().mean()))
    assert accuracies[0] > 0.8 > accuracies[1]


def test_the_seed_decides_the_weights_and_leaves_the_generators_alone(make_target, architecture, tmp_path):
    source = make_target()
    torch.manual_seed(4)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    weights = []
    for number, seed in enumerate((0, 0, 1)):
        folder = pretrain([source], architecture, tmp_path / str(number), small(max_steps=2, seed=seed))
        weights.append(load_file(folder / "model.safetensors"))
    first, again, other = weights
    # AdamW's steps have a fixed size, so a gradient near 0 may move a weight either way: two steps of 0.003 at most.
    torch.testing.assert_close(again, first, atol=0.02, rtol=0)
    head = "classifier.1.weight"
    assert (other[head] - first[head]).abs().max() > 0.05
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_diverging_training_is_an_error_and_leaves_no_files(make_target, architecture, tmp_path):
    with pytest.raises(TransferabilityError, match=r"pre-training diverged.*Choose a lower --learning-rate\."):
        pretrain([make_target()], architecture, tmp_path / "new", small(max_steps=4, learning_rate=1e30))
    assert list(tmp_path.iterdir()) == []


def test_two_processes_make_one_checkpoint(program, union, architecture, tmp_path):
    """Each has half of the images of a step, and one of them writes and prints."""
    _, parts = union
    words = ["pretrain", *(word for part in parts for word in ("--dataset", str(part))), "--architecture", str(architecture)]
    words += ["--output", str(tmp_path / "new"), "--image-size", "24", "--batch-size", "6", "--steps", "3"]
    done, other = connected(program, words)
    assert (done.returncode, other.returncode, other.stdout) == (0, 0, ""), done.stderr
    assert done.stdout == f"{tmp_path / 'new'}\n"
    lines = [line for line in done.stderr.splitlines() if " so far" not in line]  # a slow machine says how far it is
    assert [line for line in lines if "left out: nothing" not in line] == [
        "starting", "reading images",
        *(f"comparing images of {part.name} ({n})" for part, n in zip(parts, (36, 24), strict=True)),
        "pre-training (3)",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert "- processes: 2" in (tmp_path / "new" / "README.md").read_text()
    weights, alone = (load_file(folder / "model.safetensors") for folder in (tmp_path / "new", union[0]))
    head = "classifier.1.weight"
    assert weights[head].shape == alone[head].shape and not torch.equal(weights[head], alone[head])


def test_the_licence_is_that_of_the_datasets_if_they_agree(make_target, architecture, tmp_path):
    parts = [make_target(seed=k) for k in (20, 21, 22)]
    for part, licence in zip(parts, ("mit", "mit", "cc0-1.0"), strict=True):
        (part / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    for name, chosen, licence in (("same", parts[:2], "mit"), ("other", parts, "other")):
        folder = pretrain(chosen, architecture, tmp_path / name, small(epochs=0))
        assert card_facts(folder)["licence"] == licence


def test_several_labels_per_image(make_target, architecture, tmp_path):
    several = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    labels = [[k % 3] + [2] * (k % 2 and k % 3 != 2) for k in range(24)]
    in_memory({"train": labels}, several).save_to_disk(tmp_path / "several")
    folder = pretrain([tmp_path / "several"], architecture, tmp_path / "new", small(max_steps=1))
    assert json.loads((folder / "config.json").read_text())["problem_type"] == "multi_label_classification"
    with pytest.raises(UsageError, match="single labels each; got multi_label, single_label"):
        pretrain([tmp_path / "several", make_target()], architecture, tmp_path / "other", small(epochs=0))


def test_sources_of_one_name_are_refused(union, architecture, tmp_path):
    part = union[1][0]
    with pytest.raises(UsageError, match=f"datasets of different names; got {part.name}, {part.name}"):
        pretrain([part, part], architecture, tmp_path / "new", small(epochs=0))


def test_a_vision_transformer_gets_the_requested_size(make_target, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 8}
    (tmp_path / "vit.json").write_text(json.dumps({"model_type": "vit", "image_size": 224} | sizes))
    folder = pretrain([make_target(seed=31)], tmp_path / "vit.json", tmp_path / "new", small(max_steps=1))
    assert json.loads((folder / "config.json").read_text())["image_size"] == 24
    (tmp_path / "coarse.json").write_text(json.dumps({"model_type": "vit", "image_size": 224} | sizes | {"patch_size": 32}))
    message = r"must be a network that classifies images of 24 x 24 pixels; .*coarse\.json does not .* or another --image-size"
    with pytest.raises(UsageError, match=message):
        pretrain([make_target(seed=31)], tmp_path / "coarse.json", tmp_path / "other", small(max_steps=1))


def test_a_single_image_is_not_left_for_the_last_step(program, make_target, architecture, tmp_path):
    """At 24 pixels the last stage has one value per channel, and batch normalisation refuses one image."""
    source = make_target(n=13, n_classes=2, seed=32)
    pretrain([source], architecture, tmp_path / "new", small(epochs=1))
    # Two processes share the one full batch and what is left, which accelerate fills; nothing may be dropped.
    words = ["--dataset", str(source), "--architecture", str(architecture), "--output", str(tmp_path / "two"), "--epochs", "1"]
    done, other = connected(program, ["pretrain", *words, "--image-size", "24", "--batch-size", "12"])
    assert (done.returncode, other.returncode) == (0, 0), done.stderr
    assert "pre-training (1)" in done.stderr


def test_training_uses_the_pixels_of_the_saved_image_processor(make_target, architecture, tmp_path, monkeypatch):
    source = make_target(n=12, n_classes=2, seed=33)
    seen = {}

    class Collated:
        """A Trainer that only collects one batch."""

        def __init__(self, *, data_collator, **others):
            seen.update(data_collator(list(range(12))))

        def remove_callback(self, callback):
            pass

        def train(self):
            pass

    monkeypatch.setattr(pretraining, "Trainer", Collated)
    monkeypatch.setattr(pretraining, "Augmentation", lambda size: lambda pixels: pixels)
    folder = pretrain([source], architecture, tmp_path / "new", small(epochs=1))
    rows = datasets.load_dataset(str(source), split="train")
    assert rows[0]["image"].size == (24, 24)
    expected = AutoImageProcessor.from_pretrained(folder)(list(rows["image"]), return_tensors="pt")["pixel_values"]
    found = seen["pixel_values"].contiguous()
    rows_of = torch.cdist(found.flatten(1), expected.flatten(1)).argmin(dim=1)  # images are read in another order
    torch.testing.assert_close(found, expected[rows_of])
    assert sorted(rows_of.tolist()) == list(range(12))
    assert torch.equal(seen["labels"], torch.tensor(rows["label"])[rows_of])


def test_command(make_target, architecture, tmp_path, capfd):
    arguments = ["pretrain", "--dataset", str(make_target()), "--architecture", str(architecture), "--image-size", "24"]
    assert main([*arguments, "--steps", "1", "--output", str(tmp_path / "new")]) == 0
    printed = capfd.readouterr()
    assert printed.out == f"{tmp_path / 'new'}\n"
    assert "pre-training (1)" in printed.err
    assert main([*arguments, "--steps", "1", "--output", str(tmp_path / "new")]) == 2
    assert "must be a new folder" in capfd.readouterr().err


def test_groups_are_counted_on_the_card_and_shared_test_splits_are_noted(architecture, tmp_path, capfd):
    data = in_memory({"train": [0, 1] * 8, "test": [0, 1] * 6}, datasets.ClassLabel(names=["a", "b"]))
    patients = {"train": [f"Meier {i // 2}" for i in range(16)], "test": [f"Meier {7 + i // 2}" for i in range(12)]}
    data = datasets.DatasetDict({split: data[split].add_column("patient", names) for split, names in patients.items()})
    data.save_to_disk(tmp_path / "data")
    words = ["pretrain", "--dataset", str(tmp_path / "data"), "--architecture", str(architecture), "--image-size", "24"]
    assert main([*words, "--steps", "1", "--group-column", "patient", "--output", str(tmp_path / "new")]) == 0
    printed = capfd.readouterr().err
    assert "1 groups of patient are also in the test split (2 images)" in printed
    card = (tmp_path / "new" / "README.md").read_text()
    assert "- groups: 8 (patient)" in card
    assert "Meier" not in card + printed


def scans(folder, change=lambda image: image):
    """Folders train/CLASS and test/CLASS of pictures after `change`; two test images are among those of training, and one
    training image has two labels."""
    pictures = [change(Image.fromarray(image)) for image in blobs(30, 2)[0]]
    for split, numbers in {"train": range(16), "test": [3, 5, *range(18, 28)]}.items():
        for number in numbers:
            place = folder / split / "ab"[number % 2] / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            pictures[number].save(place)
    pictures[4].save(folder / "train" / "b" / "again.png")
    return folder


@pytest.fixture
def pretrained(architecture, tmp_path, capfd):
    """pretrained(data, *words): the status, the lines printed, and the classes of the checkpoint, of a short training."""

    def run(data, *words):
        command = ["pretrain", "--dataset", str(data), "--architecture", str(architecture), "--image-size", "24"]
        status = main([*command, "--steps", "1", "--output", str(tmp_path / "new"), *words])
        config = tmp_path / "new" / "config.json"
        classes = list(json.loads(config.read_text())["id2label"].values()) if config.exists() else None
        return status, capfd.readouterr().err, classes

    return run


def test_images_in_two_splits_and_with_two_labels_are_noted(pretrained, tmp_path):
    status, printed, _ = pretrained(scans(tmp_path / "data"))
    assert status == 0
    assert "1 pair of equal training images with different labels: " in printed
    assert "2 of 17 images are among 12 of the test split: " in printed
    assert "do not test this network on them." in printed


def test_what_is_not_used_whole_is_said(pretrained, tmp_path):
    deep = scans(tmp_path / "data", lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16))
    status, printed, _ = pretrained(deep)
    assert status == 0
    assert "split train: windowed: " in printed and "17 of 17 images by 0..65535" in printed
    printed = pretrained(deep, "--window", "0,4095", "--output", str(tmp_path / "second"))[1]
    assert "17 of 17 images by 0..4095" in printed


def test_nested_folders_are_read_at_a_level(pretrained, tmp_path):
    for number, image in enumerate(blobs(24, 2)[0]):
        place = tmp_path / "data" / f"class {number % 2}" / f"patient {number % 6}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    assert pretrained(tmp_path / "data", "--class-level", "1")[2] == ["class 0", "class 1"]


def test_every_option_of_reading_is_one_of_pretrain(pretrained, tmp_path):
    """A table that cannot be read without its options: columns, slices of volumes, a configuration's split."""
    volumes = [np.stack([np.zeros((24, 24)), phantom(code % 2, code), np.ones((24, 24))], axis=2) for code in range(16)]
    features = datasets.Features(
        {"scan": datasets.Image(), "other": datasets.Image(), "finding": datasets.ClassLabel(names=["no", "yes"])}
    )
    cells = [{"bytes": nifti(volume.astype(np.int16)), "path": None} for volume in volumes]
    table = datasets.Dataset.from_dict({"scan": cells, "other": cells, "finding": [0, 1] * 8}, features=features)
    datasets.DatasetDict({"first": table, "second": table}).save_to_disk(tmp_path / "data")
    words = ["--split", "second", "--image-column", "scan", "--label-column", "finding", "--slice", "1", "--window=-60,160"]
    status, printed, classes = pretrained(tmp_path / "data", *words)
    assert (status, classes) == (0, ["no", "yes"])
    assert "16 of 16 images, of which slice 1 along axis 2 is used" in printed


def test_options_of_drawing_are_no_options_of_pretrain(architecture, tmp_path):
    with pytest.raises(UsageError, match="unexpected keyword argument 'draw'"):
        pretrain([tmp_path], architecture, tmp_path / "new", draw="random")
