"""Nested samples: the arrays of a larger sample are those of a smaller one and of the images that it has more."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from hf_transferability.data.parts import labels_of, nested_order, part_of
from hf_transferability.data.targets import LabelledArrays
from hf_transferability.extraction.cache import Arrays
from hf_transferability.ranking.candidates import Candidate, Found, Work, find_candidate, is_cached, store

Read = Callable[[], Arrays | None]


class NestedSamples:
    """The samples of a race's stages. Each stage extracts the images that the one before it did not have.

    Features of an image do not depend on the others. Gradient norms do, so the whole sample gets a pass of its own where a
    metric needs them.

    Args:
        work: on the whole sample; its store and its kept networks serve all stages.
        sizes: images of each stage, the whole sample last.
    """

    def __init__(self, work: Work, sizes: Sequence[int]):
        self.sizes = list(sizes)
        self._work = work
        self._order = nested_order(work.target)
        cuts = [0, *self.sizes]
        self._rows = [self._order[start:stop] for start, stop in pairwise(cuts)]
        self._parts = [part_of(work.target, rows) for rows in self._rows]
        self._read: dict[str, list[Read]] = {}
        self._seconds: dict[str, float] = {}
        self._whole: dict[str, Found] = {}

    def labels(self, stage: int) -> LabelledArrays:
        """The labels of a stage's sample, in the order of its arrays."""
        return labels_of(self._work.target, self._order[: self.sizes[stage]])

    def find(self, name: str, stage: int) -> Found:
        """A candidate with its arrays on a stage's sample; see `candidates.find_candidate`."""
        if stage == 0 and is_cached(name, self._work):
            self._whole[name] = find_candidate(name, self._work)
        if name in self._whole:
            rows, found = self._order[: self.sizes[stage]], self._whole[name]
            return replace(found, read=lambda: None if (arrays := found.read()) is None else _taken(arrays, rows))
        found = self._extracted(name, stage)
        reads = list(self._read[name])
        return replace(found, read=lambda: _joined([read() for read in reads]))

    def find_whole(self, name: str, work: Work) -> Found:
        """A survivor with its arrays on the whole sample: joined from the stages, or by a pass for gradients."""
        if name in self._whole:
            return self._whole[name]
        if work.gradients:
            found = find_candidate(name, work)
            seconds = (found.candidate.facts.get("seconds") or 0.0) + self._seconds[name]
            return replace(found, candidate=_with_facts(found.candidate, seconds=round(seconds, 2)))
        found = self._extracted(name, len(self.sizes) - 1)
        candidate = _with_facts(found.candidate, seconds=round(self._seconds[name], 2), batches=work.batches)
        arrays = _joined([read() for read in self._read[name]]) if work.state.is_main_process else None
        if arrays is None or candidate.error is not None:
            return replace(found, candidate=candidate)
        facts = {key: candidate.facts[key] for key in arrays.facts}
        whole = replace(_taken(arrays, np.argsort(self._order)), facts=facts)
        return replace(found, candidate=candidate, read=store(name, whole, work))

    def _extracted(self, name: str, stage: int) -> Found:
        """A candidate with the arrays of the images that a stage has more than the one before it."""
        rows, work = self._rows[stage], self._work
        pixels = work.store.part(rows.tolist()) if work.store else None
        part = replace(work, target=self._parts[stage], gradients=False, batches="balanced", store=pixels)
        found = find_candidate(name, part)
        self._read.setdefault(name, []).append(found.read)
        self._seconds[name] = self._seconds.get(name, 0.0) + (found.candidate.facts.get("seconds") or 0.0)
        return found


def _with_facts(candidate: Candidate, **facts: Any) -> Candidate:
    """A candidate with other facts; as it is where it failed."""
    return candidate if candidate.error is not None else replace(candidate, facts={**candidate.facts, **facts})


def _taken(arrays: Arrays, rows: np.ndarray) -> Arrays:
    """The arrays of some images of a sample, in this order, without gradient norms."""
    probabilities = arrays.source_probabilities
    return Arrays(
        arrays.features[rows], None if probabilities is None else probabilities[rows], None, arrays.facts, arrays.flags, False
    )


def _joined(parts: Sequence[Arrays | None]) -> Arrays | None:
    """The arrays of several parts of a sample, one after the other; None if one has vanished."""
    arrays = [part for part in parts if part is not None]
    if len(arrays) < len(parts):
        return None
    probabilities = [part.source_probabilities for part in arrays if part.source_probabilities is not None]
    return Arrays(
        np.concatenate([part.features for part in arrays]),
        np.concatenate(probabilities) if len(probabilities) == len(arrays) else None,
        None,
        arrays[-1].facts,
        arrays[0].flags,
        False,
    )
