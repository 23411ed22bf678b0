"""`hf-transferability benchmark compare`: scores against fine-tuned performance, beside baselines."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.benchmark.leaderboard import ALL, compare_all
from hf_transferability.cli.benchmark.options import FORMATS, add_tables
from hf_transferability.cli.options import taken
from hf_transferability.names import ORIENTATIONS

if TYPE_CHECKING:
    import pandas as pd

    from hf_transferability.benchmark.compare import Comparison


def add(commands: Any) -> None:
    """Add the command."""
    compare = commands.add_parser(
        "compare",
        help="scores against fine-tuned performance, beside baselines that look at no target data",
        description="Compare scores with fine-tuned performance, per target and on average, beside baselines that look at no "
        "target data and the noise of the ground truth itself. Without options: the paper's own figures.",
        allow_abbrev=False,
    )
    compare.set_defaults(run=_compare)
    add_tables(compare)
    compare.add_argument("--target", action="append", default=[], metavar="NAME", help="only this target; repeatable")
    compare.add_argument("--metric", action="append", default=[], metavar="NAME", help="only this metric; repeatable")
    compare.add_argument(
        "--orientation", choices=ORIENTATIONS,
        help="across architectures the paper counts lower as better for some published variants; 'natural' never does "
        "(default: published, and natural over all benchmarks)",
    )  # fmt: skip
    compare.add_argument("--format", choices=FORMATS, default="table", help="on stdout (default: table)")
    compare.add_argument(
        "--output", metavar="FILE", help="also write the rows, with their provenance, to a .json, .csv or .parquet file"
    )


def _compare(options: argparse.Namespace) -> int:
    from hf_transferability import files

    if options.output:
        files.check_output(options.output)
    if options.benchmark == ALL:
        return compare_all(options)
    from hf_transferability.benchmark.compare import compare
    from hf_transferability.benchmark.figures import FigureFiles, read_figures

    figures = read_figures(taken(FigureFiles, options), options.scenario, options.target)
    comparison = compare(
        figures.ground_truth,
        figures.scores,
        sources=figures.known_sources,
        runs=figures.runs,
        selection=options.selection,
        measure=options.measure,
        scenarios=options.scenario,
        targets=options.target,
        metrics=options.metric,
        orientation=figures.orientation(options.orientation or ORIENTATIONS[0]),
        seed=options.seed,
    )
    comparison.notes[1:1] = figures.score_notes
    if options.format == "json":
        print(files.to_json(comparison.to_dict()))
    elif options.format == "csv":
        print(files.to_csv(comparison.to_dict()["rows"]), end="")
    elif options.format == "markdown":
        _print_markdown(comparison)
    else:
        _print_table(comparison)
    if options.output:
        files.save(comparison.to_dict(provenance=True), options.output)
        print(f"written: {options.output}", file=sys.stderr)
    return 0


def _print_table(comparison: "Comparison") -> None:
    from hf_transferability.benchmark.comparison_rows import CEILING, MEAN
    from hf_transferability.reporting.terminal import print_figures, print_notes

    rows = comparison.rows
    print(f"agreement with fine-tuning: benchmark {comparison.benchmark}, ground truth {comparison.selection}")
    for scenario, own in rows.groupby("scenario", sort=False):
        targets = [target for target in own.target.unique() if target != MEAN]
        sizes = sorted(own[(own.target != MEAN) & (own.variant != CEILING)].n_sources.dropna().unique())
        span = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}" if sizes else "no"
        shown = MEAN if len(targets) > 1 else targets[0]
        what = f"mean over {len(targets)} targets" if len(targets) > 1 else f"target {targets[0]}"
        print(f"\nscenario {scenario}, {what}, {span} sources{' each' * (len(targets) > 1)}; 90 % intervals\n")
        lines = [["metric", *_titles(own)], *_summary(own[own.target == shown])]
        if len(targets) == 1:  # then nobody asks over how many a mean is
            lines = [[name, *rest] for name, _, *rest in lines]
        print_figures(lines[0], lines[1:], sys.stdout)
        if len(targets) > 1:
            print("\ntau_w per target\n")
            wide = own[own.statistic == "weighted_tau"]
            lines = [[_label(key, own), *(_number(_cell(each, name)) for name in targets)] for key, each in _methods(wide)]
            print_figures(["metric", *targets], lines, sys.stdout)
        for test in comparison.friedman:
            if test["scenario"] == scenario and (len(targets) > 1 or test["undefined"] is None):
                print(f"\n{_friedman(test)}")
    print()
    print_notes([*comparison.notes, *_reading(rows)], sys.stdout)


def _print_markdown(comparison: "Comparison") -> None:
    rows = comparison.rows
    print(f"Agreement with fine-tuning: benchmark {comparison.benchmark}, ground truth {comparison.selection}.\n")
    titles = ["scenario", "target", "metric", *_titles(rows)]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for (scenario, target), own in rows.groupby(["scenario", "target"], sort=False):
        for line in _summary(own):
            print(f"| {' | '.join([str(scenario), str(target), *line])} |")
    print()
    for text in (*map(_friedman, comparison.friedman), *comparison.notes, *_reading(rows)):
        print(f"- {text}")


# How many targets a mean rests on, and the statistics; the first column of regret is wide so that a narrow terminal starts a
# new block with it.
_SUMMARY = ("targets", "tau_w", "interval", "Kendall", "Pearson", "regret@1 in {}", "interval", "regret@3", "regret@5")


def _titles(rows: "pd.DataFrame") -> list[str]:
    """_SUMMARY with the unit of regret."""
    from hf_transferability.benchmark.ground_truth import unit

    return [title.format(unit(rows.measure)) for title in _SUMMARY]


def _summary(rows: "pd.DataFrame") -> list[list[str]]:
    """One line per method, for one target or the mean: name and the columns of _SUMMARY."""
    from hf_transferability.agreement import STATISTICS

    lines = []
    for key, own in _methods(rows):
        by_statistic = {row.statistic: row for row in own.itertuples()}
        count = by_statistic["weighted_tau"].n_targets
        line = [_label(key, rows), _count(count)]
        for statistic in STATISTICS:
            row = by_statistic[statistic]
            line.append(_number(row.value))
            if statistic in ("weighted_tau", "regret_at_1"):
                line.append(f"{_number(row.low)}..{_number(row.high)}" if row.low == row.low else "-")
        lines.append(line)
    return lines


def _methods(rows: "pd.DataFrame") -> Any:
    return rows.groupby(["metric", "variant"], sort=False)


def _label(key: tuple[str, str], rows: "pd.DataFrame") -> str:
    """A method's name, with its variant where the table has more than one of them."""
    from hf_transferability.benchmark.comparison_rows import BASELINE, CEILING

    metric, variant = key
    several = len(set(rows.variant) - {BASELINE, CEILING}) > 1
    return f"{metric} ({variant})" if several and variant not in (BASELINE, CEILING) else metric


