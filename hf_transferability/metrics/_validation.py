"""The only place that checks and encodes what a metric is given.

Every error reads: `argument` must <rule>; got <value>. <What to do>.
"""

from typing import Any

import numpy as np

from hf_transferability.errors import shown
from hf_transferability.metrics._flags import warn
from hf_transferability.names import means_missing

# What a metric raises where it has no value for its input.
UNDEFINED = (ValueError, TypeError, FloatingPointError, np.linalg.LinAlgError)
TASKS = ("single_label", "multi_label", "regression")
_TARGETS = {
    "single_label": "one class per image",
    "multi_label": "several labels per image",
    "regression": "a number per image",
}
_TIGHT_SUM, _LOOSE_SUM = 1e-3, 2e-2  # how far a row of probabilities may be from 1, in float32 and in half precision
FEW_VALUES = 20  # numbers with more distinct values are not taken for classes
_SMALLEST, _LARGEST = 1e-30, 1e30  # even squares of squares stay within float64


def check_features(features: Any) -> np.ndarray:
    """Features as a finite float32 or float64 array [n_samples, n_features]; the caller's array is never written to.

    Raises:
        ValueError: not 2-d, empty, fewer than 2 rows, NaN or infinite.
        TypeError: not numbers.
    """
    array = as_numbers("features", features, ndim=2, shape="[n_samples, n_features]")
    if array.shape[0] < 2 or array.shape[1] < 1:
        raise ValueError(f"`features` must have at least 2 rows and 1 column; got shape {array.shape}. Pass one row per image.")
    largest = max(float(array.max()), -float(array.min()))
    if largest > _LARGEST or 0 < largest < _SMALLEST:
        raise ValueError(
            f"`features` must be between {_SMALLEST:g} and {_LARGEST:g} in size; got at most {largest:.4g}. Scale them."
        )
    return array


def check_varying(features: np.ndarray, codes: np.ndarray | None = None) -> None:
    """Refuse features for which a spread is needed and there is none, between the images or (with codes) within their
    classes.

    Raises:
        ValueError: the same row for all images, or for all images of each class.
    """
    if (features == features[0]).all():
        raise ValueError("`features` must vary between images; got the same row for all. Check the checkpoint.")
    if codes is not None:
        first = np.unique(codes, return_index=True)[1]
        if all((features[codes == code] == features[image]).all() for code, image in enumerate(first)):
            raise ValueError(
                "`features` must vary within a class; got the same row for all images of each. "
                "Take a sample with more images per class, or use knn."
            )


def task_of(labels: Any) -> str:
    """Which of TASKS the labels are: 2-d is several labels per image, floats a regression target, the rest classes."""
    array = as_array(labels)
    if array.ndim == 2:
        return "multi_label"
    return "regression" if array.dtype.kind == "f" else "single_label"


def one_column(values: Any) -> Any:
    """Labels or groups [n_samples, 1], also as lists, as [n_samples]; all others as they are."""
    if isinstance(values, list | tuple):
        rows = bool(values) and all(isinstance(row, list | tuple) and len(row) == 1 for row in values)
        return [row[0] for row in values] if rows else values
    shape = tuple(getattr(values, "shape", ()))
    return as_array(values)[:, 0] if len(shape) == 2 and shape[-1] == 1 else values


