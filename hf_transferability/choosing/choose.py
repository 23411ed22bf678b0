"""From a dataset and candidates to one recommendation: the ranking, short runs of those that may be the best, the decision."""

import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_transferability import arguments
from hf_transferability.benchmark.advice import MAKE_TEST_SPLIT, NEXT
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.choosing.contenders import Contender, contenders
from hf_transferability.choosing.decision import Decision, decide
from hf_transferability.choosing.report import explained, table
from hf_transferability.choosing.reports import Reports
from hf_transferability.choosing.sharing import write_for_hub
from hf_transferability.choosing.short_runs import PROTOCOL, Outcome, ShortRuns, best_run, fine_tune_within, source_names
from hf_transferability.choosing.timing import Images
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import UsageError
from hf_transferability.extraction.processes import n_started
from hf_transferability.files import make_folder, save
from hf_transferability.names import expanded, first_of_each, split_options, to_paste
from hf_transferability.progress import Progress, given
from hf_transferability.ranking.next_command import finetune_words
from hf_transferability.ranking.result import Ranking
from hf_transferability.ranking.run import rank
from hf_transferability.reporting import html
from hf_transferability.training.settings import RowLabels, SplitNames

RACE_FROM = 10  # candidates; a race saves extraction from about here, and costs nothing elsewhere (tests/costs/README.md)
LONGEST = 1e6  # minutes
RANKING, CHOICE, PAGE = "ranking.json", "choice.json", "choice.html"


@dataclass(frozen=True)
class Choice:
    """A recommendation and everything it rests on.

    Attributes:
        decision: what is recommended, and why.
        ranking: of all candidates.
        lines: the answer in words, best first read from the top.
        table: titles and rows of the contenders.
        command: what fine-tunes the recommended one in full; None without one, or for a dataset without name.
        cost: seconds of extraction in this call, and those of earlier ones whose arrays came from the cache; seconds of all
            short runs, those of earlier calls among them, and the number of runs.
        run: the better short run of the recommended one, as a row of the table `runs`; None without one.
        files: what was written, relative to the folder, beside the short runs.
    """

    decision: Decision
    ranking: Ranking
    lines: list[str]
    table: tuple[list[str], list[list[str]]]
    command: str | None
    cost: dict[str, float] = field(default_factory=dict)
    run: dict[str, Any] | None = None
    files: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """The answer as `choose` prints it."""
        from hf_transferability.reporting.terminal import print_figures, print_notes

        stream = io.StringIO()
        print_notes(self.lines, stream)
        titles, rows = self.table
        if rows:
            stream.write("\n")
            print_figures(titles, rows, stream)
        return stream.getvalue().rstrip("\n")

    def to_dict(self) -> dict[str, Any]:
        """Everything but the ranking, ready for JSON."""
        titles, rows = self.table
        return {
            **self.decision.to_dict(), "command": self.command, "cost": self.cost, "text": self.lines,
            "table": {"titles": titles, "rows": rows}, "run": self.run,
            "dataset": self.ranking.dataset, "versions": self.ranking.versions,
        }  # fmt: skip


