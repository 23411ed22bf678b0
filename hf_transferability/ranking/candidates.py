"""One candidate: from the name that the user gave to the arrays of its network, the same decision in every process."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from hf_transferability.checkpoints.cards import card_facts
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import on_this_machine, resolve
from hf_transferability.checkpoints.source import Source
from hf_transferability.data.targets import Target
from hf_transferability.errors import CheckpointError, TransferabilityError
from hf_transferability.extraction.cache import EXTRACTION_VERSION, Arrays, Cache
from hf_transferability.extraction.pixels import PixelStore
from hf_transferability.extraction.processes import Processes
from hf_transferability.machine import freed_after
from hf_transferability.names import expanded
from hf_transferability.progress import Progress
from hf_transferability.provenance import package_versions
from hf_transferability.ranking.downloads import Downloads
from hf_transferability.ranking.loading_ahead import is_worth_it, load_ahead, release
from hf_transferability.ranking.network_cache import NetworkCache
from hf_transferability.ranking.scoring import Scores

log = logging.getLogger(__name__)

_PREPROCESSING = ("transformers", "timm", "torchvision", "pillow")  # another version may give other pixels or another network

_AGREE = 1e-5  # of the largest value: two passes over the same images differ by no more


@dataclass(frozen=True)
class Work:
    """What is the same for every candidate of a run; the fields are those of `ranking.rank`.

    Attributes:
        gradients: whether a metric needs gradient norms.
        store: preprocessed images that candidates of one image processor share; None where there is one candidate.
        downloads: finds and downloads the next candidate meanwhile; None, and in all but the main process: when its turn comes.
        missing: candidates that lead nowhere, with the reason that the user has been told already.
        kept: networks that stay loaded because a later pass of the same run may need them; None to keep none.
    """

    target: Target
    cache: Cache
    state: Processes
    progress: Progress
    use_cache: bool = True
    batches: str = "paper"
    gradients: bool = True
    micro_batch: int | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    store: PixelStore | None = None
    downloads: Downloads | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    kept: NetworkCache | None = None


@dataclass(frozen=True)
class Candidate:
    """What is known of one candidate before its pool is ranked.

    Attributes:
        name: as the user gave it.
        revision: commit or sha256, None where it could not be resolved.
        facts: columns of its row that the network, its card and the extraction tell.
        scores: what the metrics say, None where it failed.
        error: why it failed.
        trained_on_target: the entry of its card's training datasets that is the target.
        seen_images: how many of the target's images which of these datasets holds; None if none, or if that is not known.
    """

    name: str
    revision: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    scores: Scores | None = None
    error: str | None = None
    trained_on_target: str | None = None
    seen_images: str | None = None

    @property
    def untrained(self) -> bool | None:
        """Whether its network was never trained; None where that is not known."""
        return self.facts.get("untrained")


@dataclass(frozen=True)
class Found:
    """A candidate without scores, and what gives its arrays in the main process (None elsewhere, or where it failed)."""

    candidate: Candidate
    read: Callable[[], Arrays | None] = lambda: None
    cached: bool = False


def find_candidate(name: str, work: Work) -> Found:
    """Resolve a candidate and get its arrays from the cache or by extraction; one that fails says why in its "error".

    The main process resolves the name and looks into the cache, and all act on what it finds. Extracted arrays are on disk
    before this returns, and are read again when they are needed, so that a large pool does not fill the memory.
    """
    revision = None
    try:
        began = time.monotonic()
        arrays: Arrays | None = None
        without_gradients: Arrays | None = None
        decision: Any = None
        if work.state.is_main_process:
            source, key, failure = _resolved(name, work)
            arrays = work.cache.read(key) if work.use_cache and failure is None else None
            if arrays is not None and work.gradients and not arrays.with_gradients:
                without_gradients, arrays = arrays, None  # one pass gives both, and costs no more than the gradients alone
            decision = (source, key, failure, arrays is not None)
        source, key, failure, cached = work.state.broadcast(decision)
        if failure is not None:
            raise CheckpointError(failure)
        revision = source.revision
        if not cached:
            arrays = _extracted(name, source, work)
            arrays.facts["seconds"] = round(time.monotonic() - began, 2)
            if without_gradients is not None:
                _take_stored(arrays, without_gradients, name, work)
        if arrays is None:
            return Found(Candidate(name, revision), cached=cached)
        return Found(_described(name, source, arrays, work), _reader(key, arrays, cached, work), cached)
    except Exception as error:  # whatever is wrong with one checkpoint, the others are still ranked
        return Found(Candidate(name, revision, error=reason(error)))


def with_downloads(work: Work, names: Sequence[str]) -> Work:
    """The work with what downloads the next of these candidates, in the main process."""
    if not work.state.is_main_process or len(names) < 2:
        return work
    downloads = Downloads(
        names, work.load, lambda source: not (work.use_cache and work.cache.holds(_key(source, work), work.gradients))
    )
    return replace(work, downloads=downloads)


def is_cached(name: str, work: Work) -> bool:
    """Whether the arrays of a candidate are in the cache, the same answer in every process."""
    answer = False
    if work.use_cache and work.state.is_main_process:
        _, key, failure = _resolved(name, work)
        answer = failure is None and work.cache.holds(key, work.gradients)
    return work.state.broadcast(answer)


def store(name: str, arrays: Arrays, work: Work) -> Callable[[], Arrays | None]:
    """Put arrays that were joined from parts into the cache, where a later run finds them; returns what reads them."""
    _, key, failure = _resolved(name, work)
    return _reader(key, arrays, False, work) if failure is None else lambda: arrays


def _take_stored(arrays: Arrays, stored: Arrays, name: str, work: Work) -> None:
    """Put the stored features and probabilities in the place of those of a later pass, which differ from them by rounding: the
    scores that are stored for them stay valid. Where they differ by more, say so and leave the new ones."""
    for kind in ("features", "source_probabilities"):
        new, old = getattr(arrays, kind), getattr(stored, kind)
        if new is None and old is None:
            continue
        if new is None or old is None or new.shape != old.shape or not np.allclose(new, old, 0, _AGREE * np.abs(old).max()):
            other = f"{name} gives other {kind.replace('_', ' ')} than those in the cache"
            work.progress.note(f"{other}: its scores are computed anew, so compare them with none of earlier runs.")
            return
    arrays.features, arrays.source_probabilities = stored.features, stored.source_probabilities


def _described(name: str, source: Source, arrays: Arrays, work: Work) -> Candidate:
    facts = dict(arrays.facts)
    if source.folder is not None:
        facts |= card_facts(source.folder)  # not part of the key, so the stored ones may be older
    leak = trained_on(facts["training_datasets"], work.target.provenance["id"])
    return Candidate(name, source.revision, facts, trained_on_target=leak)


def _reader(key: dict[str, Any], arrays: Arrays, cached: bool, work: Work) -> Callable[[], Arrays | None]:
    if work.state.is_main_process and (cached or work.cache.write(key, arrays)):
        return lambda: work.cache.read(key)
    return lambda: arrays


def trained_on(named: list[str], target: str) -> str | None:
    """The entry of a model card's training datasets that is the target by its id, the last part of it, or a folder's name."""
    folder = expanded(target)
    target = folder.resolve().name if os.path.isdir(folder) else target.strip("/")
    same = {target.lower(), target.split("/")[-1].lower()}
    return next((name for name in named if {name.lower(), name.split("/")[-1].lower()} & same), None)


def reason(error: Exception) -> str:
    """An error as the text of a row."""
    if isinstance(error, TransferabilityError):
        return str(error)
    log.debug("unexpected error", exc_info=error)
    return f"unexpected {type(error).__name__}: {error}"


def _resolved(name: str, work: Work) -> tuple[Source | None, dict[str, Any], str | None]:
    """The resolved checkpoint and the key of its arrays, or the reason why there are none."""
    if not (work.kept and work.kept.has_resolved(name)):
        work.progress.stage("resolving")
    try:
        resolving = work.downloads.resolve if work.downloads else partial(resolve, options=work.load)
        source = work.kept.resolve(name, resolving) if work.kept else resolving(name)
    except Exception as error:
        return None, {}, reason(error)
    return source, _key(source, work), None


def _key(source: Source, work: Work) -> dict[str, Any]:
    """What a candidate's arrays depend on."""
    key: dict[str, Any] = {"kind": "arrays", "checkpoint": source.key, "target": work.target.key, "batches": work.batches}
    key |= {"extraction": EXTRACTION_VERSION, "code": work.load.trust_remote_code}
    versions = package_versions()
    key["preprocessing"] = [f"{name} {versions.get(name)}" for name in _PREPROCESSING]
    return key


