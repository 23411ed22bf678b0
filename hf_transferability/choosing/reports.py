"""The reports of a choice, whose steps would each tell the same of the dataset, and say what to do next."""

import time

from hf_transferability.progress import CACHED, Passing, Progress


class Reports(Passing):
    """Passes reports on as those of one work: each note once, one account of the dataset, and the advice of no single step.

    Attributes:
        seconds: candidate -> seconds of the work that was done for it; those that came from the cache are not in it.
    """

    def __init__(self, progress: Progress):
        super().__init__(progress)
        self.seconds: dict[str, float] = {}
        self._told: set[str] = set()
        self._has_account = False
        self._name, self._began = "", 0.0

    def note(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            super().note(text)

    def account(self, text: str) -> None:
        if not self._has_account:
            self._has_account = True
            self.note(text)

    def advise(self, text: str) -> None:
        """Nothing: the choice itself says what to do next."""

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._name, self._began = checkpoint, time.monotonic()
        super().start(number, total, checkpoint)

    def finish(self, outcome: str) -> None:
        if outcome != CACHED:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + time.monotonic() - self._began
        super().finish(outcome)


class OneOfSeveral(Passing):
    """Reports of a grid of one contender, as one of several: its caller starts and ends it, and its one checkpoint is tried
    without a line."""

    def account(self, text: str) -> None:
        self._progress.account(text)

    def advise(self, text: str) -> None:
        self._progress.advise(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        """Nothing: the caller has said which of the contenders it is."""

    def finish(self, outcome: str) -> None:
        """Nothing: the caller ends it, also where no run was left to do."""

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> None:
        if name != "trying every checkpoint":
            super().stage(name, total, unit)


class OutOfTime(BaseException):
    """A run that a budget does not cover; no `Exception`, as a run that fails is another thing."""


class WithinTime(OneOfSeveral):
    """Reports of a grid of one contender that end it after some seconds, at its next epoch.

    Raises:
        OutOfTime: in `advance`.
    """

    def __init__(self, progress: Progress, seconds: float):
        super().__init__(progress)
        self._ends = time.monotonic() + seconds

    def advance(self, done: int) -> None:
        super().advance(done)
        if time.monotonic() > self._ends:
            raise OutOfTime