def refuse_missing(name: str, values: Any) -> None:
    """Refuse labels or groups [n_samples] of which some are None, NaN or an empty text, or of which there are none.

    Of groups also texts such as "NA" and "unknown", which would be one group of all such images.

    Args:
        name: the argument's name, for errors.
        values: in one dimension; with more, only their number is looked at.

    Raises:
        ValueError: names the kind, the number of such values and the first.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise ValueError(
            f"`{name}` must hold a value for every image; got masked ones. Fill them in, or leave those images out."
        )
    items = values if isinstance(values, list | tuple) else as_array(values)
    if isinstance(items, np.ndarray) and not items.ndim:
        return
    if not len(items):
        raise ValueError(f"`{name}` must have one entry per image; got none. Pass them in the order of the images.")
    if isinstance(items, np.ndarray) and (items.ndim > 1 or items.dtype.kind in "biu"):
        return
    unknown = name == "groups"  # a class may be called so
    missing = {
        i: kind
        for i, value in enumerate(items)
        if (kind := _missing(value) or (f"the text {str(value)!r}" if unknown and means_missing(value) else ""))
    }
    if missing:
        kinds = " and ".join(sorted(set(missing.values())))
        raise ValueError(
            f"`{name}` must hold a value for every image; got {kinds} for {len(missing)} of {len(items)} "
            f"(first: {min(missing)}). Fill them in, or leave those images out."
        )


def _missing(value: Any) -> str:
    """What a missing value is called; "" for others."""
    if isinstance(value, np.str_) and value == "nan":  # what NumPy makes of NaN among texts
        return "NaN"
    if isinstance(value, str):
        return "" if value.strip() else "empty texts"
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "None" if value is None else "NA"
    if isinstance(value, np.datetime64) and np.isnat(value):
        return "NaT"
    return "NaN" if isinstance(value, float | np.floating) and np.isnan(value) else ""


def refuse_unclear_numbers(labels: Any) -> None:
    """Refuse float labels that may be classes: few distinct values, all whole.

    Raises:
        TypeError: such labels.
    """
    array = as_array(labels)
    if array.dtype.kind == "f" and array.ndim == 1 and are_few_whole_numbers(array):
        shown = ", ".join(f"{value:g}" for value in np.unique(array))
        raise TypeError(
            f"`labels` must be integers if they are classes; got floats with the whole values {shown}. "
            "Cast classes to integers; for numbers to predict pass task='regression' or another unit."
        )


def are_few_whole_numbers(values: Any) -> bool:
    """Whether numbers have so few distinct values, all whole, that they may be classes which a table turned into floats."""
    distinct = np.unique(np.asarray(values, dtype=np.float64))
    return len(distinct) <= FEW_VALUES and bool((distinct == np.round(distinct)).all())


def check_task(name: str, tasks: tuple[str, ...], labels: Any, others: dict[str, tuple[str, ...]]) -> None:
    """Refuse labels of a kind that the metric `name` cannot score; `others` are all metrics with their tasks.

    Raises:
        ValueError: names the metric, and those that can.
    """
    task = task_of(labels)
    if task not in tasks:
        able = ", ".join(other for other, possible in others.items() if task in possible)
        array = as_array(labels)
        raise ValueError(
            f"`labels` must be {' or '.join(_TARGETS[possible] for possible in tasks)} for {name}; "
            f"got {_TARGETS[task]} ({array.dtype}, shape {array.shape}). "
            f"Metrics that score {task} targets: {able}."
            + (" If these are classes, encode them as integers." if task == "regression" else "")
        )


def encode_labels(labels: Any, n_samples: int) -> tuple[np.ndarray, list]:
    """Class labels of any kind as codes 0..n_classes-1 [n_samples], and the sorted original labels.

    Gaps (0, 2, 5), strings and booleans are fine. Warns with `single_image_class`.

    Raises:
        ValueError: wrong length, one class only, or missing labels.
        TypeError: labels that are not classes (floats, objects of mixed type).
    """
    refuse_missing("labels", labels)
    array = as_array(labels)
    if array.ndim != 1:
        raise ValueError(
            f"`labels` must be 1-d, one class per image; got shape {array.shape}. "
            "Flatten one column with labels[:, 0]; several labels per image need a metric that lists multi_label in its tasks."
        )
    if len(array) != n_samples:
        raise ValueError(
            f"`labels` must have one entry per row of the other inputs; got {len(array)} for {n_samples}. "
            "Pass them in the same order."
        )
    given = labels if isinstance(labels, list | tuple) else array if array.dtype.kind == "O" else []
    kinds = {bool if isinstance(value, np.bool) else int if isinstance(value, np.integer) else type(value) for value in given}
    # A list of both is not guessed at: NumPy would turn the number 1 into the text "1".
    if kinds - {str, np.str_} and kinds - {bool, int} and (array.dtype.kind == "O" or kinds & {str, np.str_}):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"`labels` must be integers, strings or booleans; got {names}. Give every image one label of one type.")
    if array.dtype.kind in "OT":
        try:
            array = array.astype(str if kinds <= {str, np.str_} else np.int64)
        except OverflowError as error:
            raise ValueError("`labels` must be integers of 64 bits; got larger ones. Encode the classes as texts.") from error
    if array.dtype.kind not in "iubU":
        raise TypeError(f"`labels` must be integers, strings or booleans; got {array.dtype}. Encode the classes as integers.")
    classes, codes, counts = np.unique(array, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f"`labels` must hold at least 2 classes; got only {classes.tolist()}. Choose another label column or sample."
        )
    if counts.min() == 1:
        warn("single_image_class", f"{int((counts == 1).sum())} of {len(classes)} classes")
    return codes.astype(np.int64), classes.tolist()


def encode_targets(labels: Any, n_samples: int) -> list[np.ndarray]:
    """Codes of every target that the labels hold: [codes] for one class per image, else one 0/1 vector per label column
    that varies.

    A column that is the same for every image says nothing about the features: it is left out, for every candidate
    alike. Warns with `constant_label_column`.

    Raises:
        ValueError: as `encode_labels`; or columns that are not 0 and 1, or none that varies.
        TypeError: as `encode_labels`.
    """
    if task_of(labels) != "multi_label":
        return [encode_labels(labels, n_samples)[0]]
    array = as_array(labels)
    if len(array) != n_samples:
        raise ValueError(
            f"`labels` must have one entry per row of the other inputs; got {len(array)} for {n_samples}. "
            "Pass them in the same order."
        )
    if array.shape[1] < 2:
        raise ValueError(
            f"`labels` must have at least 2 columns when 2-d; got shape {array.shape}. Flatten one column with labels[:, 0]."
        )
    if array.dtype.kind not in "iubf" or not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"`labels` must hold only 0 and 1 when 2-d; got {array.dtype} values {np.unique(array)[:5].tolist()}. "
            "Pass one column per label, 1 where the image has it."
        )
    array = array.astype(np.int64)
    constant = np.flatnonzero((array == array[0]).all(axis=0))
    if len(constant) == array.shape[1]:
        raise ValueError(
            f"`labels` must have a column that varies; got {array.shape[1]} constant columns. Choose another sample."
        )
    if len(constant):
        warn("constant_label_column", f"columns {', '.join(map(str, constant))} of {array.shape[1]}")
    return [column for k, column in enumerate(array.T) if k not in constant]


def check_regression_labels(labels: Any, n_samples: int) -> np.ndarray:
    """Numbers to predict as float64 [n_samples].

    Raises:
        ValueError: wrong length, NaN or infinite, or the same for every image.
    """
    array = as_array(labels).astype(np.float64)
    if len(array) != n_samples:
        raise ValueError(
            f"`labels` must have one entry per row of the other inputs; got {len(array)} for {n_samples}. "
            "Pass them in the same order."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"`labels` must be finite; got NaN or infinity in {int((~np.isfinite(array)).sum())} of {len(array)}. "
            "Leave those images out."
        )
    if (array == array[0]).all():
        raise ValueError(f"`labels` must vary; got {array[0]:.4g} for every image. Choose another label column or sample.")
    return array


def check_count(name: str, value: Any, smallest: int = 1, largest: int | None = None) -> None:
    """Refuse a number of things that is no integer, too small or too large.

    Raises:
        TypeError: not an integer.
        ValueError: too small or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"`{name}` must be an integer; got {value!r}. Pass a whole number.")
    if value < smallest:
        raise ValueError(f"`{name}` must be at least {smallest}; got {value}. Pass a larger number.")
    if largest is not None and value > largest:
        raise ValueError(f"`{name}` must be at most {largest}; got {shown(value)}. Pass a smaller number.")


