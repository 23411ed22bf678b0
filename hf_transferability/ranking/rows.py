"""From candidates to the rows of a ranking: the one place where a row is made."""

import itertools
from collections.abc import Sequence

from hf_transferability.metrics import get_metric
from hf_transferability.ranking import notes
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.choices import SHOWN_PARTS, floors_needed, metric_and_variant, part_keys
from hf_transferability.ranking.pool import Entry, Place, PoolScores, order, score_pool
from hf_transferability.ranking.scoring import UNSTABLE
from hf_transferability.results import Row

_KNOWN = ("known_elsewhere", "known_targets", "known_medical", "known_studies")
_INNER = ("no_gradient",)  # facts that only explain why a metric is undefined


def shown_metrics(metrics: Sequence[str]) -> list[str]:
    """The metrics that a row has a value of, for these to show."""
    return list(dict.fromkeys([*SHOWN_PARTS, *metrics]))


def ranked(
    candidates: Sequence[Candidate],
    metrics: Sequence[str],
    variant: str,
    scenario: str,
    dropped_candidates: Sequence[Candidate] = (),
) -> tuple[list[Row], list[str]]:
    """Rows in rank order, and what the reader should know about the pool.

    Args:
        candidates: the pool, failed ones too.
        metrics: to show; the first sorts.
        variant: "default" or "published".
        scenario: for metrics whose formula depends on it.
        dropped_candidates: of the pool, too, but without rows here: those that a race has dropped.
    """
    sorting = metrics[0]
    pool = score_pool(candidates, shown_metrics(metrics), scenario, variant, sorting, dropped_candidates)
    floor_counts = bool(floors_needed(sorting, scenario))
    entries = []
    for position, candidate in enumerate(candidates):
        scores = pool.metrics[sorting]
        untrained = candidate.untrained if candidate.error is None else None
        at_floor = floor_counts and "at_floor" in (candidate.scores.flags if candidate.scores else {})
        value = None if untrained else scores.values[position]
        failed = _error(candidate, sorting, variant) is not None
        entries.append(Entry(value, scores.halves_of(position), at_floor, untrained, failed))
    places = order(entries)
    rows = [published(candidates[place.position], place, pool, metrics, variant) for place in places]
    unranked = notes.no_ranking(rows, sorting)
    # Why there is no ranking has been said; that one candidate is no pool adds nothing.
    of_pool = [text for flag, text in pool.notes if not (unranked and flag == "pool_of_one")]
    return rows, [*unranked, *of_pool] if unranked else [*of_pool, *notes.disagreement(rows, metrics)]


def published(candidate: Candidate, place: Place, pool: PoolScores, metrics: Sequence[str], variant: str) -> Row:
    """The row of one candidate; `results.COLUMNS` says what each column means.

    Args:
        candidate: one of the pool.
        place: its place.
        pool: all metrics over the pool.
        metrics: to show; the first sorts.
        variant: the form of the metrics.
    """
    sorting, at = metrics[0], place.position
    values = {name: scores.values[at] for name, scores in pool.metrics.items()}
    intervals = {name: scores.intervals[at] for name, scores in pool.metrics.items()}
    if candidate.scores is None:
        values, intervals = dict.fromkeys(values), {}
    untrained = bool(candidate.untrained)
    error = _error(candidate, sorting, variant)
    flags = _flags(candidate, pool.flags[at])
    facts = {name: value for name, value in candidate.facts.items() if name not in _INNER}
    row: Row = {
        "rank": place.rank,
        "checkpoint": candidate.name,
        "score": None if untrained else values[sorting],
        "interval": None if untrained else intervals.get(sorting),
        "tie_group": place.tie_group,
        "first_share": place.first_share,
        **{name: facts.pop(name) for name in _KNOWN if name in facts},
        **{name: values[name] for name in SHOWN_PARTS},
        **{name: values[name] for name in metrics if name not in SHOWN_PARTS},
        "n_features": facts.pop("n_features", None),
        "parameters": facts.pop("parameters", None),
        "licence": facts.pop("licence", None),
        "revision": candidate.revision,
        "seconds": facts.pop("seconds", None),
        "flags": list(flags),
        "error": error,
        "flag_details": flags,
        "undefined": _undefined(candidate, sorting, variant, error),
        "intervals": intervals,
        "variant": variant,
        **facts,
    }
    return row | _raw_numbers(candidate) | _floors(candidate)


def _flags(candidate: Candidate, of_pool: dict[str, str]) -> dict[str, str]:
    flags = dict(candidate.scores.flags) if candidate.scores else {}
    if candidate.trained_on_target:
        flags["trained_on_target"] = candidate.trained_on_target
    if candidate.seen_images:
        flags["seen_images"] = candidate.seen_images
    if candidate.untrained:
        flags.setdefault("untrained", "")
        flags.pop("no_relation", None)  # it has no rank to be doubted
    if UNSTABLE in flags and UNSTABLE in of_pool:
        flags[UNSTABLE] += f"; {of_pool[UNSTABLE]}"
    return flags | {flag: detail for flag, detail in of_pool.items() if flag not in flags}


def _raw_numbers(candidate: Candidate) -> Row:
    """The raw numbers of metrics that exist only over a pool, so that a pool can grow later."""
    values = candidate.scores.values if candidate.scores else {}
    raw = {name: value for name, value in values.items() if isinstance(value, dict)}
    return {f"{name}_{component}": number for name, value in raw.items() for component, number in value.items()}


def _floors(candidate: Candidate) -> Row:
    return {f"{name}_floor": value for name, value in (candidate.scores.floors if candidate.scores else {}).items()}


def _error(candidate: Candidate, sorting: str, variant: str) -> str | None:
    """Why a candidate has no score: it failed, or what was computed of it does not suffice for the sorting metric."""
    if candidate.error is not None:
        return candidate.error
    if candidate.untrained or candidate.scores is None:
        return None
    keys = _keys_of(sorting, variant)
    missing = [candidate.scores.reasons[key] for key in keys if key in candidate.scores.reasons]
    enough = any(candidate.scores.values.get(key) is not None for key in keys)
    if not missing or (enough and not get_metric(sorting).needs_all_parts):
        return None
    return missing[0]


def _undefined(candidate: Candidate, sorting: str, variant: str, error: str | None) -> dict[str, str]:
    """Metric -> why it has no value, without what the error says already."""
    reasons = candidate.scores.reasons if candidate.scores else {}
    in_error = _keys_of(sorting, variant) if error else []
    return {metric_and_variant(key, variant)[0]: text for key, text in reasons.items() if key not in in_error}


def _keys_of(metric: str, variant: str) -> list[str]:
    """What a metric's score is made of: the keys of its parts, or its own."""
    return list(part_keys(metric, variant).values()) or [metric]


def metric_versions(*names: Sequence[str]) -> dict[str, int]:
    """The version of each of these metrics, which may be given as keys of `keys_to_compute`."""
    return {name: get_metric(name).version for name in dict.fromkeys(key.partition(":")[0] for key in itertools.chain(*names))}
