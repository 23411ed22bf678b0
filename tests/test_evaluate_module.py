"""The evaluate module in this process: the values of `score` and `rank`, no Arrow on the way, and wrong input refused."""

import doctest
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.inputs import blobs, resnet_config
from PIL import Image

from hf_transferability import ScoreWarning, all_metrics, rank, score
from hf_transferability.registration import METRIC_PATH, register

CARD = Path(METRIC_PATH, "README.md")
pytestmark = pytest.mark.filterwarnings("ignore::hf_transferability.ScoreWarning")


@pytest.fixture(scope="module")
def evaluate():
    import evaluate  # takes seconds

    return evaluate


@pytest.fixture(scope="module")
def load(evaluate):
    return lambda *arguments, **options: evaluate.load(METRIC_PATH, *arguments, **options)


@pytest.fixture(scope="module")
def arrays():
    """The package's inputs for 120 images of 3 classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(120) % 3)
    return {
        "features": (rng.normal(size=(120, 16)) + 0.6 * labels[:, None]).astype(np.float32),
        "labels": labels,
        "source_probabilities": rng.dirichlet(np.ones(5), 120),
        "gradient_norms": rng.random((6, 2)) + 0.5,
    }


def called(inputs):
    """The same inputs by the names of evaluate."""
    names = {"features": "predictions", "labels": "references"}
    return {names.get(name, name): value for name, value in inputs.items()}


def as_columns(name, value):
    if not isinstance(value, dict):
        return {name: value}
    return {part if part in all_metrics() else f"{name}_{part}": number for part, number in value.items()}


@pytest.fixture(scope="module")
def pool(make_checkpoint):
    return [str(make_checkpoint(resnet_config(n_labels=4 + seed), seed=seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def pictures():
    images, codes = blobs(36, 3)
    return images, [f"class {code}" for code in codes]


def test_it_loads_from_a_checkout_by_its_folder(evaluate, arrays, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    metric = evaluate.load("metrics/transferability", "logme")
    assert (metric.name, metric.config_name, metric.module_type) == ("transferability", "logme", "metric")
    assert "source_probabilities: [n_samples, n_source_classes]" in metric.compute.__doc__
    expected = score("logme", features=arrays["features"], labels=arrays["labels"])
    assert metric.compute(predictions=arrays["features"], references=arrays["labels"]) == {"logme": expected}


@pytest.mark.parametrize("name", all_metrics())
def test_every_metric_gives_the_values_of_score(name, load, arrays):
    metric = all_metrics()[name]
    own = {key: arrays[key] for key in metric.inputs}
    for variant in metric.variants:
        for inputs in (own, arrays):  # what a metric does not need does not disturb it
            result = load(name).compute(**called(inputs), variant=variant)
            assert result == as_columns(name, score(name, **own, variant=variant))
            assert all(type(value) is float for value in result.values())
    if metric.seeded:
        assert load(name).compute(**called(own), seed=7) == as_columns(name, score(name, **own, seed=7))


@pytest.mark.parametrize("variant", ["default", "published"])
def test_the_default_configuration_computes_what_the_inputs_allow(variant, load, arrays):
    def expected(*inputs, task="single_label"):
        values = {}
        for metric in all_metrics().values():
            if set(metric.inputs) <= set(inputs) and ("labels" not in metric.inputs or task in metric.tasks):
                own = {key: given[key] for key in metric.inputs}
                chosen = variant if variant in metric.variants else "default"
                values |= as_columns(metric.name, score(metric.name, **own, variant=chosen))
        return values

    given = arrays
    assert load().compute(**called(given), variant=variant) == expected(*given)
    for names in (["features", "labels"], ["source_probabilities", "labels"], ["gradient_norms"]):
        assert load().compute(**called({name: given[name] for name in names}), variant=variant) == expected(*names)
    given = arrays | {"labels": np.random.default_rng(1).integers(0, 2, (120, 4))}
    result = load().compute(**called(given), variant=variant)
    assert result == expected(*given, task="multi_label")
    assert {"logme", "h_score", "knn", "linear_probe"} <= set(result)


def test_a_metric_that_is_undefined_is_left_out_of_the_default_with_its_reason(load, arrays):
    inputs = called({"features": arrays["features"], "labels": arrays["labels"]})
    with pytest.warns(UserWarning, match="feature_update_ratio is left out: `gradient_norms` must have a gradient"):
        result = load().compute(**inputs, gradient_norms=np.zeros((3, 2)))
    assert result == load().compute(**inputs)


def test_the_account_of_what_was_used(load, arrays):
    metric = load("logme")
    assert metric.account == ""
    metric.compute(predictions=arrays["features"], references=arrays["labels"])
    assert metric.account == "split (arrays) 120; 3 classes: 0: 40 images, 1: 40, 2: 40; left out: nothing."
    metric.compute(predictions=arrays["features"], references=np.eye(3, dtype=int)[arrays["labels"]])
    assert metric.account == "split (arrays) 120; 3 classes: 0: 40 images, 1: 40, 2: 40; left out: nothing."
    metric.compute(predictions=arrays["features"], references=np.linspace(0, 1, 120))
    assert metric.account == "split (arrays) 120; left out: nothing."


def test_flags_are_warnings(load):
    rng = np.random.default_rng(0)
    with pytest.warns(ScoreWarning, match="n<=d"):
        load("logme").compute(predictions=rng.normal(size=(12, 30)), references=[0, 1] * 6)


def test_arrays_reach_the_metric_without_a_copy(evaluate, load, arrays, monkeypatch):
    module = importlib.import_module("hf_transferability.evaluate_module")
    seen = {}
    monkeypatch.setattr(module, "score", lambda name, **inputs: seen.update(inputs) or 1.0)

    def refuse(*arguments, **options):
        raise AssertionError("an Arrow file was opened")

    monkeypatch.setattr(evaluate.EvaluationModule, "_init_writer", refuse)
    assert load("logme").compute(predictions=arrays["features"], references=arrays["labels"]) == {"logme": 1.0}
    assert seen["features"] is arrays["features"]
    assert seen["labels"] is arrays["labels"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batches_keep_every_bit(dtype, load, monkeypatch):
    module = importlib.import_module("hf_transferability.evaluate_module")
    seen = {}
    monkeypatch.setattr(module, "score", lambda name, **inputs: seen.update(inputs) or 1.0)
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(50, 7)) * 10.0 ** rng.integers(-20, 20, (50, 7))).astype(dtype)
    labels = rng.integers(0, 3, 50)
    metric = load("logme")
    buffer = np.empty((20, 7), dtype)  # filled again and again, as a loop over a dataset may do
    for start in (0, 20):
        buffer[:] = features[start : start + 20]
        metric.add_batch(predictions=buffer, references=labels[start : start + 20].tolist())
    assert len(metric) == 40
    metric.add(prediction=torch.tensor(features[40]), reference=labels[40].item())
    metric.compute(predictions=features[41:], references=labels[41:])
    assert seen["features"].dtype == dtype
    assert seen["features"].tobytes() == features.tobytes()
    assert seen["labels"].tolist() == labels.tolist()
    assert len(metric) == 0


def test_batches_give_the_same_values(load, arrays):
    inputs = called(arrays)
    whole = load().compute(**inputs)
    metric = load()
    for start in range(0, 120, 50):
        rows = slice(start, start + 50)
        metric.add_batch(
            predictions=torch.tensor(inputs["predictions"][rows], requires_grad=True),
            references=inputs["references"][rows],
            source_probabilities=inputs["source_probabilities"][rows],
        )
    assert metric.compute(gradient_norms=inputs["gradient_norms"]) == whole
    assert metric.compute(**inputs) == whole  # nothing is left of the batches
    names = np.array(["a", "bcd", "ef"])[arrays["labels"]]
    by_name = load("logme")
    by_name.add_batch(predictions=inputs["predictions"][:60], references=names[:60])
    by_name.add_batch(predictions=inputs["predictions"][60:].tolist(), references=names[60:].tolist())
    assert by_name.compute()["logme"] == pytest.approx(whole["logme"], rel=1e-9)


X, Y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
P, G = np.full((12, 4), 0.25), np.ones((2, 2))
REFUSED = {
    "no references": ("logme", {"predictions": X}, "`references` must be given for logme; got None"),
    "no references at all": ("default", {"predictions": X}, "`references` must be given, one per image"),
    "no probabilities": ("leep", {"predictions": X, "references": Y}, "`source_probabilities` must be given"),
    "nothing": ("default", {}, "`predictions`, `source_probabilities` or `gradient_norms` must be given"),
    "only references": ("default", {"references": Y}, "must be given; got none"),
    "lengths": ("logme", {"predictions": X, "references": Y[:9]}, "`references` must have one entry .* got 9 for 12"),
    "lengths, default": ("default", {"predictions": X, "references": Y[:9]}, "`references` must have one entry"),
    "lengths of probabilities": ("default", {"predictions": X, "references": Y, "source_probabilities": P[:9]}, "got 12 for 9"),
    "text": ("logme", {"predictions": X.astype(str), "references": Y}, "`predictions` must be real numbers; got <U"),
    "a text": ("logme", {"predictions": [["1", "2"]] * 12, "references": Y}, "`predictions` must be real numbers"),
    "objects": ("default", {"predictions": X.astype(object), "references": Y}, "`predictions` must be real numbers"),
    "ragged": ("logme", {"predictions": [[1.0], [1.0, 2.0]] * 6, "references": Y}, "`predictions` .* different lengths"),
    "flat": ("logme", {"predictions": X[:, 0], "references": Y}, r"`predictions` must be an array .* got shape \(12,\)"),
    "nan": ("default", {"predictions": X * np.nan, "references": Y}, "`predictions` must be finite"),
    "float labels": ("knn", {"predictions": X, "references": Y / 2}, "`references` .* encode them as integers"),
    "float labels, default": ("default", {"predictions": X, "references": Y * 1.0}, "`references` must be classes"),
    "mixed labels": ("logme", {"predictions": X, "references": ["a", 1] * 6}, "`references` must be .*; got int, str"),
    "no label": ("logme", {"predictions": X, "references": [None, 1] * 6}, "`references` must hold a value for every image"),
    "one class": ("default", {"predictions": X, "references": Y * 0}, "`references` must"),
    "logits": ("default", {"references": Y, "source_probabilities": X}, "`source_probabilities` must be non-negative"),
    "norms": ("default", {"gradient_norms": X}, r"`gradient_norms` must have shape \[n_batches, 2\]"),
    "several labels": ("sfda", {"predictions": X, "references": np.eye(2)[Y]}, "`references` must be one class per image"),
    "variant": ("logme", {"predictions": X, "references": Y, "variant": "x"}, "`variant` must be one of"),
    "variant, default": ("default", {"predictions": X, "references": Y, "variant": "x"}, "`variant` must be"),
    "seed": ("knn", {"predictions": X, "references": Y, "seed": 0.5}, "`seed` must be an integer"),
    "unknown": ("logme", {"predictions": X, "references": Y, "normalise": True}, "unexpected arguments: normalise"),
    "images": ("logme", {"predictions": [Image.new("RGB", (8, 8))] * 12, "references": Y}, "`predictions` must be an array"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_is_refused(case, load):
    config, inputs, text = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=text):
        load(config).compute(**inputs)


def test_wrong_batches_are_refused(load):
    metric = load("logme")
    for batch, error, text in [
        ({"predictions": X, "references": Y[:9]}, ValueError, "one row per image each; got {'predictions': 12"),
        ({"predictions": [["1"]] * 12, "references": Y}, TypeError, "`predictions` must be real numbers"),
        ({"predictions": X, "references": ["a", 1] * 6}, TypeError, "`references` must be of one type; got int, str"),
    ]:
        with pytest.raises(error, match=text):
            metric.add_batch(**batch)
    assert len(metric) == 0
    metric.add_batch(predictions=X, references=Y)
    for batch, error, text in [
        ({"predictions": X, "references": Y * 1.0}, TypeError, "one type in all batches; got float64 after int64"),
        ({"predictions": X, "references": Y.astype(str)}, TypeError, "one type in all batches"),
        ({"predictions": X[:, :2], "references": Y}, ValueError, "`predictions` must have the same width"),
        ({"references": Y}, ValueError, "the same inputs; got references after predictions, references"),
        ({"predictions": X, "references": Y, "source_probabilities": P}, ValueError, "the same inputs"),
    ]:
        with pytest.raises(error, match=text):
            metric.add_batch(**batch)
    with pytest.raises(ValueError, match="got batches of features before"):
        metric.compute(checkpoints=["owner/name"])
    assert metric.compute() == load("logme").compute(predictions=X, references=Y)


def test_unknown_configurations_and_several_processes_are_refused(load):
    with pytest.raises(ValueError, match=f"must be one of default, {', '.join(all_metrics())}; got 'logem'"):
        load("logem")
    with pytest.raises(ValueError, match="`num_process` must be 1; got 2"):
        load("logme", num_process=2, process_id=0)


@pytest.mark.filterwarnings("error")
def test_images_and_checkpoints_give_the_ranking_of_rank(load, pool, pictures):
    import datasets

    images, labels = pictures
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    table = datasets.Dataset.from_dict({"image": [Image.fromarray(image) for image in images], "label": labels}, features)
    expected = rank(table, pool, intervals=False).to_dict()
    metric = load()
    assert metric.compute(predictions=images, references=labels, checkpoints=pool, intervals=False) == expected
    assert metric.account == expected["dataset"]["account"]["line"]
    options = {"checkpoints": pool[:1], "seed": 3, "sample_size": 24, "intervals": False}
    smaller = load("logme").compute(predictions=table["image"], references=table["label"], **options)
    assert smaller == load("logme").compute(predictions=np.stack(images), references=labels, **options)
    assert smaller == rank(table, metrics=["logme"], **options).to_dict()
    assert (smaller["dataset"]["images"], expected["dataset"]["images"]) == (24, 36)


def test_wrong_images_are_refused(load, pool, pictures):
    images, labels = pictures
    given = {"predictions": images, "references": labels, "checkpoints": pool}
    for change, error, text in [
        ({"predictions": ["a.png"] * 36}, TypeError, "`predictions` must be images when `checkpoints` are given: .* got str"),
        ({"predictions": [image / 255 for image in images]}, TypeError, "got float64 array of shape"),
        ({"predictions": [image.transpose(2, 0, 1) for image in images]}, TypeError, "got uint8 array of shape"),
        ({"predictions": None}, ValueError, "`predictions` must be given with `checkpoints`"),
        ({"references": None}, ValueError, "`references` must be given with `checkpoints`"),
        ({"references": labels[:9]}, ValueError, "`references` must have one entry per row .* got 9 for 36"),
        ({"references": np.linspace(0, 1, 36), "metrics": ["knn"]}, ValueError, "knn cannot score a regression target"),
        ({"source_probabilities": P}, ValueError, "`source_probabilities` must be left out with `checkpoints`"),
        ({"checkpoints": pool[0]}, ValueError, "must be a list of paths"),
        ({"split": "train"}, TypeError, "unexpected arguments: split"),
    ]:
        with pytest.raises(error, match=text):
            load().compute(**(given | change))


def test_several_labels_per_image_are_ranked(load, pool, pictures):
    labels = np.random.default_rng(0).integers(0, 2, (36, 3))
    result = load("logme").compute(predictions=pictures[0], references=labels, checkpoints=pool[:1], intervals=False)
    assert result["dataset"]["task"] == "multi_label"
    assert result["rows"][0]["score"] is not None


def test_numbers_to_predict_are_ranked(load, pool, pictures):
    import datasets

    ages = np.random.default_rng(0).normal(50, 10, 36)
    columns = {"image": [Image.fromarray(image) for image in pictures[0]], "label": ages.tolist()}
    table = datasets.Dataset.from_dict(
        columns, datasets.Features({"image": datasets.Image(), "label": datasets.Value("float64")})
    )
    options = {"checkpoints": pool[:1], "intervals": False}
    result = load("logme").compute(predictions=pictures[0], references=ages, **options)
    assert result == rank(table, metrics=["logme"], sample_size="all", **options).to_dict()
    assert result["dataset"]["task"] == "regression"


def test_an_opened_image_is_taken_as_it_is_in_memory(tmp_path):
    """Not from its file, which may show something else; upright; and without loss."""
    from hf_transferability.data.images import decode
    from hf_transferability.evaluate_module import _encoded

    pixels = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "image.png", exif=turned)
    with Image.open(tmp_path / "image.png") as image:
        image.load()
        image.putpixel((0, 0), (9, 9, 9))
        shown, _ = decode(_encoded(image)["bytes"])
    pixels[0, 0] = 9
    np.testing.assert_array_equal(shown, np.rot90(pixels, -1))


def test_the_examples_of_the_card_run(evaluate, pool, pictures, monkeypatch):
    register()
    monkeypatch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
    blocks = re.findall(r"```python\n(.*?)```", CARD.read_text(), re.DOTALL)
    assert len(blocks) == 3
    scope = {"images": pictures[0], "labels_of_images": pictures[1], "checkpoints": pool}
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), scope, "the card", str(CARD), 0)
    report = []
    doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)


@pytest.fixture(scope="module")
def app():
    spec = importlib.util.spec_from_file_location("space_app", Path(METRIC_PATH, "app.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_app_scores_a_file(app, load, arrays, tmp_path):
    from safetensors.torch import save_file

    np.savez(tmp_path / "a.npz", **arrays | {"labels": np.array(["a", "b", "c"])[arrays["labels"]]})
    save_file({name: torch.tensor(value) for name, value in arrays.items()}, tmp_path / "a.safetensors")
    expected = load().compute(**called(arrays))
    assert dict(app.score_file(tmp_path / "a.safetensors")[0]) == expected
    assert dict(app.score_file(tmp_path / "a.npz")[0]) == pytest.approx(expected, rel=0.05)
    assert app.score_file(tmp_path / "a.npz", "leep")[0] == [["leep", pytest.approx(expected["leep"])]]
    np.savez(tmp_path / "wide.npz", features=np.random.default_rng(0).normal(size=(12, 30)), labels=[0, 1] * 6)
    assert app.score_file(tmp_path / "wide.npz", "logme")[1].startswith("- n<=d: ")


def test_the_app_refuses_other_files(app, tmp_path, monkeypatch):
    class Harmful:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    np.savez(tmp_path / "pickle.npz", labels=np.array([Harmful()], dtype=object))
    np.savez(tmp_path / "names.npz", x=X)
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "names.npz").read_bytes()[:200])
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    (tmp_path / "features.csv").write_text("1,2")
    for name, text in [
        ("pickle.npz", "cannot be read: it is not a valid archive, or holds pickled objects"),
        ("names.npz", "must hold arrays called features, labels, .* got x"),
        ("broken.npz", "cannot be read"),
        ("cut.npz", "cannot be read"),
        ("broken.safetensors", "cannot be read"),
        ("features.csv", "must end in .npz or .safetensors"),
    ]:
        with pytest.raises(ValueError, match=text):
            app.score_file(tmp_path / name)
    with pytest.raises(ValueError, match="choose a file"):
        app.score_file(None)
    monkeypatch.setattr(app, "LARGEST", 100)
    np.savez_compressed(tmp_path / "bomb.npz", features=np.zeros((1000, 10)), labels=np.arange(1000) % 2)
    with pytest.raises(ValueError, match="must have at most 0 MiB"):
        app.score_file(tmp_path / "bomb.npz")


def test_groups_reach_the_metrics(load, arrays):
    groups = [f"p{i // 4}" for i in range(120)]
    given = {"predictions": arrays["features"], "references": arrays["labels"]}
    expected = score("knn", features=arrays["features"], labels=arrays["labels"], groups=groups)
    assert load("knn").compute(**given, groups=groups) == {"knn": expected}
    metric = load("knn")
    for part in (slice(0, 50), slice(50, 120)):
        metric.add_batch(predictions=given["predictions"][part], references=given["references"][part], groups=groups[part])
    assert metric.compute() == {"knn": expected}
    assert load().compute(**given, groups=groups)["knn"] == expected
    with pytest.raises(ValueError, match="one entry per image"):
        load().compute(**given, groups=groups[:5])


def test_images_with_groups_are_ranked(load, pool, pictures):
    images, labels = pictures
    groups = [f"Meier {i // 3}" for i in range(len(labels))]
    ranking = load("knn").compute(predictions=images, references=labels, checkpoints=pool, groups=groups, intervals=False)
    assert ranking["dataset"]["groups"] == len(set(groups))
    assert "Meier" not in str(ranking)


@pytest.mark.parametrize("name", ["default", "logme", "knn"])
@pytest.mark.parametrize("argument", ["references", "groups"])
def test_missing_references_and_groups_are_refused(name, argument, load, arrays):
    """Also by metrics that take no groups, and from batches."""
    given = {"predictions": arrays["features"], "references": arrays["labels"], "groups": np.arange(120) % 7}
    texts = [str(value) for value in given[argument]]
    for value, kind in ((None, "None"), (float("nan"), "NaN"), ("", "empty texts")):
        wrong = {**given, argument: [*texts[:3], value, *texts[4:]]}
        metric = load(name)
        for act in (metric.compute, metric.add_batch):
            text = rf"^`{argument}` must hold a value for every image; got {kind} for 1 of 120 \(first: 3\)"
            with pytest.raises(ValueError, match=text):
                act(**wrong)
    with pytest.raises(ValueError, match=f"^`{argument}` must have one entry per image; got none"):
        load(name).compute(**{**given, argument: []})


@pytest.mark.parametrize("name", ["default", "logme", "knn"])
def test_one_column_is_taken_as_labels_and_groups(name, load, arrays):
    inputs = {"predictions": arrays["features"], "references": arrays["labels"], "groups": np.arange(120) % 7}
    columns = {**inputs, "references": arrays["labels"][:, None].tolist(), "groups": inputs["groups"][:, None]}
    expected = load(name).compute(**inputs)
    metric = load(name)
    assert metric.compute(**columns) == expected
    assert metric.account.startswith("split (arrays) 120; 3 classes: 0: 40 images, 1: 40, 2: 40")
    metric.add_batch(**columns)
    assert metric.compute() == expected
