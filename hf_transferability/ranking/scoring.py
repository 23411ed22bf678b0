"""The metrics of one candidate: values, their spread over half-samples, floors, flags, and reasons for what is undefined."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from hf_transferability.data.targets import Labelled
from hf_transferability.errors import CheckpointError
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.metrics import Metric, collect_flags, get_metric, score
from hf_transferability.metrics._flags import OF_ONE_METRIC
from hf_transferability.metrics._groups import GROUPING_VERSION
from hf_transferability.metrics._sample import Sample
from hf_transferability.metrics._validation import UNDEFINED, check_varying, task_of
from hf_transferability.provenance import package_versions
from hf_transferability.ranking.choices import metric_and_variant
from hf_transferability.ranking.label_check import shuffled_labels, unrelated_flag

UNSTABLE = "unstable"  # the flag that several metrics give one candidate for different reasons
_SHUFFLES = 5  # a useless network exceeds the highest of five floors in one case of six, a single one in every second
_PROTOCOL = 8  # of half-samples, floors and what is stored; part of the key of stored scores
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
    forms = {wanted: metric_and_variant(wanted, request.variant) for wanted in request.keys}
    entries = {
        (name, variant): _entry("score", name, variant, request, _key(get_metric(name), arrays, target))
        | {"halves": request.halves}
        for name, variant in forms.values()
    }
    stored = {chosen: cache.read_json(entry) for chosen, entry in entries.items()}
    parts = {chosen: Scores(**scores) for chosen, scores in stored.items() if scores}
    with few_threads():
        computed = _compute([chosen for chosen in entries if chosen not in parts], arrays, target, request)
    for chosen, part in computed.items():
        if not part.reasons:  # a reason may name what the key does not hold, such as the layers of this candidate
            cache.write_json(entries[chosen], asdict(part))
    parts |= computed
    for wanted, (name, variant) in forms.items():
        for field_name, mine in vars(total).items():
            for label, value in getattr(parts[name, variant], field_name).items():
                if label in OF_ONE_METRIC and label in mine:
                    mine[label] += f"; {value}"  # each metric has numbers of its own
                mine.setdefault(wanted if label == name and field_name != "flags" else label, value)
    if any(value is not None for value in total.values.values()):
        with few_threads():
            total.flags |= unrelated_flag(arrays, target, request.seed, cache)
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
        names: keys to do it for; those of metrics that see no labels, or that have no value, are skipped.
        read, target, request, cache: as for `score_candidate`, which see for errors.
    """
    if not names:
        return
    arrays = _present(read)
    rng = np.random.default_rng(request.seed)
    inputs = _shared_inputs(arrays, target)
    shuffles = [shuffled_labels(target.labels, target.groups, rng) for _ in range(_SHUFFLES)]
    for wanted in names:
        name, variant = metric_and_variant(wanted, request.variant)
        metric, value = get_metric(name), scores.values.get(wanted)
        if "labels" not in metric.inputs or value is None:
            continue
        entry = _entry("floor", name, variant, request, _key(metric, arrays, target))
        stored = cache.read_json(entry)
        if stored is None:
            with few_threads(), collect_flags():  # what holds for shuffled labels says nothing about the true ones
                values = [_value(metric, inputs | {"labels": shuffled}, variant) for shuffled in shuffles]
            numbers = [value for value in values if isinstance(value, float)]
            stored = {"floor": max(numbers) if numbers else None}
            cache.write_json(entry, stored)
        floor = stored["floor"]
        if floor is None:  # raw components of a pool-relative metric have no order
            continue
        scores.floors[wanted] = floor
        if isinstance(value, float) and value <= floor:
            flag = metric.floor_flag
            detail = f"{name} {value:.4g} against {floor:.4g}"
            scores.flags[flag] = f"{scores.flags[flag]}, {detail}" if flag in scores.flags else detail


