"""The class behind `evaluate.load("transferability")`: arrays go to `score`, images to `rank`. No maths here.

The arrays do not pass through evaluate's Arrow file: at 20,000 x 768 that costs more than the metric, and silently rounds or
casts values that do not fit its declared types. Importing evaluate takes many seconds, so no other module of the package
imports this one at the top.
"""

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from hf_transferability.errors import unknown_name
from hf_transferability.metrics import all_metrics, collect_flags, score
from hf_transferability.metrics._groups import encode_groups
from hf_transferability.metrics._validation import (
    UNDEFINED,
    as_array,
    as_numbers,
    check_features,
    check_gradient_norms,
    check_regression_labels,
    check_source_probabilities,
    encode_labels,
    encode_targets,
    one_column,
    refuse_missing,
    task_of,
)
from hf_transferability.names import VARIANTS
from hf_transferability.provenance import CITATION

_DESCRIPTION = """\
How well will pretrained checkpoints do on a labelled (medical) image dataset after fine-tuning? Scores from features,
source probabilities and gradient norms without fine-tuning: the transferability score of Juodelyte et al. 2024 with its
two components, and the usual baselines. The name of the configuration is the name of the metric.
"""

_INPUTS = """
Args:
    predictions: features [n_samples, n_features]; or, with `checkpoints`, images: PIL images or uint8 arrays.
    references: labels [n_samples] of any kind; for some metrics [n_samples, n_labels] of 0 and 1, or float targets.
    source_probabilities: [n_samples, n_source_classes], softmax of the source logits.
    gradient_norms: [n_batches, 2], L2 norms of the loss gradient at the first and the second layer.
    groups: [n_samples], images that belong together, such as those of a patient: metrics that compare or divide images keep
        them together.
    checkpoints: Hub ids or local folders to rank for these images.
    variant: "default" or "published".
    seed: seed of the metric's random choices; None for the metric's own.
    **options: with `checkpoints`, the options of `hf_transferability.rank`; all images are used unless `sample_size` is
        given.

Returns:
    Floats by name; a metric that exists only relative to a pool of candidates gives its raw components. With
    `checkpoints`, the same as `hf_transferability.rank(...).to_dict()`: "rows", best first, and their provenance.
"""

_logger = evaluate.logging.get_logger(__name__)
# The package's name of an input -> the name that a caller of evaluate knows.
_EVALUATE_NAMES = {"features": "predictions", "labels": "references"}
_CHECKS = {
    "features": check_features,
    "source_probabilities": check_source_probabilities,
    "gradient_norms": check_gradient_norms,
}
_ONE_EACH = ("labels", "groups")  # inputs of one value per image
# Options of `rank` that have no meaning for images in memory.
_NOT_FOR_IMAGES = {"dataset", "config", "split", "revision", "image_column", "label_column", "streaming", "group_column"}


