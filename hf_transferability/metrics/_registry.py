"""What a metric declares, and the table of all metrics.

A metric registers itself: `@register(...)` above its function, in a file of its own. Every file of this package whose
name does not start with an underscore is imported on the first look-up, so a new metric touches one file.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hf_transferability.errors import unknown_name
from hf_transferability.metrics._validation import TASKS, check_count, check_task, one_column, refuse_unclear_numbers

INPUTS = ("features", "labels", "source_probabilities", "gradient_norms")


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Attributes:
        function: takes its inputs by keyword, and `variant` and `seed` where it has them.
        inputs: which of INPUTS it needs.
        range: lowest and highest value of the default variant, after `combine` where there is one; infinite where there
            is no bound.
        largest_sample: above so many images it takes a seeded subsample of this size.
        published_range: of the published variant, where it differs.
        unit: "nats", "share" or the like; "none" for a bare number.
        comparable: whether values may be compared between targets; if not, only within one pool.
        paper: authors, year and link.
        tasks: which of TASKS it can score.
        version: raised whenever the default value changes; part of every published row.
        invariances: name of a change of the input -> relative tolerance at which the default variant ignores it.
        smallest_n: fewest images for which it is defined.
        published: whether the paper's tables have it, or its plain form; where the function takes no `variant`, both
            are the same.
        combine: for a pool-relative metric: raw components over the pool -> one score per candidate.
        half_options: keyword arguments of the function for half-samples, where a cheaper form will do: it may make
            their spread wider, not narrower.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    range: tuple[float, float]
    unit: str
    paper: str
    comparable: bool = True
    tasks: tuple[str, ...] = ("single_label",)
    version: int = 1
    invariances: MappingProxyType = field(default_factory=lambda: MappingProxyType({}))
    smallest_n: int = 2
    published: bool = True
    combine: Callable[..., Any] | None = None
    published_range: tuple[float, float] | None = None
    largest_sample: int | None = None
    half_options: MappingProxyType = field(default_factory=lambda: MappingProxyType({}))

    def range_of(self, variant: str) -> tuple[float, float]:
        """Lowest and highest value of a variant."""
        return self.published_range if variant == "published" and self.published_range else self.range

    @property
    def summary(self) -> str:
        """First sentence of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")

    @property
    def variants(self) -> tuple[str, ...]:
        """The values of `variant` that `score` accepts for it."""
        return ("default", "published") if self.published else ("default",)

    @property
    def variants_differ(self) -> bool:
        """Whether its default and its published form are two things."""
        combined = inspect.signature(self.combine).parameters if self.combine else {}
        return "variant" in self._parameters or "variant" in combined

    @property
    def seeded(self) -> bool:
        """Whether it makes random choices, so that `seed` is part of its result."""
        return "seed" in self._parameters

    @functools.cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.function).parameters)


_METRICS: dict[str, Metric] = {}


def register(**declaration: Any) -> Callable[[Callable], Callable]:
    """Declare the decorated function as the metric of its own name; keywords are the fields of `Metric`."""

    def add(function: Callable) -> Callable:
        for key in {"invariances", "half_options"} & set(declaration):
            declaration[key] = MappingProxyType(declaration[key])
        metric = Metric(name=function.__name__, function=function, **declaration)
        if unknown := set(metric.inputs) - set(INPUTS) | set(metric.tasks) - set(TASKS):
            raise ValueError(f"metric {metric.name} declares unknown inputs or tasks: {sorted(unknown)}")
        _METRICS[metric.name] = metric
        return function

    return add


def all_metrics() -> dict[str, Metric]:
    """Every metric by name, in alphabetical order."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(_METRICS.items()))


def get_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        ValueError: there is none; the text names those that exist.
    """
    metrics = all_metrics()
    if name not in metrics:
        raise ValueError(unknown_name("metric", name, metrics))
    return metrics[name]


def score(
    name: str,
    *,
    features: Any = None,
    labels: Any = None,
    source_probabilities: Any = None,
    gradient_norms: Any = None,
    variant: str = "default",
    seed: int | None = None,
    half_sample: bool = False,
    task: str | None = None,
) -> float | dict[str, float]:
    """Score arrays at hand with one metric. Higher is better.

    Args:
        name: a metric's name, as listed by `hf-transferability metrics`.
        features: [n_samples, n_features], the input of the source network's last head layer.
        labels: [n_samples] class labels of any kind; for some metrics also [n_samples, n_labels] of 0 and 1, or float
            targets.
        source_probabilities: [n_samples, n_source_classes], softmax of the source logits.
        gradient_norms: [n_batches, 2], L2 norms of the loss gradient at the first and the second layer.
        variant: "default" (the correct or robust form) or "published" (as in the paper's tables).
        seed: of the metric's random choices, where it makes any; None is the metric's own (the paper's, where it names
            one).
        half_sample: the arrays are one of the half-samples that an interval is made of: some metrics then take a
            cheaper form.
        task: "regression" for few whole float labels that are numbers to predict; without it they are refused, because they
            may be classes.

    Returns:
        A float; or, for a metric that exists only relative to a pool of candidates, a dict of its raw components.

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
    given = {
        "features": features,
        "labels": None if labels is None else one_column(labels),
        "source_probabilities": source_probabilities,
        "gradient_norms": gradient_norms,
    }
    if seed is not None:
        check_count("seed", seed, smallest=0)
    if missing := [key for key in metric.inputs if given[key] is None]:
        raise ValueError(f"`{missing[0]}` must be given for {name}; got None. {name} needs {', '.join(metric.inputs)}.")
    if "labels" in metric.inputs:
        if task is None:
            refuse_unclear_numbers(given["labels"])
        check_task(name, metric.tasks, given["labels"], {other.name: other.tasks for other in all_metrics().values()})
    options: dict[str, Any] = {"seed": seed} if metric.seeded and seed is not None else {}
    if variant not in metric.variants:
        raise ValueError(
            f"`variant` must be one of {', '.join(metric.variants)} for {name}; got {variant!r}. Choose one of these."
        )
    if "variant" in metric._parameters:
        options["variant"] = variant
    if half_sample:
        options |= metric.half_options
    value = metric.function(**{key: given[key] for key in metric.inputs}, **options)
    if not np.isfinite(list(value.values()) if isinstance(value, dict) else value).all():
        raise ValueError(f"`{metric.inputs[0]}` must give a finite {name}; got {value}. Check the scale of the input.")
    return value
