"""What every metric refuses, and in which words: features, labels, groups and options that cannot be used."""

import re

import numpy as np
import pytest

from hf_transferability.metrics import ScoreWarning, all_metrics, get_metric, score

METRICS = all_metrics()
LABELLED = [name for name, metric in METRICS.items() if "labels" in metric.inputs]
ON_FEATURES = [name for name, metric in METRICS.items() if "features" in metric.inputs]


@pytest.mark.parametrize("name", ON_FEATURES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_features_that_are_not_finite(name, bad, make_arrays, scored):
    arrays = make_arrays()
    arrays["features"][3, 1] = arrays["features"][9, 0] = bad
    text = "`features` must be finite; got NaN or infinity in 2 of 60 rows. Check the images and the checkpoint that gave them."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        scored(name, arrays)


@pytest.mark.parametrize("name", LABELLED)
def test_refuses_one_class(name, make_arrays, scored):
    text = "`labels` must hold at least 2 classes; got only ['lesion']. Choose another label column or sample."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        scored(name, {**make_arrays(), "labels": np.array(["lesion"] * 60)})


@pytest.mark.parametrize("name", LABELLED)
def test_refuses_another_length(name, make_arrays, scored):
    arrays = make_arrays()
    text = "`labels` must have one entry per row of the other inputs; got 59 for 60. Pass them in the same order."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        scored(name, {**arrays, "labels": arrays["labels"][:-1]})


@pytest.mark.parametrize("name", ON_FEATURES)
@pytest.mark.parametrize(
    ("features", "error", "text"),
    [
        ([["1", "2"]] * 60, TypeError, "`features` must be real numbers; got <U1."),
        (np.ones((60, 3), dtype=bool), TypeError, "`features` must be real numbers; got bool."),
        (np.ones((60, 3), dtype=complex), TypeError, "`features` must be real numbers; got complex128."),
        (object(), TypeError, "`features` must be real numbers; got object."),
        (np.ones(60), ValueError, "`features` must be an array [n_samples, n_features]; got shape (60,)."),
        (np.ones((60, 3, 3)), ValueError, "`features` must be an array [n_samples, n_features]; got shape (60, 3, 3)."),
        ([[1.0], [1.0, 2.0]], ValueError, "`features` must be an array [n_samples, n_features]; got rows of different"),
        (np.ones((1, 3)), ValueError, "`features` must have at least 2 rows and 1 column; got shape (1, 3)."),
        (np.ones((60, 0)), ValueError, "`features` must have at least 2 rows and 1 column; got shape (60, 0)."),
        (np.full((60, 3), 1e60), ValueError, "`features` must be between 1e-30 and 1e+30 in size; got at most 1e+60."),
    ],
)
def test_refuses_features_of_the_wrong_type(name, features, error, text, make_arrays, scored):
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        scored(name, {**make_arrays(), "features": features})


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, "a"] * 30, "`labels` must be integers, strings or booleans; got int, str."),
        (np.array([1j, 2j] * 30), "`labels` must be integers, strings or booleans; got complex128."),
    ],
)
def test_refuses_labels_that_are_not_classes(name, labels, text, make_arrays, scored):
    with pytest.raises(TypeError, match=f"^{re.escape(text)}"):
        scored(name, {**make_arrays(), "labels": labels})


MISSING = {
    "None": [None, "a", "b"] * 20,
    "NaN": [float("nan"), 0, 1] * 20,
    "NaN and None": np.array([None, float("nan"), "a", "b"] * 15, object),
    "NaN ": np.array(["nan", "a", "b"] * 20),
    "empty texts": ["", " ", "a", "b"] * 15,
}


@pytest.mark.parametrize("argument", ["labels", "groups"])
@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("name", ["logme", "knn"])  # one of them takes no groups
def test_refuses_labels_and_groups_with_missing_values(name, kind, argument):
    text = rf"^`{argument}` must hold a value for every image; got {kind.strip()} for [0-9]+ of 60 \(first: 0\)\. Fill them in"
    with pytest.raises(ValueError, match=text):
        score(name, **{"features": np.ones((60, 3)), "labels": [0, 1, 2] * 20, argument: MISSING[kind]})
    with pytest.raises(ValueError, match=f"^`{argument}` must have one entry per image; got none"):
        score(name, **{"features": np.ones((60, 3)), "labels": [0, 1, 2] * 20, argument: []})