def check_source_probabilities(source_probabilities: Any) -> np.ndarray:
    """Source probabilities as float64 [n_samples, n_source_classes], each row summing to exactly one.

    Raises:
        ValueError: not 2-d, NaN, negative, or rows that do not sum to one (logits, for example).
        TypeError: not numbers.
    """
    tolerance = _LOOSE_SUM if _is_half(source_probabilities) else _TIGHT_SUM
    array = as_numbers("source_probabilities", source_probabilities, ndim=2, shape="[n_samples, n_source_classes]").astype(
        np.float64
    )
    if array.shape[0] < 2 or array.shape[1] < 2:
        raise ValueError(
            f"`source_probabilities` must have at least 2 rows and 2 columns; got shape {array.shape}. "
            "A checkpoint without a source head has no source probabilities."
        )
    sums = array.sum(axis=1)
    if array.min() < 0 or np.abs(sums - 1).max() > tolerance:
        raise ValueError(
            "`source_probabilities` must be non-negative with rows that sum to 1; "
            f"got values from {array.min():.4g} to {array.max():.4g} and row sums from {sums.min():.4g} to {sums.max():.4g}. "
            "Apply a softmax to logits first."
        )
    return array / sums[:, None]


def check_gradient_norms(gradient_norms: Any) -> np.ndarray:
    """Gradient norms as float64 [n_batches, 2]: first and second layer, one row per gradient batch.

    Raises:
        ValueError: another shape, NaN, infinite or negative.
        TypeError: not numbers.
    """
    array = as_numbers("gradient_norms", gradient_norms, ndim=2, shape="[n_batches, 2]").astype(np.float64)
    if array.shape[0] < 1 or array.shape[1] != 2:
        raise ValueError(
            f"`gradient_norms` must have shape [n_batches, 2] (first, second layer); got {array.shape}. "
            "Pass one row per gradient batch."
        )
    if array.min() < 0:
        raise ValueError(f"`gradient_norms` must not be negative; got {array.min():.4g}. Pass L2 norms.")
    return array


