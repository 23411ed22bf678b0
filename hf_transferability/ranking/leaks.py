"""Leaks, by the images: whether candidates have seen the target, by the datasets that their cards name, and whether the
sample's images are in the target's own test split."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hf_transferability.data.duplicates import HASHING_VERSION, WORDS, first_matches, has_hash
from hf_transferability.data.images import ImageReport
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.source_images import SourceHashes, open_source, reading, source_hashes
from hf_transferability.data.targets import Target
from hf_transferability.data.test_split import has_another_test_split, overlap_with_test, read_test_images
from hf_transferability.errors import TransferabilityError
from hf_transferability.extraction.cache import Cache
from hf_transferability.progress import Progress
from hf_transferability.ranking.candidates import Candidate, reason

_MOST_DATASETS = 5  # of a card, which a stranger wrote


def with_leaks(
    candidates: Sequence[Candidate],
    target: Target,
    sample: SampleOptions,
    largest: int,
    cache: Cache,
    token: str | None,
    progress: Progress,
) -> tuple[list[Candidate], list[str]]:
    """The candidates with the share of the sample's images that their source datasets hold, and notes on what is unknown.

    A share that cannot be told is left out of a candidate's facts: 0 stands for images that were compared and not found.

    Args:
        candidates: with `training_datasets` among their facts.
        target: the checked sample, with its hashes.
        sample: how the target's images were read; those of the source datasets are read in the same way.
        largest: images of each source dataset to look at.
        cache: keeps the hashes of a dataset's commit.
        token: Hub token.
        progress: shows what is done.
    """
    if target.hashes is None or not has_hash(target.hashes).any():
        return list(candidates), ["leak check: no image of the target can be compared: all are of nearly one grey level."]
    named = {name: None for one in candidates for name in _names(one)}
    hashes: dict[str, np.ndarray] = {}
    notes = []
    for name in named:
        try:
            source = _hashes(name, sample, largest, cache, token, progress)
        except TransferabilityError as error:
            notes.append(f"leak check: {name[:80]} cannot be compared: {error}")
        except Exception as error:  # whatever is wrong with a source dataset, the ranking stands
            notes.append(f"leak check: {name[:80]} cannot be compared: {reason(error)}")
        else:
            notes += _incomplete(name, source)
            if has_hash(source.hashes).any():
                hashes[name] = source.hashes
    return [_checked(one, target, hashes) for one in candidates], notes + unnamed_sources(candidates)


def unnamed_sources(candidates: Sequence[Candidate]) -> list[str]:
    """A note on the candidates whose cards name no source dataset."""
    unnamed = [one.name for one in candidates if one.error is None and not _names(one)]
    if not unnamed:
        return []
    return [f"leak check: {len(unnamed)} model cards name no source dataset, for example that of {unnamed[0]}."]


def _incomplete(name: str, source: SourceHashes) -> list[str]:
    """A note on images of a source dataset that could not be compared."""
    looked_at = len(source.hashes) + source.failed
    if not has_hash(source.hashes).any():
        why = f"none of its first {looked_at} images can be decoded ({source.reason})" if source.failed else "it has no images"
        if len(source.hashes):
            why = "its images are of nearly one grey level"
        return [f"leak check: {name[:80]} cannot be compared: {why}."]
    if source.failed:
        return [f"leak check: {source.failed} of {looked_at} images of {name[:80]} cannot be decoded ({source.reason})."]
    return []


def _names(candidate: Candidate) -> list[str]:
    """The first source datasets that a candidate's card names."""
    return list(candidate.facts.get("training_datasets") or ())[:_MOST_DATASETS] if candidate.error is None else []


def _hashes(
    name: str, sample: SampleOptions, largest: int, cache: Cache, token: str | None, progress: Progress
) -> SourceHashes:
    progress.stage(f"comparing images with up to {largest} of {name}")  # how many it has, a stream does not say
    opened = open_source(name, token)
    key = {"kind": "source images", "dataset": name, "largest": largest, "where": opened.where}
    key |= {"reading": reading(sample), "hashing": HASHING_VERSION}
    stored = cache.read_json(key) if opened.where.get("revision") else None
    if stored is not None:
        words = np.array([int(word, 16) for word in stored["hashes"]], dtype=np.uint64).reshape(-1, WORDS)
        return SourceHashes(words, stored["failed"], stored["reason"])
    source = source_hashes(opened, largest, sample, token, progress.advance)
    if opened.where.get("revision"):
        digits = [f"{word:x}" for word in source.hashes.ravel().tolist()]
        cache.write_json(key, {"hashes": digits, "failed": source.failed, "reason": source.reason})
    return source


def _checked(candidate: Candidate, target: Target, hashes: dict[str, np.ndarray]) -> Candidate:
    """The candidate with the share of images seen, and which dataset holds them.

    Nothing found is no share of 0 where one of its source datasets could not be compared.
    """
    names = _names(candidate)
    compared = {name: hashes[name] for name in names if name in hashes}
    if not compared or target.hashes is None:
        return candidate
    n_comparable = int(has_hash(target.hashes).sum())
    seen = {name: np.flatnonzero(first_matches(target.hashes, others) >= 0) for name, others in compared.items()}
    together = set().union(*(positions.tolist() for positions in seen.values()))
    if not together and len(compared) < len(names):
        return candidate
    share = len(together) / n_comparable
    details = [
        f"{len(positions)} of {n_comparable} images are among {len(compared[name])} of {name}"
        for name, positions in seen.items()
        if len(positions)
    ]
    detail = f"{'; '.join(details)} ({100 * share:.0f}%)" if details else None
    return replace(candidate, facts={**candidate.facts, "seen_share": share}, seen_images=detail)


def with_test_overlap(
    candidates: Sequence[Candidate],
    dataset: Any,
    target: Target,
    sample: SampleOptions,
    largest: int,
    cache: Cache,
    token: str | None,
    progress: Progress,
) -> tuple[list[Candidate], list[str], list[str]]:
    """The candidates, flagged where images of the sample are also in the dataset's test split.

    Args:
        candidates: all of the pool.
        dataset: what the target was drawn from.
        target: the checked sample, with its hashes.
        sample: how it was read; the test images are read in the same way.
        largest: test images to look at.
        cache: keeps what decoding the test images showed.
        token: Hub token.
        progress: shows what is done.

    Returns:
        The candidates, notes on what is unknown, and notes with names of files, for who runs this only.
    """
    if target.hashes is None or not has_another_test_split(target):
        return list(candidates), [], []
    progress.stage("reading the test split")
    try:
        tested = read_test_images(dataset, sample, largest, token)
        progress.stage("comparing images with the test split", len(tested.images))
        key = {"kind": "test images", "images": tested.key, "hashing": HASHING_VERSION}
        if (stored := cache.read_json(key)) is None:
            cache.write_json(key, stored := tested.images.inspect(progress.advance).to_dict())
        found = overlap_with_test(target.hashes, target.origins, tested, ImageReport.from_dict(stored))
    except TransferabilityError as error:  # the ranking does not need it
        return list(candidates), [f"leak check: the test split cannot be compared: {error}"], []
    if not found.images:
        return list(candidates), [], []
    flag = {"in_test_split": found.in_words(len(target))}
    flagged = [
        one if one.scores is None else replace(one, scores=replace(one.scores, flags={**one.scores.flags, **flag}))
        for one in candidates
    ]
    told = [] if found.files == found.examples else [f"{found.in_words(len(target), by_file=True)}; remove them from one side."]
    return flagged, [], told