def half_samples(
    labels: np.ndarray, n_halves: int, seed: int, largest: int | None = None, groups: np.ndarray | None = None
) -> list[np.ndarray]:
    """Positions of random halves of a sample, drawn without replacement within each class, at least one of each.

    Without replacement, because a duplicate would be its own neighbour. A half is what makes the spread between the halves
    that of the whole sample: n/2 of n leave a variance of (2/n - 1/n). `largest` is the subsample that the metric takes of a
    larger sample; a half is then half of that.

    With `groups`, a half holds half of the groups, each whole, drawn within the class that most of a group's images have.
    """
    rng = np.random.default_rng(seed)
    codes = labels if labels.ndim == 1 and labels.dtype.kind != "f" else np.zeros(len(labels), dtype=np.int64)
    share = min(len(labels), largest or len(labels)) / (2 * len(labels))
    if groups is not None:
        return [_half_of_groups(codes, groups, share, rng) for _ in range(n_halves)]
    members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    halves = []
    for _ in range(n_halves):
        drawn = [rng.permutation(indices)[: max(int(len(indices) * share + rng.random()), 1)] for indices in members]
        halves.append(np.sort(np.concatenate(drawn)))
    return halves


def _half_of_groups(codes: np.ndarray, groups: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Positions of a random share of the groups, each whole, with at least one image of every class."""
    classes, codes = np.unique(codes, return_inverse=True)
    counts = np.zeros((groups.max() + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (groups, codes), 1)
    main = counts.argmax(axis=1)
    drawn = np.zeros(len(counts), dtype=bool)
    for code in range(len(classes)):
        members = rng.permutation(np.flatnonzero(main == code))
        drawn[members[: max(int(len(members) * share + rng.random()), 1)]] = True
    for code in range(len(classes)):  # a class that is nowhere the most frequent
        if not counts[drawn, code].any():
            drawn[rng.choice(np.flatnonzero(counts[:, code]))] = True
    return np.flatnonzero(drawn[groups])


def _compute(
    forms: Sequence[tuple[str, str]], arrays: Arrays, target: Labelled, request: Request
) -> dict[tuple[str, str], Scores]:
    """Scores of metrics (name, variant), which share what they compute from the same images."""
    inputs = _shared_inputs(arrays, target)
    results = {(name, variant): _on_all_images(name, variant, inputs, arrays, target) for name, variant in forms}
    names = [name for (name, _), result in results.items() if result.values[name] is not None]
    with collect_flags():  # what holds for a half says nothing about the whole
        for together in _on_same_halves(names, inputs):
            for half in _half_inputs(get_metric(together[0]), inputs, request):
                for (name, variant), result in results.items():
                    if name in together and name in result.halves:
                        value = _value(get_metric(name), half, variant, half_sample=True)
                        result.halves[name].append(value)
    return results


def _on_all_images(name: str, variant: str, inputs: dict[str, Any], arrays: Arrays, target: Labelled) -> Scores:
    metric, result = get_metric(name), Scores(values={name: None})
    if reason := _missing(metric, arrays):
        result.reasons[name] = reason
        return result
    with collect_flags() as flags:
        try:
            result.values[name] = score(name, **_inputs(metric, inputs), variant=variant, task=target.task)
        except UNDEFINED as error:
            cause = arrays.facts.get("no_gradient") if "gradient_norms" in metric.inputs else None
            result.reasons[name] = f"{name} is undefined: {cause or error}"
            return result
    result.flags |= {flag: f"{name}: {detail}" if detail else name for flag, detail in flags.items()}
    result.halves[name] = []
    return result


def _on_same_halves(names: Sequence[str], inputs: dict[str, Any]) -> list[list[str]]:
    """Names of metrics in groups that take the same half-samples."""
    groups: dict[Any, list[str]] = {}
    for name in dict.fromkeys(names):
        metric, n = get_metric(name), len(inputs["labels"])
        largest = min(metric.largest_sample or n, n)
        groups.setdefault("gradient_norms" if "gradient_norms" in metric.inputs else largest, []).append(name)
    return list(groups.values())


def few_threads() -> threadpool_limits:
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
    key = {"values": arrays.digest(metric.inputs), "target": target.key, "libraries": libraries}
    if target.groups is not None:
        key["grouping"] = str(GROUPING_VERSION)
        key["groups"] = hashlib.sha256(target.groups.astype("<i8").tobytes()).hexdigest()
    return key


def _entry(kind: str, name: str, variant: str, request: Request, key: dict[str, Any]) -> dict[str, Any]:
    entry = {"kind": kind, "arrays": key, "metric": name, "version": get_metric(name).version, "variant": variant}
    return entry | {"protocol": _PROTOCOL, "seed": request.seed}


def _shared_inputs(arrays: Arrays, target: Labelled) -> dict[str, Any]:
    """All inputs that there are, the features as a sample."""
    return {
        "features": _shared(arrays.features),
        "labels": target.labels,
        "source_probabilities": arrays.source_probabilities,
        "gradient_norms": arrays.gradient_norms,
        "groups": target.groups,
    }


def _shared(features: Any) -> Any:
    """Features as a sample that metrics share; as they are where no metric can take them, so that each says why."""
    try:
        return Sample(features)
    except UNDEFINED:
        return features


def _inputs(metric: Metric, inputs: dict[str, Any]) -> dict[str, Any]:
    grouped = {"groups": inputs["groups"]} if metric.uses_groups and inputs["groups"] is not None else {}
    return {name: inputs[name] for name in metric.inputs} | grouped


def _missing(metric: Metric, arrays: Arrays) -> str | None:
    if "features" in metric.inputs and arrays.features is not None and arrays.features.ndim and len(arrays.features):
        try:
            check_varying(arrays.features)  # a metric that has a value for dead features could list their network first
        except ValueError as error:
            return f"{metric.name} is undefined: {error}"
    if "source_probabilities" in metric.inputs and arrays.source_probabilities is None:
        return f"{metric.name} needs source probabilities, and the checkpoint has no source head"
    if "gradient_norms" in metric.inputs and not arrays.with_gradients:
        return f"{metric.name} needs gradients, which a race computes for its best only"
    if "gradient_norms" in metric.inputs and arrays.gradient_norms is None:
        traced = ", ".join(arrays.facts["layers"]) or "none"
        return f"{metric.name} needs two gradient layers; traced: {traced}"
    return None


def _half_inputs(metric: Metric, inputs: dict[str, Any], request: Request) -> Iterator[dict[str, Any]]:
    """The inputs of each half-sample that a metric takes, one after the other, so that one is in memory at a time."""
    if "gradient_norms" in metric.inputs:
        norms = inputs["gradient_norms"]
        rng = np.random.default_rng(request.seed)
        size = max(len(norms) // 2, 1)  # three of seven: intervals slightly too wide rather than too narrow
        for _ in range(request.halves):
            yield inputs | {"gradient_norms": norms[rng.permutation(len(norms))[:size]]}
        return
    features, probabilities, groups = (inputs[name] for name in ("features", "source_probabilities", "groups"))
    for rows in half_samples(inputs["labels"], request.halves, request.seed, metric.largest_sample, groups):
        yield {
            "features": features.part(rows) if isinstance(features, Sample) else features,  # else no metric here takes them
            "labels": inputs["labels"][rows],
            "source_probabilities": None if probabilities is None else probabilities[rows],
            "groups": None if groups is None else groups[rows],
        }


def _value(metric: Metric, inputs: dict[str, Any], variant: str, half_sample: bool = False) -> Value:
    try:
        task = task_of(inputs["labels"]) if "labels" in inputs else None  # settled with the target
        return score(metric.name, **_inputs(metric, inputs), variant=variant, half_sample=half_sample, task=task)
    except UNDEFINED:
        return None
