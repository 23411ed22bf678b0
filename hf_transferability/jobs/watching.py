"""Start the jobs of a plan, wait for what they put into the dataset of results, and repeat a lost one once."""

import contextlib
import secrets
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

# Labels of a job: which ranking it belongs to, which share and attempt it is, and one that no other job has.
RUN, PART, ONCE = "hf-transferability-run", "hf-transferability-part", "hf-transferability-once"
_TRIES = 2  # of each task
_PAUSE = 5.0  # seconds between two looks at the jobs
_LAST_LINES = 15.0  # seconds to wait for what an ended job has printed


@dataclass
class _Running:
    """A task that a job works on.

    Attributes:
        task: what it does.
        job: the job as it was last seen.
        attempt: from 1.
        since: when it was started, in the time of `time.monotonic`.
        last_line: the last line that it printed.
        stopped_because: why it was stopped here; "" if it was not.
        logs: the thread that shows what it prints.
    """

    task: Task
    job: jobs.Job
    attempt: int
    since: float
    last_line: str = ""
    stopped_because: str = ""
    logs: threading.Thread | None = None

    @property
    def loss_reason(self) -> str:
        """Why it is lost."""
        if self.stopped_because:
            return self.stopped_because
        if self.job.stage == "COMPLETED":
            return "it ended without a result"
        parts = [self.job.stage, *(first_line(RuntimeError(text)) for text in (self.job.message, self.last_line) if text)]
        return ": ".join(parts)


@dataclass(frozen=True)
class Watch:
    """The jobs of one plan.

    Attributes:
        plan: what to do.
        namespace: whose jobs they are.
        progress: is told how far they are, and what they print.
        token: default that of `hf auth login`.
    """

    plan: Plan
    namespace: str
    progress: Progress
    token: str | None = None

    def run(self) -> tuple[dict[int, Part], dict[int, str]]:
        """Run every task whose part is not in the dataset of results yet.

        Jobs of an earlier start of the same command that still run are waited for, and not started again.

        Returns:
            Number -> part, and for the tasks that were lost number -> reason.

        Raises:
            JobError: a job cannot be started or watched; those that run go on.
            PublishError: the dataset of results cannot be read.
        """
        parts, lost = self._parts({}), {}
        running: list[_Running] = []
        try:
            earlier = self._earlier()
            for task in self.plan.tasks:
                if task.number not in parts:
                    running.append(earlier.get(task.number) or self._started(task, 1))
                    self._show(running[-1])
            self.progress.stage("jobs", len(self.plan.tasks), "jobs")
            while running:
                self.progress.advance(len(parts))
                time.sleep(_PAUSE)
                for one in [one for one in running if self._has_ended(one)]:
                    running.remove(one)
                    parts = self._parts(parts)  # it may have died after its work was done
                    if one.task.number in parts:
                        self.progress.note(f"job {one.task.number}: done")
                    elif one.attempt < _TRIES:
                        self.progress.note(f"job {one.task.number} is lost ({one.loss_reason}) and is started once more.")
                        running.append(self._started(one.task, one.attempt + 1))
                        self._show(running[-1])
                    else:
                        lost[one.task.number] = f"its job was lost {_TRIES} times: {one.loss_reason}. See {one.job.url}"
                        self.progress.note(f"job {one.task.number} failed: {one.loss_reason}")
        except BaseException:
            if running:
                ids = " ".join(one.job.id for one in running)
                self.progress.note(
                    f"these jobs keep running: run the command again to resume, or stop one with `hf jobs cancel ID`: {ids}"
                )
            raise
        return parts, lost

    def _parts(self, read: Mapping[int, Part]) -> dict[int, Part]:
        return read_parts(self.plan.repo_id, self.plan.run, self.token, read)

    def _earlier(self) -> dict[int, _Running]:
        """The tasks on which jobs of an earlier start still work."""
        found = {}
        alive = [job for job in jobs.find_jobs({RUN: self.plan.run}, self.namespace, self.token) if job.stage not in jobs.ENDED]
        by_label = {job.labels.get(PART): job for job in alive}
        for task in self.plan.tasks:
            for attempt in range(1, _TRIES + 1):
                if job := by_label.get(_label(task, attempt)):
                    self.progress.note(f"job {task.number} runs already: {job.url}")
                    found[task.number] = _Running(task, job, attempt, time.monotonic())
        return found

    def _started(self, task: Task, attempt: int) -> _Running:
        labels = {RUN: self.plan.run, PART: _label(task, attempt), ONCE: secrets.token_hex(8)}
        how = self.plan.options
        spec = jobs.JobSpec(task.words, (self.plan.requirement,), how.flavor, how.minutes, labels, self.namespace)
        job = jobs.start_job(spec, self.token)
        self.progress.note(f"job {task.number} started: {job.url}")
        return _Running(task, job, attempt, time.monotonic())

    def _show(self, one: _Running) -> None:
        """Show, in a thread, what a job prints."""

        def show() -> None:
            with contextlib.suppress(Exception):  # the lines are only shown; the state of the job is asked for elsewhere
                for line in jobs.follow_logs(one.job, self.namespace, self.token):
                    if line.strip():
                        one.last_line = line.strip()
                        self.progress.note(f"job {one.task.number}: {line.rstrip()}")

        one.logs = threading.Thread(target=show, daemon=True)
        one.logs.start()

    def _has_ended(self, one: _Running) -> bool:
        """Look at a job; one that has had no machine for too long is stopped."""
        one.job = jobs.look_at_job(one.job, self.namespace, self.token)
        minutes = self.plan.options.start_minutes
        if one.job.stage == jobs.WAITING and time.monotonic() - one.since > 60 * minutes:
            one.stopped_because = f"it had no machine within {minutes:g} minutes; try another flavor, or raise --start-minutes"
            with contextlib.suppress(TransferabilityError):
                jobs.cancel_job(one.job, self.namespace, self.token)
        ended = bool(one.stopped_because) or one.job.stage in jobs.ENDED
        if ended and one.logs:
            one.logs.join(_LAST_LINES)
        return ended


def _label(task: Task, attempt: int) -> str:
    return f"{task.number}-{attempt}"