@pytest.mark.parametrize("argument", ["labels", "groups"])
def test_refuses_masked_values(argument):
    masked = np.ma.masked_equal([0, 1, 2] * 20, 2)
    with pytest.raises(ValueError, match=f"^`{argument}` must hold a value for every image; got masked ones"):
        score("logme", **{"features": np.ones((60, 3)), "labels": [0, 1, 2] * 20, argument: masked})


@pytest.mark.parametrize("name", METRICS)
def test_refuses_missing_inputs_and_unknown_options(name, make_arrays):
    arrays = {key: value for key, value in make_arrays().items() if key in METRICS[name].inputs}
    first = METRICS[name].inputs[0]
    with pytest.raises(ValueError, match=f"^`{first}` must be given for {name}; got None. {name} needs "):
        score(name, **{key: value for key, value in arrays.items() if key != first})
    with pytest.raises(ValueError, match=rf"^`variant` must be one of default.* for {name}; got 'other'\."):
        score(name, **arrays, variant="other")
    with pytest.raises(TypeError, match=r"^`seed` must be an integer; got 'x'\."):
        score(name, **arrays, seed="x")
    with pytest.raises(ValueError, match=r"^`seed` must be at least 0; got -1\."):
        score(name, **arrays, seed=-1)


def test_refuses_an_unknown_metric():
    with pytest.raises(ValueError, match=r"^`metric` must be one of consensus, .*; got 'accuracy'\. Choose"):
        get_metric("accuracy")


@pytest.mark.parametrize("name", LABELLED)
def test_several_labels_per_image(name, make_arrays, scored):
    arrays = make_arrays()
    columns = np.stack([arrays["labels"] == k for k in range(3)], axis=1).astype(int)
    able = [other for other, metric in METRICS.items() if "multi_label" in metric.tasks]
    if name not in able:
        text = (
            f"`labels` must be one class per image for {name}; got several labels per image (int64, shape (60, 3)). "
            f"Metrics that score multi_label targets: {', '.join(able)}."
        )
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            scored(name, {**arrays, "labels": columns})
        return
    value, flags = scored(name, {**arrays, "labels": columns})
    if "logme" in (name, *METRICS[name].parts):  # one class against the rest is what it does anyway; a composite's last part
        assert value == pytest.approx(scored(name, arrays)[0][-1:], rel=1e-12)
    else:
        singles = [scored(name, {**arrays, "labels": column})[0][0] for column in columns.T]
        assert value[0] == pytest.approx(np.mean(singles), rel=1e-12)
    for same in (columns.astype(bool), columns.astype(np.float32), columns.tolist()):
        assert (scored(name, {**arrays, "labels": same})[0] == value).all()
    constant = np.hstack([columns, np.zeros((60, 1), int), np.ones((60, 1), int)])
    again, more_flags = scored(name, {**arrays, "labels": constant})
    assert (again == value).all()
    assert more_flags == flags | {"constant_label_column"}
    with pytest.warns(ScoreWarning, match=r"^constant_label_column: .* \(columns 3, 4 of 5\)$"):
        score(name, features=arrays["features"], labels=constant)


@pytest.mark.parametrize("name", [name for name in LABELLED if "multi_label" in METRICS[name].tasks])
@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.zeros((60, 3), int), "`labels` must have a column that varies; got 3 constant columns."),
        (np.arange(120).reshape(60, 2), "`labels` must hold only 0 and 1 when 2-d; got int64 values [0, 1, 2, 3, 4]."),
        (np.eye(59, dtype=int), "`labels` must have one entry per row of the other inputs; got 59 for 60."),
        (np.full((60, 2), np.nan), "`labels` must hold only 0 and 1 when 2-d; got float64 values [nan]."),
    ],
)
def test_refuses_label_columns(name, labels, text, make_arrays, scored):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        scored(name, {**make_arrays(), "labels": labels})


@pytest.mark.parametrize("name", [name for name in LABELLED if "regression" not in METRICS[name].tasks])
def test_numbers_as_labels_are_refused_where_only_classes_will_do(name, make_arrays, scored):
    able = ", ".join(other for other, metric in METRICS.items() if "regression" in metric.tasks)
    text = f" for {name}; got a number per image (float64, shape (60,)). Metrics that score regression targets: {able}. "
    with pytest.raises(ValueError, match=re.escape(text)):
        scored(name, {**make_arrays(), "labels": np.linspace(0, 1, 60)})