class Transferability(evaluate.Metric):
    """Transferability scores from arrays, or a ranking of checkpoints for images; `config_name` is the metric's name.

    "default" means every metric that the given arrays allow, or the default ranking of images.

    Attributes:
        account: what the last `compute` used: number of rows, classes with their counts, and what was left out, in one line;
            "" without labels. It is logged, too (`evaluate.logging.set_verbosity_info()` shows it).
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        if self.num_process != 1:
            raise ValueError(
                f"`num_process` must be 1; got {self.num_process}. Gather the arrays, for example with Accelerate, and compute "
                "in one process."
            )
        self._batches: dict[str, list] = {}
        self.account = ""

    def _info(self) -> evaluate.MetricInfo:
        names = ["default", *all_metrics()]
        if self.config_name not in names:
            raise ValueError(unknown_name("config_name", self.config_name, names))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=CITATION,
            inputs_description=_INPUTS,
            # For readers and for `evaluate.combine`, which reads the names; nothing is cast to these types.
            features=datasets.Features(
                {"predictions": datasets.List(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
            license="Apache-2.0",
            reference_urls=["https://arxiv.org/abs/2412.20172"],
        )

    def __len__(self) -> int:
        """Number of images added by `add` and `add_batch` since the last `compute`."""
        return sum(map(len, next(iter(self._batches.values()), [])))

    def add_batch(
        self,
        *,
        predictions: Any = None,
        references: Any = None,
        source_probabilities: Any = None,
        gradient_norms: Any = None,
        groups: Any = None,
    ) -> None:
        """Add rows for the next `compute`. Every call must give the same inputs, of the same types and widths.

        Raises:
            ValueError, TypeError: wrong shapes or types, or inputs that do not match in length or with earlier batches.
        """
        given = _given(predictions, references, source_probabilities, gradient_norms, groups)
        batch = {name: _checked_batch(name, value) for name, value in given.items()}
        lengths = {_EVALUATE_NAMES.get(name, name): len(value) for name, value in batch.items() if name != "gradient_norms"}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the inputs of a batch must have one row per image each; got {lengths}. Pass the same images.")
        if self._batches and set(batch) != set(self._batches):
            raise ValueError(
                f"each batch must give the same inputs; got {_listed(batch)} after {_listed(self._batches)}. "
                "Pass inputs of the whole sample to compute."
            )
        for name, value in batch.items():
            first = self._batches.get(name, [value])[0]
            # Concatenated they would silently become one type: 1 and "a" text, 1 and 0.5 a regression target.
            if name in _ONE_EACH and value.dtype.kind != first.dtype.kind:
                raise TypeError(
                    f"`{_EVALUATE_NAMES.get(name, name)}` must be of one type in all batches; got {value.dtype} after "
                    f"{first.dtype}. Give every image a value of one type."
                )
            if value.shape[1:] != first.shape[1:]:
                raise ValueError(
                    f"`{_EVALUATE_NAMES.get(name, name)}` must have the same width in all batches; got shape {value.shape} "
                    f"after {first.shape}."
                )
        for name, value in batch.items():
            self._batches.setdefault(name, []).append(value)

    def add(self, *, prediction: Any = None, reference: Any = None, **others: Any) -> None:
        """Add one image's features and label (and source probabilities) for the next `compute`."""
        given = {"predictions": prediction, "references": reference, **others}
        self.add_batch(**{name: as_array(value)[np.newaxis] for name, value in given.items() if value is not None})

    def compute(
        self,
        *,
        predictions: Any = None,
        references: Any = None,
        source_probabilities: Any = None,
        gradient_norms: Any = None,
        groups: Any = None,
        checkpoints: Sequence[Any] | None = None,
        variant: str = "default",
        seed: int | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Compute the scores of arrays, given here or by `add_batch` before, or rank checkpoints for images.

        Raises:
            ValueError, TypeError: a missing or unknown input, or one for which the metric is undefined.
        """
        inputs = _given(predictions, references, source_probabilities, gradient_norms, groups)
        if self._batches:
            if checkpoints is not None:
                raise ValueError(
                    "`checkpoints` needs images passed to compute; got batches of features before. Compute these first."
                )
            if more := {_EVALUATE_NAMES.get(name, name): inputs[name] for name in self._batches if name in inputs}:
                self.add_batch(**more)
            inputs |= {name: np.concatenate(batches) for name, batches in self._batches.items()}
            self._batches = {}
        result = self._compute(inputs, checkpoints, variant, seed, options)
        self.account = _account(inputs, result, checkpoints is not None)
        if self.account:
            _logger.info(self.account)
        return result

    def _compute(
        self,
        inputs: dict[str, Any],
        checkpoints: Sequence[Any] | None,
        variant: str,
        seed: int | None,
        options: dict[str, Any],
    ) -> dict[str, Any]:
        with _names_of_evaluate():
            if checkpoints is not None:
                options |= {"variant": variant} | ({} if seed is None else {"seed": seed})
                return self._ranked(inputs, checkpoints, options)
            if options:
                raise TypeError(
                    f"compute() got unexpected arguments: {', '.join(options)}. Options of rank need `checkpoints`."
                )
            if self.config_name == "default":
                return _all_scores(inputs, variant, seed)
            return _floats(self.config_name, score(self.config_name, **inputs, variant=variant, seed=seed))

    def _ranked(self, inputs: dict[str, Any], checkpoints: Sequence[Any], options: dict[str, Any]) -> dict[str, Any]:
        from hf_transferability.checkpoints.options import LoadOptions
        from hf_transferability.data.options import SampleOptions
        from hf_transferability.ranking.run import rank  # imports torch

        if extra := set(inputs) - {"features", "labels", "groups"}:
            raise ValueError(
                f"`{min(extra)}` must be left out with `checkpoints`, from which it is extracted; got both. Choose one."
            )
        of_loading = {field.name for field in dataclasses.fields(LoadOptions)}
        of_rank = set(inspect.signature(rank).parameters) - {"options"}
        possible = (of_rank | of_loading | set(SampleOptions.names())) - _NOT_FOR_IMAGES
        if unknown := ", ".join(sorted(set(options) - possible)):
            raise TypeError(f"compute() got unexpected arguments: {unknown}. Possible: {', '.join(sorted(possible))}.")
        metrics = () if self.config_name == "default" else (self.config_name,)
        dataset = _dataset(inputs.get("features"), inputs.get("labels"))
        if "groups" in inputs:
            dataset = dataset.add_column("group", [str(code) for code in encode_groups(inputs["groups"], len(dataset))])
            options = {**options, "group_column": "group"}
        return rank(dataset, checkpoints, **{"metrics": metrics, "sample_size": "all", **options}).to_dict()


def _account(inputs: Mapping[str, Any], result: Mapping[str, Any], ranked: bool) -> str:
    """The account of what was computed from, in one line."""
    if ranked:
        return str(result["dataset"]["account"]["line"])
    from hf_transferability.data.array_labels import account_of_labels

    if "labels" not in inputs:
        return ""
    return account_of_labels(as_array(inputs["labels"])).line()


def _given(predictions: Any, references: Any, source_probabilities: Any, gradient_norms: Any, groups: Any) -> dict[str, Any]:
    """The inputs that are not None, under the package's names."""
    inputs = {
        "features": predictions,
        "labels": references,
        "source_probabilities": source_probabilities,
        "gradient_norms": gradient_norms,
        "groups": groups,
    }
    given = {name: value for name, value in inputs.items() if value is not None}
    return {name: one_column(value) if name in _ONE_EACH else value for name, value in given.items()}


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(_EVALUATE_NAMES.get(name, name) for name in names) or "nothing"


def _checked_batch(name: str, value: Any) -> np.ndarray:
    """Some rows of an input as an array whose type does not depend on other batches."""
    if name not in _ONE_EACH:
        return as_numbers(
            _EVALUATE_NAMES.get(name, name), value, ndim=2, shape="with one row per image or gradient batch"
        ).copy()
    if len(value) if isinstance(value, list | tuple) else as_array(value).size:
        refuse_missing(_EVALUATE_NAMES.get(name, name), value)
    kinds = {type(item) for item in value} if isinstance(value, list | tuple) else set()
    if str in kinds and len(kinds) > 1:
        given = _EVALUATE_NAMES.get(name, name)
        raise TypeError(f"`{given}` must be of one type; got {', '.join(sorted(kind.__name__ for kind in kinds))}.")
    array = as_array(value)
    if name == "groups" and array.ndim != 1:
        raise ValueError(f"`groups` must be [n_samples]; got shape {array.shape}. Pass one group per image.")
    if array.ndim not in (1, 2):
        raise ValueError(f"`references` must be [n_samples] or [n_samples, n_labels]; got shape {array.shape}.")
    return array.copy()  # the caller may reuse one buffer for all batches


@contextlib.contextmanager
def _names_of_evaluate() -> Iterator[None]:
    """Inside, error texts use the names of the inputs that a caller of evaluate knows."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if error.args and isinstance(error.args[0], str):
            text = error.args[0]
            for name, evaluate_name in _EVALUATE_NAMES.items():
                text = text.replace(f"`{name}`", f"`{evaluate_name}`")
            error.args = (text, *error.args[1:])
        raise


def _all_scores(inputs: dict[str, Any], variant: str, seed: int | None) -> dict[str, float]:
    """Every metric that the inputs allow. One that is undefined for them is left out with a warning that says why."""
    _check_inputs(inputs)
    if variant not in VARIANTS:
        raise ValueError(f"`variant` must be {' or '.join(VARIANTS)}; got {variant!r}. Choose one of these.")
    task = task_of(inputs["labels"]) if "labels" in inputs else None
    scores: dict[str, float] = {}
    failure: Exception | None = None
    for metric in all_metrics().values():
        if metric.is_composite or not set(metric.inputs) <= set(inputs):  # the parts of a composite are metrics themselves
            continue
        if "labels" in metric.inputs and task not in metric.tasks:
            continue
        chosen = variant if variant in metric.variants else "default"
        try:
            scores |= _floats(metric.name, score(metric.name, **inputs, variant=chosen, seed=seed))
        except UNDEFINED as error:
            failure = failure or error
            warnings.warn(f"{metric.name} is left out: {error}", stacklevel=4)
    if not scores:
        raise failure or ValueError(f"no metric scores {task} targets from {_listed(inputs)} alone. Give the features, too.")
    return scores


def _check_inputs(inputs: dict[str, Any]) -> None:
    """Refuse wrong input at once, since the default configuration continues when a single metric is undefined."""
    if not set(inputs) & set(_CHECKS):
        raise ValueError("`features`, `source_probabilities` or `gradient_norms` must be given; got none. Pass one of these.")
    rows = {name: len(check(inputs[name])) for name, check in _CHECKS.items() if name in inputs}
    rows.pop("gradient_norms", None)
    if "labels" not in inputs:
        if rows:
            raise ValueError("`labels` must be given, one per image; got None. Pass the labels of the target dataset.")
        return
    labels = inputs["labels"]
    for name in set(_ONE_EACH) & set(inputs):
        refuse_missing(name, inputs[name])
    if task_of(labels) == "regression":
        raise TypeError(
            f"`labels` must be classes in the default configuration; got {as_array(labels).dtype}. "
            "Encode classes as integers; for a regression target load the configuration logme."
        )
    if "groups" in inputs:
        encode_groups(inputs["groups"], len(as_array(labels)))
    with collect_flags():  # no warnings here: the metrics give them
        for n_samples in rows.values():
            encode_targets(labels, n_samples)


def _floats(name: str, value: float | Mapping[str, float]) -> dict[str, float]:
    """A metric's value under its name; raw components under the names of a ranking's columns."""
    if not isinstance(value, Mapping):
        return {name: float(value)}
    metrics = all_metrics()
    return {part if part in metrics else f"{name}_{part}": float(number) for part, number in value.items()}


def _dataset(images: Any, labels: Any) -> datasets.Dataset:
    """Images and labels in memory as a dataset.

    Raises:
        TypeError: something else than images, or labels that are not classes.
        ValueError: missing, or of different length.
    """
    if images is None or labels is None:
        missing = "features" if images is None else "labels"
        raise ValueError(f"`{missing}` must be given with `checkpoints`; got None. Pass images and their labels.")
    encoded = [_encoded(image) for image in images]
    with collect_flags():  # not warned of here: they stand on the ranking's rows
        if task_of(labels) == "multi_label":
            encode_targets(labels, len(encoded))
            column: Any = datasets.List(datasets.Value("int64"))
            values = as_array(labels).astype(np.int64).tolist()
        elif task_of(labels) == "regression":
            column, values = datasets.Value("float64"), check_regression_labels(labels, len(encoded)).tolist()
        else:
            codes, classes = encode_labels(labels, len(encoded))
            column, values = datasets.ClassLabel(names=[str(name) for name in classes]), codes.tolist()
    features = datasets.Features({"image": datasets.Image(), "label": column})
    return datasets.Dataset.from_dict({"image": encoded, "label": values}, features=features)


def _encoded(image: Any) -> dict[str, Any]:
    """One image as the bytes of a lossless file."""
    from PIL import Image, ImageOps

    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2:] == (3,)):
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        got = f"{image.dtype} array of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(
            "`features` must be images when `checkpoints` are given: PIL images, or uint8 arrays [height, width] or "
            f"[height, width, 3]; got {got}. Open or convert them."
        )
    # A copy, because `datasets` stores the file of an opened image instead of its pixels, which may have been changed, or
    # compresses them as the file was; upright, because the copy's file does not say which side is up.
    return datasets.Image().encode_example(ImageOps.exif_transpose(image))
