"""The table of all metrics, and the way to score arrays with one of them.

A metric registers itself: `@register(...)` above its function, in a file of its own. Every file of this package whose
name does not start with an underscore is imported on the first look-up, so a new metric touches one file.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Collection
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from hf_transferability.arguments import LARGEST_SEED, checked_names
from hf_transferability.errors import shown, unknown_name
from hf_transferability.metrics._groups import checked_groups
from hf_transferability.metrics._metric import INPUTS, SCENARIOS, Metric
from hf_transferability.metrics._pool import FACTS
from hf_transferability.metrics._validation import (
    TASKS,
    as_array,
    check_count,
    check_task,
    one_column,
    refuse_missing,
    refuse_unclear_numbers,
)

__all__ = ["INPUTS", "SCENARIOS", "TASKS", "Metric", "all_metrics", "get_metric", "register", "score"]

_METRICS: dict[str, Metric] = {}


def register(**declaration: Any) -> Callable[[Callable], Callable]:
    """Declare the decorated function as the metric of its own name; keywords are the fields of `Metric`.

    Raises:
        ValueError: (when decorating) unknown inputs, tasks or facts, or raw numbers without formula.
    """

    def add(function: Callable) -> Callable:
        for key in {"invariances", "half_options", "floors"} & set(declaration):
            declaration[key] = MappingProxyType(declaration[key])
        metric = Metric(name=function.__name__, function=function, **declaration)
        known = {"inputs": INPUTS, "tasks": TASKS, "facts": tuple(FACTS)}
        for name, possible in known.items():
            if unknown := [value for value in getattr(metric, name) if value not in possible]:
                raise ValueError(f"`{name}` of metric {metric.name} must be among {', '.join(possible)}; got {unknown}.")
        if bool(metric.raw_names) != metric.is_pool_relative or (metric.components and metric.parts):
            raise ValueError(
                f"metric {metric.name} must declare a formula with either parts or components, or none of the three; "
                f"got parts {metric.parts}, components {metric.components}, formula {metric.formula}."
            )
        metric = replace(metric, function=_with_checked_variant(metric))
        _METRICS[metric.name] = metric
        return metric.function

    return add


def _with_checked_variant(metric: Metric) -> Callable:
    """The metric's function, which refuses a variant that it does not have, also where it is called directly."""
    if "variant" not in metric.options:
        return metric.function

    @functools.wraps(metric.function)
    def call(*arguments: Any, **options: Any) -> Any:
        if "variant" in options:
            metric.check_variant(options["variant"])
        return metric.function(*arguments, **options)

    return call


def all_metrics() -> dict[str, Metric]:
    """Every metric by name, in alphabetical order."""
    package = importlib.import_module(__package__)
    _import_all(tuple(package.__path__))
    return dict(sorted(_METRICS.items()))


@functools.cache
def _import_all(folders: tuple[str, ...]) -> None:
    for module in pkgutil.iter_modules(folders):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__package__}.{module.name}")


def get_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        ValueError: there is none; the text names those that exist.
    """
    metrics = all_metrics()
    if not isinstance(name, str) or name not in metrics:
        raise ValueError(unknown_name("metric", name, metrics))
    return metrics[name]


def parts_for(name: str, task: str) -> tuple[str, ...]:
    """The parts of a composite metric that can score a target of this task; of another metric none."""
    return tuple(part for part in get_metric(name).parts if task in get_metric(part).tasks)


def can_score(name: str, task: str, inputs: Collection[str]) -> bool:
    """Whether a metric can score a target of this task from these of INPUTS."""
    metric = get_metric(name)
    if task not in metric.tasks:
        return False
    if metric.is_composite and not metric.needs_all_parts:
        return any(can_score(part, task, inputs) for part in parts_for(name, task))
    return set(metric.inputs) <= set(inputs)


@checked_names
def score(
    name: str,
    *,
    features: Any = None,
    labels: Any = None,
    source_probabilities: Any = None,
    gradient_norms: Any = None,
    groups: Any = None,
    variant: str = "default",
    seed: int | None = None,
    half_sample: bool = False,
    task: str | None = None,
) -> float | dict[str, float]:
    """Score arrays at hand with one metric. Higher is better.

    Args:
        name: a metric's name, as listed by `hf-transferability metrics`.
        features: [n_samples, n_features], the input of the source network's last head layer; or a `Sample` of them, whose
            decompositions several metrics then share.
        labels: [n_samples] class labels of any kind; for some metrics also [n_samples, n_labels] of 0 and 1, or float
            targets.
        source_probabilities: [n_samples, n_source_classes], softmax of the source logits.
        gradient_norms: [n_batches, 2], L2 norms of the loss gradient at the first and the second layer.
        groups: [n_samples], images that belong together, such as those of a patient; metrics that compare or divide images
            (`Metric.uses_groups`) keep them together, the others only check them.
        variant: "default" (the correct or robust form) or "published" (as in the paper's tables).
        seed: for the metric's random choices, where it makes any; None is the metric's own (the paper's, where it names
            one).
        half_sample: the arrays are one of the half-samples that an interval is made of: some metrics then take a
            cheaper form.
        task: "regression" for few whole float labels that are numbers to predict; without it they are refused, because they
            may be classes.

    Returns:
        A float; or, for a metric that exists only relative to a pool of candidates, a dict of its raw numbers, which
        `get_metric(name).combine` turns into scores.

    Raises:
        ValueError, TypeError: an unknown metric or variant, a missing input, a kind of target that the metric cannot
            score, or input for which it is undefined.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> round(score("logme", features=x, labels=["a", "a", "b", "b"]), 3)
        -0.276
    """
    metric = get_metric(name)
    if not isinstance(half_sample, bool):
        raise TypeError(f"`half_sample` must be True or False; got {shown(half_sample)}. Leave it out.")
    given = {
        "features": features,
        "labels": None if labels is None else one_column(labels),
        "source_probabilities": source_probabilities,
        "gradient_norms": gradient_norms,
    }
    if seed is not None:
        check_count("seed", seed, smallest=0, largest=LARGEST_SEED)
    if missing := [key for key in metric.inputs if given[key] is None]:
        raise ValueError(f"`{missing[0]}` must be given for {name}; got None. {name} needs {', '.join(metric.inputs)}.")
    if groups is not None:
        groups = one_column(groups)
        _check_groups(groups, given)
    if "labels" in metric.inputs:
        refuse_missing("labels", given["labels"])
        if task is None:
            refuse_unclear_numbers(given["labels"])
        check_task(name, metric.tasks, given["labels"], {other.name: other.tasks for other in all_metrics().values()})
    options: dict[str, Any] = {"seed": seed} if metric.seeded and seed is not None else {}
    if groups is not None and metric.uses_groups:
        options["groups"] = groups
    metric.check_variant(variant)
    if "variant" in metric.options:
        options["variant"] = variant
    if half_sample:
        options |= metric.half_options
    value = metric.function(**{key: given[key] for key in metric.inputs}, **options)
    if not np.isfinite(list(value.values()) if isinstance(value, dict) else value).all():
        raise ValueError(f"`{metric.inputs[0]}` must give a finite {name}; got {value}. Check the scale of the input.")
    return value


def _check_groups(groups: Any, given: dict[str, Any]) -> None:
    """Refuse groups that do not fit the images, also for metrics that do not use them; see `checked_groups`."""
    of_images = next((given[key] for key in ("features", "source_probabilities", "labels") if given[key] is not None), groups)
    if shape := as_array(of_images).shape:
        checked_groups(groups, shape[0])
