"""`hf-transferability benchmark factors`: what goes with good transfer."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.benchmark.options import FORMATS, add_tables
from hf_transferability.cli.options import taken
from hf_transferability.cli.output import print_result, working
from hf_transferability.escaping import markdown
from hf_transferability.escaping.terminal import one_line

if TYPE_CHECKING:
    from hf_transferability.benchmark.factors import Factors

_COLUMNS = ("factor", "Spearman", "90% interval", "sources", "targets", "verdict")


def add(commands: Any) -> None:
    """Add the command."""
    factors = commands.add_parser(
        "factors",
        help="what goes with good transfer: size, classes, modality, width, diversity",
        description="Correlate facts and features of the sources with fine-tuned performance, per scenario and with intervals "
        "over the sources, and check two claims of the paper on these figures (default: the paper's own).",
        allow_abbrev=False,
    )
    factors.set_defaults(run=_factors)
    add_tables(factors)
    factors.add_argument(
        "--features", metavar="SOURCE=FILE", nargs="+", action="extend", default=[], type=_named_file,
        help="features of a source, .npz or .safetensors as for `score`, for the effective rank (diversity)",
    )  # fmt: skip
    factors.add_argument("--format", choices=FORMATS, default="table", help="on stdout (default: table)")
    factors.add_argument("--output", metavar="FILE", help="also write the rows to a .json, .csv or .parquet file")


def _named_file(text: str) -> tuple[str, str]:
    source, sign, path = text.partition("=")
    if not (source and sign and path):
        raise argparse.ArgumentTypeError(f"must be SOURCE=FILE; got {text!r}")
    return source, path


def _factors(options: argparse.Namespace) -> int:
    from hf_transferability import files

    if options.output:
        files.check_output(options.output)
    from hf_transferability.benchmark.factors import effective_rank_of_file, factors
    from hf_transferability.benchmark.figures import FigureFiles, check_scenarios, read_figures

    with working("comparing factors with fine-tuning"):
        figures = read_figures(taken(FigureFiles, options), options.scenario)
        check_scenarios(figures.chosen, options.scenario)
        result = factors(
            figures.chosen,
            figures.scores,
            figures.sources,
            effective_ranks={source: effective_rank_of_file(path) for source, path in options.features},
            scenarios=options.scenario,
            seed=options.seed,
        )
    result.notes[:0] = [*figures.choice_notes, *figures.score_notes]
    print_result(options, result.to_dict(), lambda: _print_table(result), lambda: _print_markdown(result))
    return 0


def _print_table(result: "Factors") -> None:
    from hf_transferability.reporting.terminal import print_figures, print_notes

    what = f"benchmark {result.benchmark}, ground truth {result.selection}"
    print(f"what goes with good transfer: {one_line(what)}")
    for scenario in dict.fromkeys(row["scenario"] for row in result.rows):
        print(f"\nscenario {scenario}: correlation with fine-tuned AUC, mean over targets\n")
        print_figures(_COLUMNS, [_line(row) for row in result.rows if row["scenario"] == scenario], sys.stdout)
    print("\nclaims of the paper, on these figures:\n")
    print_notes([f"{claim['claim']}: {claim['verdict']} ({claim['numbers']})" for claim in result.claims], sys.stdout)
    print()
    print_notes([*result.notes, *_READING], sys.stdout)


def _print_markdown(result: "Factors") -> None:
    what = f"benchmark {result.benchmark}, ground truth {result.selection}"
    print(f"What goes with good transfer: {markdown.text(what)}.\n")
    titles = ("scenario", *_COLUMNS)
    print(markdown.table(titles, [[row["scenario"], *_line(row)] for row in result.rows]))
    print()
    for claim in result.claims:
        print(f"- {claim['claim']}: {claim['verdict']} ({claim['numbers']})")
    for note in (*result.notes, *_READING):
        print(f"- {markdown.line(note)}")


_READING = (
    "intervals come from resampled sources; among so many factors one or two may seem to matter by chance.",
    "a correlation is not a cause: large sources, for example, are also diverse.",
    "sources: the largest number of candidates of one target, without the target's own model.",
    "same_modality: the two descriptions share a word, such as CT; same_colour: both grey or both in colour.",
)


def _line(row: dict[str, Any]) -> list[str]:
    span = "-" if row["low"] is None else f"{round(row['low'], 2) + 0:.2f}..{round(row['high'], 2) + 0:.2f}"
    value = "-" if row["correlation"] is None else f"{round(row['correlation'], 2) + 0:.2f}"
    return [row["factor"], value, span, str(row["n_sources"]), str(row["n_targets"]), row["verdict"]]