def _cell(rows: "pd.DataFrame", target: str) -> float:
    return float(rows.loc[rows.target == target, "value"].iloc[0])


def _count(value: Any) -> str:
    """How many targets a mean rests on; of a target's own row, nothing."""
    import pandas as pd

    return "-" if pd.isna(value) else str(value)


def _number(value: float) -> str:
    return "-" if value != value else f"{round(value, 3) + 0:.3f}"  # + 0: no -0.000


def _friedman(test: dict[str, Any]) -> str:
    start = f"Friedman's test, {test['scenario']}, {len(test['methods'])} metrics ({test['variant']})"
    if test["undefined"]:
        return f"{start}: undefined: {test['undefined']}."
    verdict = "they differ" if test["p"] < 0.05 else "no difference between them is shown"
    return f"{start}, {test['n_targets']} targets: chi2 = {test['chi2']:.3f}, p = {test['p']:.4f}: {verdict}."


def _reading(rows: "pd.DataFrame") -> list[str]:
    from hf_transferability.benchmark.comparison_rows import BASELINE, CEILING, MEAN

    variants = sorted(set(rows.variant) - {BASELINE, CEILING})
    few = rows[(rows.target != MEAN) & (rows.variant != CEILING)].n_sources.max()
    warning = [f"{few} sources are hardly more than a coin toss: do not judge a metric by them."] if few < 5 else []
    notes = [
        *warning,
        f"metrics in their {' and '.join(variants)} form; intervals of metrics and baselines: resampled sources (the same for "
        "all targets); none for fewer than 5 sources. Of regret: resampled targets.",
        "mean_rank_elsewhere, parameter_count, feature_width: baselines that look at no target data (more counts as better); "
        "random: what a random order reaches, and the middle 90 % of what it does.",
    ]
    if (rows.variant == CEILING).any():
        notes.append(
            "split_half: the noise of the ground truth. How well one random half of the fine-tuning grid foretells the ground "
            "truth from the other half, with the middle 90 % of 50 divisions. Where that is low, no method can be judged; a "
            "perfect one could exceed it, since the ground truth of all runs is less noisy than that of a half."
        )
    return notes