def _extracted(name: str, source: Source, work: Work) -> Arrays:
    # Imported here: arrays from the cache need no torch.
    from accelerate.utils.memory import clear_device_cache

    try:
        with freed_after():
            return _extracted_alone(name, source, work)
    finally:
        clear_device_cache()


def _extracted_alone(name: str, source: Source, work: Work) -> Arrays:
    from hf_transferability.checkpoints.loading import load
    from hf_transferability.extraction import passes

    failure, checkpoint = None, work.kept.get(name) if work.kept else None
    work.progress.stage("loading")
    ahead = work.downloads.take(name) if work.downloads and checkpoint is None else None
    checkpoint = checkpoint or ahead
    with work.state.local_main_first():  # one download per machine
        # Caught inside: an error that left this block would leave the other processes waiting at its end.
        try:
            if checkpoint is None:
                checkpoint = load(on_this_machine(source) if work.state.is_first_elsewhere else source)
        except Exception as error:
            failure = reason(error)
    failures = [text for text in work.state.gather(failure) if text]
    if failures or checkpoint is None:
        raise CheckpointError(failures[0])
    if work.downloads:
        work.downloads.start_after(name, load_ahead if is_worth_it(work.state.device) else None)
    stage = "extracting features and gradients" if work.gradients else "extracting features"
    work.progress.stage(stage, len(work.target) // work.state.num_processes)
    try:
        arrays = passes.extract(
            checkpoint,
            work.target,
            batches=work.batches,
            micro_batch=work.micro_batch,
            gradients=work.gradients,
            store=work.store,
            state=work.state,
            progress=work.progress.advance,
        )
        if work.kept:
            work.kept.keep(name, checkpoint)
        return arrays
    finally:
        if ahead is not None and not (work.kept and work.kept.get(name) is ahead):
            release(ahead)
        del checkpoint, ahead  # an error keeps this frame
