"""Start the jobs of a plan, wait for what they put into the dataset of results, and repeat a lost one once."""

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from hf_transferability.errors import TransferabilityError, first_line
from hf_transferability.hub import jobs
from hf_transferability.jobs.plan import Plan, Task
from hf_transferability.progress import Progress
from hf_transferability.publishing.parts import read_parts
from hf_transferability.ranking.parts import Part

RUN, PART = "hf-transferability-run", "hf-transferability-part"  # labels of a job
_TRIES = 2  # of each task
_PAUSE = 5.0  # seconds between two looks at the jobs


@dataclass
class _Running:
    """A task that a job works on.

    Attributes:
        task: what it does.
        job: the job as it was last seen.
        attempt: from 1.
        since: when it was started, in the time of `time.monotonic`.
        gave_up: why it was stopped here; "" if it was not.
    """

    task: Task
    job: jobs.Job
    attempt: int
    since: float
    gave_up: str = ""


def run_plan(
    plan: Plan, namespace: str, progress: Progress, token: str | None = None
) -> tuple[dict[int, Part], dict[int, str]]:
    """Run every task whose part is not in the dataset of results yet.

    Jobs of an earlier start of the same command that still run are waited for, and not started again.

    Args:
        plan: what to do.
        namespace: whose jobs they are.
        progress: is told how far they are, and what they print.
        token: default that of `hf auth login`.

    Returns:
        Number -> part, and for the tasks that were lost number -> reason.

    Raises:
        JobError: a job cannot be started or watched; those that run go on.
        PublishError: the dataset of results cannot be read.
    """
    parts = read_parts(plan.repo_id, plan.run, token)
    lost: dict[int, str] = {}
    earlier = {job.labels.get(PART): job for job in jobs.find_jobs({RUN: plan.run}, namespace, token)}
    earlier = {label: job for label, job in earlier.items() if job.stage not in jobs.ENDED}
    running = [_begun(plan, task, earlier, namespace, progress, token) for task in plan.tasks if task.number not in parts]
    progress.stage("jobs", len(plan.tasks), "jobs")
    progress.advance(len(parts))
    while running:
        time.sleep(_PAUSE)
        for one in list(running):
            one.job = jobs.look_at_job(one.job, namespace, token)
            if one.job.stage not in jobs.ENDED:
                _give_up_if_late(one, plan, namespace, token)
                if not one.gave_up:
                    continue
            running.remove(one)
            parts = read_parts(plan.repo_id, plan.run, token)  # it may have died after its work was done
            if one.task.number in parts:
                progress.note(f"job {one.task.number}: done")
            elif one.attempt < _TRIES:
                progress.note(f"job {one.task.number} is lost ({_why(one)}) and is started once more.")
                running.append(_started(plan, one.task, one.attempt + 1, namespace, progress, token))
            else:
                lost[one.task.number] = f"its job was lost {_TRIES} times: {_why(one)}. See {one.job.url}"
                progress.note(f"job {one.task.number} is given up: {_why(one)}")
            progress.advance(len(parts))
    return parts, lost


def _begun(
    plan: Plan, task: Task, earlier: Mapping[str | None, jobs.Job], namespace: str, progress: Progress, token: str | None
) -> _Running:
    """A task with the job of an earlier start that works on it, or with a new job."""
    for attempt in range(1, _TRIES + 1):
        if job := earlier.get(_label(task, attempt)):
            progress.note(f"job {task.number} runs already: {job.url}")
            return _watched(_Running(task, job, attempt, time.monotonic()), namespace, progress, token)
    return _started(plan, task, 1, namespace, progress, token)


def _started(plan: Plan, task: Task, attempt: int, namespace: str, progress: Progress, token: str | None) -> _Running:
    labels = {RUN: plan.run, PART: _label(task, attempt)}
    order = jobs.Order(task.words, (plan.requirement,), plan.hardware.flavor, plan.options.minutes, labels, namespace)
    job = jobs.start_job(order, token)
    progress.note(f"job {task.number} started: {job.url}")
    return _watched(_Running(task, job, attempt, time.monotonic()), namespace, progress, token)


def _label(task: Task, attempt: int) -> str:
    return f"{task.number}-{attempt}"


def _watched(running: _Running, namespace: str, progress: Progress, token: str | None) -> _Running:
    """The same, while a thread shows what its job prints."""

    def show() -> None:
        with contextlib.suppress(Exception):  # the lines are only shown; the state of the job is asked for elsewhere
            for line in jobs.follow_logs(running.job, namespace, token):
                if line.strip():
                    progress.note(f"job {running.task.number}: {line.rstrip()}")

    threading.Thread(target=show, daemon=True).start()
    return running


def _give_up_if_late(one: _Running, plan: Plan, namespace: str, token: str | None) -> None:
    """Stop a job that has had no machine for too long."""
    minutes = plan.options.start_minutes
    if one.job.stage != jobs.WAITING or time.monotonic() - one.since < 60 * minutes:
        return
    one.gave_up = f"it had no machine within {minutes:g} minutes; try another flavor, or raise --start-minutes"
    with contextlib.suppress(TransferabilityError):
        jobs.cancel_job(one.job, namespace, token)


def _why(one: _Running) -> str:
    if one.gave_up:
        return one.gave_up
    message = first_line(RuntimeError(one.job.message)) if one.job.message else ""
    return (
        f"{one.job.stage}{f': {message}' if message else ''}" if one.job.stage != "COMPLETED" else "it ended without a result"
    )
