"""Scored candidates before they are ordered, and their form as JSON: a pool may be scored in parts, on several machines.

A score that exists only over a pool, and the place of a candidate, are formed from the parts of all of its candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from hf_transferability import provenance
from hf_transferability.errors import TransferabilityError
from hf_transferability.metrics import get_metric
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.leaks import unnamed_sources
from hf_transferability.ranking.scoring import Scores

_FORMAT = 1  # raise it when a part of an earlier version can no longer be read


@dataclass(frozen=True)
class Part:
    """Scored candidates of one target.

    Attributes:
        candidates: failed ones too.
        dataset: provenance of the target sample; a local folder goes by its name.
        task: kind of the target's labels.
        metrics: to show, the sorting one first.
        keys: what was computed of each candidate; see `choices.keys_to_extract`.
        notes: what the leak check could not tell, and what could not be stored.
        versions: the packages that computed it.
        label_p_values: candidate -> its `label_check.label_p_value`; empty where only the first one's is asked for.
    """

    candidates: list[Candidate]
    dataset: dict[str, Any]
    task: str
    metrics: list[str]
    keys: tuple[str, ...]
    notes: list[str]
    versions: dict[str, str] = field(default_factory=provenance.package_versions)
    label_p_values: dict[str, float | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self) | {"format": _FORMAT}


def from_dict(document: Any) -> Part:
    """The part that a document of `Part.to_dict` holds.

    Raises:
        ValueError: another document, such as one of another version of this package.
    """
    if not isinstance(document, Mapping) or document.get("format") != _FORMAT:
        raise ValueError("another document, or of another version of this package")
    try:
        values = {one.name: document[one.name] for one in fields(Part)}
        candidates = [_candidate(given) for given in values["candidates"]]
        for name in values["metrics"]:
            get_metric(name)
        if not isinstance(values["dataset"]["account"]["rows"], Mapping) or not isinstance(values["dataset"]["id"], str):
            raise TypeError("no account of the dataset")
        return Part(**(values | {"candidates": candidates, "keys": tuple(values["keys"])}))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"incomplete: {error!r}") from error


def _candidate(given: Mapping[str, Any]) -> Candidate:
    scores = given["scores"]
    if not isinstance(given["name"], str) or not isinstance(given["facts"], Mapping):
        raise TypeError("a candidate without a name or facts")
    return Candidate(**{**given, "scores": None if scores is None else Scores(**scores)})


def merged(parts: Sequence[Part], names: Sequence[str]) -> Part:
    """One part with all candidates, in the order of `names`.

    Args:
        parts: at least one; of one target and one set of metrics.
        names: of the candidates.

    Raises:
        TransferabilityError: they are not of one sample, or made by different versions of this package.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.dataset.get("fingerprint") != first.dataset.get("fingerprint") or part.metrics != first.metrics:
            raise TransferabilityError(
                "the parts of the ranking are of different samples: the dataset changed meanwhile. Pin it with --revision."
            )
        if part.versions.get("hf-transferability") != first.versions.get("hf-transferability"):
            raise TransferabilityError(
                "the parts of the ranking come from different versions of this package. Remove the old ones and run again."
            )
    found = {candidate.name: candidate for part in parts for candidate in part.candidates}
    candidates = [found[name] for name in names if name in found]
    # How many cards name no source dataset is counted over the pool.
    counted = {note for part in parts for note in unnamed_sources(part.candidates)}
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    kept = [note for note in notes if note not in counted]
    p_values = {name: p_value for part in parts for name, p_value in part.label_p_values.items()}
    kept += unnamed_sources(candidates) if len(kept) < len(notes) else []
    return replace(first, candidates=candidates, notes=kept, label_p_values=p_values)


def without_floors(part: Part) -> Part:
    """The part as if no metric's floor had been computed."""
    return replace(part, candidates=[_without_floors(candidate) for candidate in part.candidates])


def _without_floors(candidate: Candidate) -> Candidate:
    if candidate.scores is None or not candidate.scores.floors:
        return candidate
    raised = {get_metric(key.partition(":")[0]).floor_flag for key in candidate.scores.floors}
    flags = {flag: detail for flag, detail in candidate.scores.flags.items() if flag not in raised}
    return replace(candidate, scores=replace(candidate.scores, flags=flags, floors={}))
