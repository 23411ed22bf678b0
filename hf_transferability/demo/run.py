"""The demo: a small target dataset and a pool of source checkpoints, made on the spot, without network or account.

The target is five classes of scikit-learn's handwritten digits, as a shaky, noisy camera sees them. Every checkpoint is the
same small ResNet, pre-trained on another source: the other five digits, the same with shuffled labels, scikit-learn's
two photographs (two tasks), two kinds of drawings, or nothing.
"""

import contextlib
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark.advice import NEXT
from hf_transferability.demo.making import Say, make_checkpoints, make_target
from hf_transferability.progress import Passing, Progress

if TYPE_CHECKING:
    from hf_transferability.ranking.run import Ranking


@dataclass(frozen=True)
class Demo:
    """A target dataset's folder and its candidates' folders, the untrained one last.

    Attributes:
        kept: whether the folders stay, so that a command may name them.
    """

    target: Path
    checkpoints: tuple[Path, ...]
    kept: bool = True

    @property
    def command(self) -> str:
        """The command line that ranks these folders."""
        return shlex.join(["hf-transferability", "rank", *map(str, (self.target, *self.checkpoints))])

    def rank(self, seed: int, progress: Any) -> "Ranking":
        """Rank the checkpoints by the default metric; the ranking calls them by the names of their folders.

        Args:
            seed: see `rank`.
            progress: told what happens, with the same names; see `progress`.
        """
        from hf_transferability.ranking.run import rank

        display = _PlainNames(self, progress)
        ranking = rank(self.target, self.checkpoints, seed=seed, progress=display)
        rows = [
            {name: self.plain(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in ranking.rows
        ]
        dataset = {**ranking.dataset, "id": self.plain(ranking.dataset["id"])}
        notes = [text for note in ranking.notes if (text := self.note(note)) is not None]
        advice = ranking.advice and self._plain_advice(ranking.advice)
        return replace(ranking, rows=rows, dataset=dataset, notes=notes, advice=advice)

    def note(self, text: str) -> str | None:
        """A note with plain names; a command keeps its paths, and is None where its folders are temporary."""
        if text.startswith(NEXT):
            return text if self.kept else None
        return self.plain(text)

    def _plain_advice(self, advice: dict[str, Any]) -> dict[str, Any]:
        lines = [text for line in advice["text"] if (text := self.note(line)) is not None]
        names = [self.plain(name) for name in advice["not_told_apart"]]
        command = advice["command"] if self.kept else None
        return {**advice, "text": lines, "first": self.plain(advice["first"]), "not_told_apart": names, "command": command}

    def plain(self, text: str) -> str:
        """A text in which folders have their names instead of their paths, which may be temporary."""
        for path in sorted((self.target, *self.checkpoints), key=lambda path: -len(str(path))):
            text = text.replace(str(path), path.name)
        return text


class _PlainNames(Passing):
    """A progress display that shows folders by their names."""

    def __init__(self, demo: Demo, progress: Progress):
        super().__init__(progress)
        self._demo = demo

    def note(self, text: str) -> None:
        if (note := self._demo.note(text)) is not None:
            self._progress.note(note)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._progress.start(number, total, self._demo.plain(checkpoint))

    def finish(self, outcome: str) -> None:
        self._progress.finish(self._demo.plain(outcome))


@contextlib.contextmanager
def run(folder: str | Path | None = None, seed: int = 0, progress: Say = lambda text: None, **sizes: int) -> Iterator[Demo]:
    """Make the whole demo, or the part of it that is missing: `with run() as demo: demo.rank(0, progress)`.

    Args:
        folder: gets `target/` and `checkpoints/NAME/` and is kept; None for a temporary one, removed on leaving.
        seed: decides everything random; 0 or more.
        progress: called with one line of text before each step.
        sizes: `train_per_class` and `test_per_class` of `make_target`, `steps` and `images` of `make_checkpoints`.

    Raises:
        ValueError: one of the folders holds something else, or a demo with another seed or size.

    Cost: about 45 s, 10 MB on disk; nothing when all of it is there.
    """
    with contextlib.ExitStack() as stack:
        stays = folder is not None
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hf-transferability-demo-"))
        pool_sizes = {name: sizes.pop(name) for name in ("steps", "images") if name in sizes}
        target = make_target(Path(folder) / "target", seed, progress, **sizes)
        checkpoints = make_checkpoints(Path(folder) / "checkpoints", seed, progress, **pool_sizes)
        yield Demo(target, checkpoints, stays)
