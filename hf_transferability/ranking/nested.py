"""Nested samples: the arrays of a larger sample are those of a smaller one and of the images that it has more."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from hf_transferability.data.subsets import labels_of, nested_order, part_of
from hf_transferability.data.targets import Labelled
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

    def labels(self, stage: int) -> Labelled:
        """The labels of a stage's sample, in the order of its arrays."""
        return self._work.target if self._is_last(stage) else labels_of(self._work.target, self._order[: self.sizes[stage]])

    def find(self, name: str, stage: int) -> Found:
        """A candidate with its arrays on a stage's sample, without gradients; see `candidates.find_candidate`.

        Those of the whole sample are in its own order and in the cache, as if they had been extracted at once.
        """
        if name not in self._read and is_cached(name, self._work):
            self._whole[name] = find_candidate(name, self._work)
        if name in self._whole:
            rows, found = self._order[: self.sizes[stage]], self._whole[name]
            if self._is_last(stage):
                return found
            return replace(found, read=lambda: None if (arrays := found.read()) is None else _taken(arrays, rows))
        found = self._extracted(name, stage)
        reads = list(self._read[name])
        if not self._is_last(stage) or found.candidate.error is not None:
            return replace(found, read=lambda: _joined([read() for read in reads]))
        candidate = _with_facts(found.candidate, seconds=round(self._seconds[name], 2), batches=self._work.batches)
        arrays = _joined([read() for read in reads]) if self._work.state.is_main_process else None
        if arrays is None:
            return replace(found, candidate=candidate)
        facts = {key: candidate.facts[key] for key in arrays.facts}
        whole = replace(_taken(arrays, np.argsort(self._order)), facts=facts)
        return replace(found, candidate=candidate, read=store(name, whole, self._work))

    def find_again(self, name: str, work: Work) -> Found:
        """A candidate with its arrays on the whole sample after the last stage, with gradients where a metric needs them."""
        again = replace(work, use_cache=True, kept=self._work.kept, store=self._work.store)  # this run has written them
        found = self._whole.get(name) or find_candidate(name, again)
        if found.cached or name in self._whole:
            return found
        seconds = (found.candidate.facts.get("seconds") or 0.0) + self._seconds.get(name, 0.0)
        return replace(found, candidate=_with_facts(found.candidate, seconds=round(seconds, 2)))

    def _is_last(self, stage: int) -> bool:
        return stage == len(self.sizes) - 1

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