def _is_half(value: Any) -> bool:
    """Whether values come in half precision, whose rows sum to one only roughly."""
    first = value[0] if isinstance(value, list | tuple) and len(value) else value
    return str(getattr(first, "dtype", "")).removeprefix("torch.") in ("float16", "bfloat16")


def as_array(value: Any) -> np.ndarray:
    """Arrays, lists and dense tensors of any device as a NumPy array, of whatever type and shape they have.

    Raises:
        TypeError: a sparse or quantised tensor, or one without values.
        ValueError: rows of different lengths.
    """
    if isinstance(value, list | tuple) and any(hasattr(item, "detach") for item in value):
        value = [as_array(item) for item in value]
    if hasattr(value, "detach"):  # a torch tensor, on any device, with or without a graph
        try:
            value = value.detach().cpu()
            if not hasattr(value, "numpy") or str(value.dtype) == "torch.bfloat16":
                value = value.float()
            value = value.resolve_conj().numpy() if hasattr(value, "resolve_conj") else value
        except (TypeError, RuntimeError) as error:  # sparse, quantised, or without values (meta)
            raise TypeError("`array` must be a dense tensor with values; got another kind. Convert it by to_dense.") from error
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError("`array` must be regular; got rows of different lengths or depths. Pass one row per image.") from error


def as_numbers(name: str, value: Any, ndim: int, shape: str) -> np.ndarray:
    """Finite real numbers as a float32 or float64 array of `ndim` dimensions.

    Args:
        name: the argument's name, for errors.
        value: what `as_array` takes.
        ndim: number of dimensions.
        shape: the shape in words, for errors, such as [n_samples, n_features].

    Raises:
        TypeError: no real numbers.
        ValueError: another number of dimensions, rows of different lengths, NaN or infinity.
    """
    try:
        array = as_array(value)
    except ValueError as error:  # ragged rows
        raise ValueError(
            f"`{name}` must be an array {shape}; got rows of different lengths. Pass one row per image."
        ) from error
    if array.dtype.kind not in "iuf":
        raise TypeError(f"`{name}` must be real numbers; got {array.dtype}. Convert them yourself, nothing is guessed.")
    if array.ndim != ndim:
        raise ValueError(f"`{name}` must be an array {shape}; got shape {array.shape}. Pass one row per image.")
    array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64) if array.dtype.kind != "f" else array
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    if array.size and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).any(axis=1).sum())
        raise ValueError(
            f"`{name}` must be finite; got NaN or infinity in {bad} of {len(array)} rows. "
            "Check the images and the checkpoint that gave them."
        )
    return array
