"""Whether candidates have seen the target: images of the datasets that their cards name, compared with the sample's."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hf_transferability.data.duplicates import WORDS, near_pairs
from hf_transferability.data.source_images import open_source, source_hashes
from hf_transferability.data.targets import Target
from hf_transferability.errors import TransferabilityError
from hf_transferability.extraction.cache import Cache
from hf_transferability.progress import Progress
from hf_transferability.ranking.candidates import Candidate, reason

_MOST_DATASETS = 5  # of a card, which a stranger wrote


def with_leaks(
    candidates: Sequence[Candidate], target: Target, largest: int, cache: Cache, token: str | None, progress: Progress
) -> tuple[list[Candidate], list[str]]:
    """The candidates with the share of the sample's images that their source datasets hold, and notes on what is unknown.

    Args:
        candidates: with `training_datasets` among their facts.
        target: the checked sample, with its hashes.
        largest: images of each source dataset to look at.
        cache: keeps the hashes of a dataset's commit.
        token: Hub token.
        progress: shows what is done.
    """
    named = {name: None for one in candidates for name in _names(one)}
    hashes: dict[str, np.ndarray] = {}
    notes = []
    for name in named:
        try:
            hashes[name] = _hashes(name, largest, cache, token, progress)
        except TransferabilityError as error:
            notes.append(f"leak check: {name[:80]} cannot be compared: {error}")
        except Exception as error:  # whatever is wrong with a source dataset, the ranking stands
            notes.append(f"leak check: {name[:80]} cannot be compared: {reason(error)}")
    unnamed = [one.name for one in candidates if one.error is None and not _names(one)]
    if unnamed:
        notes.append(f"leak check: {len(unnamed)} model cards name no source dataset, for example that of {unnamed[0]}.")
    return [_checked(one, target, hashes) for one in candidates], notes


def _names(candidate: Candidate) -> list[str]:
    """The first source datasets that a candidate's card names."""
    return list(candidate.facts.get("training_datasets") or ())[:_MOST_DATASETS] if candidate.error is None else []


def _hashes(name: str, largest: int, cache: Cache, token: str | None, progress: Progress) -> np.ndarray:
    progress.stage(f"comparing images with {name}", largest)
    opened = open_source(name, token)
    key = {"kind": "source images", "dataset": name, "largest": largest, "where": opened.where}
    stored = cache.read_json(key) if opened.where.get("revision") else None
    if stored is not None:
        return np.array([int(word, 16) for word in stored], dtype=np.uint64).reshape(-1, WORDS)
    hashes = source_hashes(opened, largest, token, progress.advance)
    if opened.where.get("revision"):
        cache.write_json(key, [f"{word:x}" for word in hashes.ravel().tolist()])
    return hashes


def _checked(candidate: Candidate, target: Target, hashes: dict[str, np.ndarray]) -> Candidate:
    """The candidate with the share of images seen, and which dataset holds them."""
    compared = {name: hashes[name] for name in _names(candidate) if name in hashes}
    if not compared or target.hashes is None:
        return candidate
    seen = {name: np.unique(near_pairs(target.hashes, others)[:, 0]) for name, others in compared.items()}
    together = set().union(*(positions.tolist() for positions in seen.values()))
    share = len(together) / len(target)
    details = [
        f"{len(positions)} of {len(target)} images are among {len(compared[name])} of {name}"
        for name, positions in seen.items()
        if len(positions)
    ]
    detail = f"{'; '.join(details)} ({100 * share:.0f} %)" if details else None
    return replace(candidate, facts={**candidate.facts, "seen_share": share}, seen_images=detail)
