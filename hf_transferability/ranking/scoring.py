"""The metrics of one candidate: values, their spread over half-samples, floors, flags, and reasons for what is undefined."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from hf_transferability.data.targets import Labelled
from hf_transferability.errors import CheckpointError
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.metrics import Metric, collect_flags, get_metric, score
from hf_transferability.metrics._validation import task_of
from hf_transferability.provenance import package_versions
from hf_transferability.ranking.choices import form

UNSTABLE = "unstable"  # the flag that several metrics give one candidate for different reasons
_SHUFFLES = 5  # a useless network exceeds the highest of five floors in one case of six, a single one in every second
_PROTOCOL = 5  # of half-samples and floors; part of the key of stored scores
_UNDEFINED = (ValueError, TypeError, FloatingPointError, np.linalg.LinAlgError)
Value = float | dict[str, float] | None


@dataclass
class Scores:
    """What the metrics say about one candidate.

    Attributes:
        values: key (see `choices.keys_to_compute`) -> value; a dict of raw components where the metric exists only over a
            pool; None where undefined.
        halves: key -> its values on the half-samples, None where undefined there.
        floors: key -> the highest of its values with labels shuffled five times.
        flags: flag -> detail.
        reasons: key -> why it is undefined.
    """

    values: dict[str, Value] = field(default_factory=dict)
    halves: dict[str, list[Value]] = field(default_factory=dict)
    floors: dict[str, Value] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """Which metrics to compute and how.

    Attributes:
        keys: what to compute, of `choices.keys_to_compute`.
        variant: "default" or "published".
        halves: number of half-samples; 0 for none.
        seed: for half-samples and shuffled labels.
    """

    keys: tuple[str, ...]
    variant: str
    halves: int
    seed: int


def score_candidate(read: Callable[[], Arrays | None], target: Labelled, request: Request, cache: Cache) -> Scores:
    """Compute a candidate's scores, or read those that are stored for the same arrays, metric version and request.

    Args:
        read: gives the candidate's arrays on the target.
        target: the checked sample.
        request: what to compute.
        cache: where scores are kept.

    Raises:
        CheckpointError: the arrays have vanished from the cache meanwhile.
    """
    arrays = _present(read)
    total = Scores(flags={**target.flags, **arrays.flags})
    for wanted in request.keys:
        name, variant = form(wanted, request.variant)
        key = _key(get_metric(name), arrays, target)
        entry = _entry("score", name, variant, request, key) | {"halves": request.halves}
        stored = cache.read_json(entry)
        with _few_threads():
            part = Scores(**stored) if stored else _score(name, variant, arrays, target, request)
        if not stored:
            cache.write_json(entry, asdict(part))
        for field_name, mine in vars(total).items():
            for label, value in getattr(part, field_name).items():
                if label == UNSTABLE and label in mine:
                    mine[label] += f"; {value}"  # each metric has numbers of its own
                mine.setdefault(wanted if label == name and field_name != "flags" else label, value)
    return total


def add_floors(
    scores: Scores,
    names: Sequence[str],
    read: Callable[[], Arrays | None],
    target: Labelled,
    request: Request,
    cache: Cache,
) -> None:
    """Put the highest values that shuffled labels give beside a candidate's scores, and flag those that do not exceed them.

    Args:
        scores: of `score_candidate`; changed.
        names: keys to do it for; those of metrics that see no labels, or that have no value, are passed over.
        read, target, request, cache: as for `score_candidate`, which see for errors.
    """
    if not names:
        return
    arrays = _present(read)
    rng = np.random.default_rng(request.seed)
    shuffles = [rng.permutation(target.labels) for _ in range(_SHUFFLES)]
    for wanted in names:
        name, variant = form(wanted, request.variant)
        metric, value = get_metric(name), scores.values.get(wanted)
        if "labels" not in metric.inputs or value is None:
            continue
        entry = _entry("floor", name, variant, request, _key(metric, arrays, target))
        stored = cache.read_json(entry)
        if stored is None:
            with _few_threads(), collect_flags():  # what holds for shuffled labels says nothing about the true ones
                inputs = _inputs(metric, arrays, target)
                values = [_value(metric, inputs | {"labels": shuffled}, variant) for shuffled in shuffles]
            numbers = [value for value in values if isinstance(value, float)]
            stored = {"floor": max(numbers) if numbers else None}
            cache.write_json(entry, stored)
        floor = stored["floor"]
        if floor is None:  # raw components of a pool-relative metric have no order
            continue
        scores.floors[wanted] = floor
        if isinstance(value, float) and value <= floor:
            flag = "at_floor" if name == "feature_quality" else "metric_at_floor"
            detail = f"{name} {value:.4g} against {floor:.4g}"
            scores.flags[flag] = f"{scores.flags[flag]}, {detail}" if flag in scores.flags else detail


def half_samples(labels: np.ndarray, n_halves: int, seed: int, largest: int | None = None) -> list[np.ndarray]:
    """Positions of random halves of a sample, drawn without replacement within each class, at least one of each.

    Without replacement, because a duplicate would be its own neighbour. A half is what makes the spread between the halves
    that of the whole sample: n/2 of n leave a variance of (2/n - 1/n). `largest` is the subsample that the metric takes of a
    larger sample; a half is then half of that.
    """
    rng = np.random.default_rng(seed)
    codes = labels if labels.ndim == 1 and labels.dtype.kind != "f" else np.zeros(len(labels), dtype=np.int64)
    share = min(len(labels), largest or len(labels)) / (2 * len(labels))
    members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    halves = []
    for _ in range(n_halves):
        drawn = [rng.permutation(indices)[: max(int(len(indices) * share + rng.random()), 1)] for indices in members]
        halves.append(np.sort(np.concatenate(drawn)))
    return halves


def _score(name: str, variant: str, arrays: Arrays, target: Labelled, request: Request) -> Scores:
    metric, result = get_metric(name), Scores(values={name: None})
    if reason := _missing(metric, arrays):
        result.reasons[name] = reason
        return result
    inputs = _inputs(metric, arrays, target)
    with collect_flags() as flags:
        try:
            result.values[name] = score(name, **inputs, variant=variant, task=target.task)
        except _UNDEFINED as error:
            cause = arrays.facts.get("no_gradient") if "gradient_norms" in metric.inputs else None
            result.reasons[name] = f"{name} is undefined: {cause or error}"
            return result
    result.flags |= {flag: f"{name}: {detail}" if detail else name for flag, detail in flags.items()}
    with collect_flags():  # what holds for a half says nothing about the whole
        halves = _half_inputs(metric, inputs, request)
        result.halves[name] = [_value(metric, half, variant, half_sample=True) for half in halves]
    return result


def _few_threads() -> threadpool_limits:
    """One BLAS thread: metrics are computed while the next candidate is extracted, and on matrices of their size more threads
    take from the extraction several times what they bring."""
    return threadpool_limits(1, user_api="blas")


def _present(read: Callable[[], Arrays | None]) -> Arrays:
    arrays = read()
    if arrays is None:
        raise CheckpointError("its arrays have vanished from the cache while the run went on. Run again.")
    return arrays


def _key(metric: Metric, arrays: Arrays, target: Labelled) -> dict[str, Any]:
    """What a score depends on beside metric and request: the values of its inputs, and the libraries that compute with them.

    Only its inputs, so that arrays which are extended by gradients leave the other scores valid.
    """
    versions = package_versions()
    libraries = [f"{name} {versions.get(name)}" for name in ("numpy", "scipy", "scikit-learn")]
    return {"values": arrays.digest(metric.inputs), "target": target.key, "libraries": libraries}


def _entry(kind: str, name: str, variant: str, request: Request, key: dict[str, Any]) -> dict[str, Any]:
    entry = {"kind": kind, "arrays": key, "metric": name, "version": get_metric(name).version, "variant": variant}
    return entry | {"protocol": _PROTOCOL, "seed": request.seed}


def _inputs(metric: Metric, arrays: Arrays, target: Labelled) -> dict[str, Any]:
    inputs = {
        "features": arrays.features,
        "labels": target.labels,
        "source_probabilities": arrays.source_probabilities,
        "gradient_norms": arrays.gradient_norms,
    }
    return {name: inputs[name] for name in metric.inputs}


def _missing(metric: Metric, arrays: Arrays) -> str | None:
    if "source_probabilities" in metric.inputs and arrays.source_probabilities is None:
        return f"{metric.name} needs source probabilities, and the checkpoint has no source head"
    if "gradient_norms" in metric.inputs and arrays.gradient_norms is None:
        traced = ", ".join(arrays.facts["layers"]) or "none"
        return f"{metric.name} needs two gradient layers; traced: {traced}"
    return None


def _half_inputs(metric: Metric, inputs: dict[str, Any], request: Request) -> list[dict[str, Any]]:
    if "gradient_norms" in inputs:
        norms = inputs["gradient_norms"]
        rng = np.random.default_rng(request.seed)
        size = max(len(norms) // 2, 1)  # three of seven: intervals slightly too wide rather than too narrow
        return [inputs | {"gradient_norms": norms[rng.permutation(len(norms))[:size]]} for _ in range(request.halves)]
    halves = half_samples(inputs["labels"], request.halves, request.seed, metric.largest_sample)
    return [{name: value[half] for name, value in inputs.items()} for half in halves]


def _value(metric: Metric, inputs: dict[str, Any], variant: str, half_sample: bool = False) -> Value:
    try:
        task = task_of(inputs["labels"]) if "labels" in inputs else None  # settled with the target
        return score(metric.name, **inputs, variant=variant, half_sample=half_sample, task=task)
    except _UNDEFINED:
        return None