def choose(
    dataset: str | Path,
    checkpoints: Sequence[str | Path],
    folder: str | Path,
    *,
    budget: float,
    race: bool | None = None,
    split_names: SplitNames | None = None,
    cache_dir: str | Path | None = None,
    use_cache: bool = True,
    skip_corrupt: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Choice:
    """Recommend one of the candidates for fine-tuning on a dataset.

    Args:
        dataset: Hub id or local folder with a training and a test split.
        checkpoints: Hub ids or local folders.
        folder: gets the ranking, the short runs, the choice, a page, a section for a model card, and for a dataset on the Hub
            entries of evaluation results; see `choosing.sharing`.
        budget: minutes for all short runs together; the ranking is not counted.
        race: as in `rank`; None: from 10 candidates on.
        split_names: names of the dataset's splits for the short runs.
        cache_dir, use_cache, skip_corrupt: as in `rank`.
        progress: shows what is done meanwhile; default nothing.
        options: fields of `data.options.SampleOptions` and of `checkpoints.options.LoadOptions`.

    Returns:
        The choice, which is also in the folder. The same call goes on where an earlier one was stopped.

    Raises:
        UsageError: wrong arguments, a dataset that does not fit them, or a folder with runs of another kind.
        TargetError: a dataset that cannot be read.
        TypeError: an unknown option.
    """
    sample, load = split_options(choose, options, SampleOptions, LoadOptions)
    arguments.text("dataset", dataset, path=True)
    arguments.text("folder", folder, path=True)
    checkpoints = arguments.texts("checkpoints", checkpoints, paths=True)
    budget = arguments.number("budget", budget, 0, LONGEST, above=True)
    if n_started() > 1:
        raise UsageError("`choose` must run in one process; several were started. Start it without accelerate or torchrun.")
    reports, folder = Reports(given(progress)), make_folder(expanded(folder), "output")
    html.check_page(folder / PAGE)
    splits = split_names or SplitNames(sample.split or "train")
    ranking = rank(
        dataset,
        checkpoints,
        race=len(first_of_each(checkpoints)) >= RACE_FROM if race is None else race,
        cache_dir=cache_dir,
        use_cache=use_cache,
        skip_corrupt=skip_corrupt,
        progress=reports,
        **options,
    )
    extracted = dict(reports.seconds)
    if not (folder / RANKING).exists():  # else it belongs to the choice beside it, should this call be refused below
        ranking.save(folder / RANKING)
    selected = contenders(ranking.rows, ranking.advice)
    work = _short_runs(dataset, folder, ranking, selected, splits, sample, load)
    outcome, why_not = _compared(budget, selected, work, ranking, splits, reports)
    ranking.save(folder / RANKING)
    evidence = (ranking.advice or {}).get("evidence")
    n_candidates = sum(row["score"] is not None for row in ranking.rows)
    decision = decide(selected, outcome.results, evidence, n_candidates)
    compared = decision.recommended in [result.name for result in outcome.results]  # other runs there were not checked
    cost, run = _cost(ranking, outcome, extracted), best_run(decision.recommended, work) if compared else None

    def made(name: str) -> Choice:
        """The choice with a command that calls the dataset so."""
        command = _command(name, decision, splits, sample, load, ranking)
        needed = "" if splits.test in ranking.dataset["account"]["rows"] else MAKE_TEST_SPLIT
        next_line = [f"{NEXT}{needed}{command}"] if command else []
        lines = [*explained(decision, outcome, ranking, budget, cost, why_not), *_no_entries(decision, ranking), *next_line]
        return Choice(decision, ranking, lines, table(decision), command, cost, run)

    return replace(made(str(dataset)), files=(RANKING, *_write(made(to_paste(dataset)), folder)))


def _short_runs(
    dataset: str | Path,
    folder: Path,
    ranking: Ranking,
    selected: Sequence[Contender],
    splits: SplitNames,
    sample: SampleOptions,
    load: LoadOptions,
) -> ShortRuns:
    """What the short runs share."""
    n_classes = len(ranking.dataset["classes"])
    rows = ranking.dataset["account"]["rows"]
    available = max(int(rows.get(splits.train) or 0), 0) or PROTOCOL.train_per_class * n_classes
    images = Images(
        min(PROTOCOL.train_per_class * n_classes, available),
        min(PROTOCOL.validation_per_class * n_classes, available),
        max(int(rows.get(splits.test) or 0), 0),
    )
    default = SampleOptions()
    reading = {name: getattr(sample, name) for name in SampleOptions.reading_names()}
    reading = {name: value for name, value in reading.items() if value != getattr(default, name)}
    labels = RowLabels("own", ranking.scenario)
    sources = source_names([contender.name for contender in selected])
    return ShortRuns(dataset, folder / "runs", images, n_classes, splits, labels, sources, load, reading)


def _compared(
    budget: float,
    selected: Sequence[Contender],
    work: ShortRuns,
    ranking: Ranking,
    splits: SplitNames,
    progress: Progress,
) -> tuple[Outcome, str | None]:
    """What the short runs showed, or why there are none."""
    nothing = Outcome([], [contender.name for contender in selected[1:]], None, 0.0)
    if len(selected) < 2:
        return nothing, "no other candidate may be the best" if selected else None
    if ranking.dataset["task"] == "regression":
        return nothing, "fine-tuning needs classes, and the labels are numbers"
    if splits.test not in ranking.dataset["account"]["rows"]:
        return nothing, f"fine-tuning needs a test split, and there is no {splits.test}: make one, or pass --test-split"
    outcome = fine_tune_within(60 * budget, selected, work, progress)
    if outcome.needed is not None:
        least = max(outcome.needed / 60, 0.1)
        return outcome, f"short runs of two candidates take about {least:.1f} minutes: pass --budget {least + 0.05:.1f} or more"
    return outcome, None


def _command(
    dataset: str, decision: Decision, splits: SplitNames, sample: SampleOptions, load: LoadOptions, ranking: Ranking
) -> str | None:
    """The words that fine-tune the recommended candidate in full."""
    if decision.recommended is None or ranking.dataset["task"] == "regression":
        return None
    words = finetune_words(sample, load, ranking.scenario)
    words += [f"--train-split={splits.train}"] if splits.train != (sample.split or "train") else []
    words += [f"--validation-split={splits.validation}"] if splits.validation else []
    words += [f"--test-split={splits.test}"] if splits.test != "test" else []
    start = ["hf-transferability", "finetune", "--dataset", dataset, "--checkpoint", decision.recommended]
    return shlex.join([*start, *words, "--output", "full"])


def _no_entries(decision: Decision, ranking: Ranking) -> list[str]:
    """Why there are no entries of evaluation results, where the dataset alone would have them."""
    revisions = {row["checkpoint"]: str(row["revision"]) for row in ranking.rows}
    is_local = revisions.get(decision.recommended, "").startswith("sha256:")
    return ["no .eval_results: the recommended checkpoint is a folder, not a repository of the Hub."] * (
        is_local and ranking.dataset.get("revision") is not None
    )


def _cost(ranking: Ranking, outcome: Outcome, extracted: Mapping[str, float]) -> dict[str, float]:
    """Seconds of the parts.

    Args:
        ranking: of all candidates.
        outcome: of the short runs.
        extracted: candidate -> seconds in this call.
    """
    cached = sum(float(row["seconds"] or 0.0) for row in ranking.rows if row["checkpoint"] not in extracted)
    return {
        "extraction_seconds": round(sum(extracted.values()), 1),
        "cached_extraction_seconds": round(cached, 1),
        "short_run_seconds": round(outcome.seconds, 1),
        "earlier_short_run_seconds": round(outcome.earlier_seconds, 1),
        "short_runs": sum(result.runs for result in outcome.results),
    }


def _write(choice: Choice, folder: Path) -> list[str]:
    """Write the files of a choice, in which the dataset goes by its name; returns their names."""
    document = choice.to_dict()
    save(document, folder / CHOICE)
    ranking = choice.ranking.to_dict()
    html.save({**ranking, "choice": document}, folder / PAGE)
    return [CHOICE, PAGE, *map(str, write_for_hub(document, ranking, folder))]
