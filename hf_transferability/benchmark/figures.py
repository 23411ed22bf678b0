"""The figures that a comparison rests on: those of a bundled benchmark, or tables and a ranking in files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hf_transferability.benchmark import bundled, ground_truth, tables
from hf_transferability.benchmark.given_scores import read_scores
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FigureFiles:
    """Where the figures come from.

    Attributes:
        benchmark: the bundled one that gives what no file gives.
        ground_truth, runs, sources: files of these tables, or None.
        scores: a file with a table of scores or a ranking, or None.
        selection: how fine-tuned performance is taken from the runs; None for the recommended one of a bundled benchmark,
            which the table over all benchmarks and the page take too, or else that of the tables.
        measure: of fine-tuned performance; None for the default.
    """

    benchmark: str = "paper"
    ground_truth: str | None = None
    scores: str | None = None
    runs: str | None = None
    sources: str | None = None
    selection: str | None = None
    measure: str | None = None


@dataclass(frozen=True)
class Figures:
    """Tables that were read.

    Attributes:
        ground_truth: a table of that name; None if it is to be taken from the runs.
        runs: a table of that name, or None.
        scores, sources: tables of these names.
        chosen: the ground truth of one selection and measure, from the table or the runs.
        choice_notes: what the reader should know about that choice.
        score_notes: what the reader should know about the scores.
        sizes: facts about a ranking's candidates, as a table of sources; None if the scores come from a table.
        own_sources: whether the facts about the sources belong to this ground truth.
    """

    ground_truth: "pd.DataFrame | None"
    runs: "pd.DataFrame | None"
    scores: "pd.DataFrame"
    sources: "pd.DataFrame"
    chosen: "pd.DataFrame"
    choice_notes: list[str] = field(default_factory=list)
    score_notes: list[str] = field(default_factory=list)
    sizes: "pd.DataFrame | None" = None
    own_sources: bool = True

    def orientation(self, wanted: str) -> str:
        """Which way round scores count: a ranking is always judged in its own order."""
        return "natural" if self.sizes is not None else wanted

    @property
    def known_sources(self) -> "pd.DataFrame":
        """Facts about the candidates: those of the ranking, if no other table of sources belongs to the ground truth."""
        return self.sources if self.sizes is None or self.own_sources else self.sizes


def read_figures(files: FigureFiles, scenarios: Sequence[str] = (), targets: Sequence[str] = ()) -> Figures:
    """Read what the files give, and the rest from the bundled benchmark.

    Args:
        files: where the figures come from.
        scenarios, targets: those that are asked for; exactly one says what a ranking is for that does not say it itself.

    Raises:
        UsageError: a file that cannot be read, or a ranking that does not fit the ground truth.
    """
    truth, runs = _ground_truth(files)
    sources = tables.read(files.sources, "sources") if files.sources else bundled.load("sources", files.benchmark)
    recommended = None if files.ground_truth or files.runs else bundled.selection(files.benchmark)
    chosen, choice_notes = ground_truth.choose(truth, runs, files.selection or recommended, files.measure)
    if not files.scores:
        return Figures(truth, runs, bundled.load("scores", files.benchmark), sources, chosen, choice_notes)
    scenario, target = (names[0] if len(names) == 1 else None for names in (scenarios, targets))
    scores, score_notes, sizes = read_scores(files.scores, chosen, scenario, target)
    own_sources = bool(files.sources) or not (files.ground_truth or files.runs)
    return Figures(truth, runs, scores, sources, chosen, choice_notes, score_notes, sizes, own_sources)


def check_scenarios(ground_truth: "pd.DataFrame", scenarios: Sequence[str]) -> None:
    """Refuse scenarios that the ground truth does not have.

    Raises:
        UsageError: names those that it has.
    """
    known = list(dict.fromkeys(ground_truth.scenario))
    if unknown := [name for name in scenarios if name not in known]:
        raise UsageError(
            f"the ground truth has no scenario {', '.join(unknown)}; it has {', '.join(known)}. Choose one of these."
        )


def _ground_truth(files: FigureFiles) -> "tuple[pd.DataFrame | None, pd.DataFrame | None]":
    """Ground truth, None if it is to be taken from the runs; and runs, None if there are none."""
    truth = runs = None
    if files.runs:
        runs = tables.read(files.runs, "runs")
    if files.ground_truth:
        truth = tables.read(files.ground_truth, "ground_truth")
    elif runs is None:
        truth = bundled.load("ground_truth", files.benchmark)
        runs = bundled.load("runs", files.benchmark) if files.benchmark in bundled.with_table("runs") else None
    return truth, None if runs is None else ground_truth.with_shared_runs(runs)
