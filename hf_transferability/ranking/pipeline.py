"""Candidates with their scores: one after the other is extracted, and meanwhile metrics are computed for those before it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from hf_transferability.data.targets import Labelled
from hf_transferability.extraction.cache import Arrays
from hf_transferability.machine import usable_cores
from hf_transferability.progress import CACHED
from hf_transferability.ranking.candidates import Candidate, Found, Work, find_candidate, reason
from hf_transferability.ranking.scorers import Scorers
from hf_transferability.ranking.scoring import Request, Scores

Find = Callable[[str, Work], Found]
Read = Callable[[], Arrays | None]


def scored_candidates(
    names: Sequence[str], work: Work, request: Request, *, find: Find = find_candidate, sample: Labelled | None = None
) -> tuple[list[Candidate], list[Read]]:
    """All candidates with their scores (in the main process), and what gives their arrays.

    Args:
        names: of the candidates.
        work: what is the same for all of them.
        request: what to compute.
        find: gets the arrays of one candidate.
        sample: the labels of the images that these arrays are of; default those of the work's target.
    """
    entries: list[Found] = []
    futures: list[Future[Scores] | None] = []
    with Scorers(work.target if sample is None else sample, request, work.cache) as scorers:
        for number, name in enumerate(names, 1):
            work.progress.start(number, len(names), name)
            entries.append(find(name, work))
            error = entries[-1].candidate.error
            score = work.state.is_main_process and error is None
            if work.state.accelerator is not None:
                scorers.use_cores(usable_cores() - 1)  # the extraction leaves all cores but one
                scorers.use_device(work.state.accelerator)
            futures.append(scorers.score(entries[-1].read) if score else None)
            outcome = CACHED if entries[-1].cached else "extracted"
            failed = "FAILED, as said above" if error == work.missing.get(name) else f"FAILED: {error}"
            work.progress.finish(outcome if error is None else failed)
        n_scored = sum(future is not None for future in futures)
        if n_scored:
            work.progress.stage("scoring", n_scored, "candidates")
        scorers.use_cores(usable_cores())
        candidates, done = [], 0
        for entry, future in zip(entries, futures, strict=True):
            candidates.append(_with_scores(entry.candidate, future))
            if future is not None:
                done += 1
                work.progress.advance(done)
    for note in scorers.notes():
        work.progress.note(note)
    return candidates, [entry.read for entry in entries]


def _with_scores(candidate: Candidate, future: Future[Scores] | None) -> Candidate:
    """A candidate with its scores when they are there, or with the reason why it failed."""
    if future is None:
        return candidate
    try:
        return replace(candidate, scores=future.result())
    except Exception as error:  # a fault in a metric is one candidate's row, not the end of the run
        return replace(candidate, error=reason(error))
