"""A comparison of scores with fine-tuned performance, as tables for people."""

from typing import TYPE_CHECKING, Any, TextIO

from hf_transferability.agreement import STATISTICS
from hf_transferability.benchmark.comparison_rows import BASELINE, CEILING, MEAN
from hf_transferability.benchmark.ground_truth import unit
from hf_transferability.escaping import markdown
from hf_transferability.escaping.terminal import one_line
from hf_transferability.reporting.terminal import print_figures, print_notes

if TYPE_CHECKING:
    import pandas as pd

    from hf_transferability.benchmark.compare import Comparison

_CEILING = (
    "split_half is the noise ceiling: where it is low, no metric can be judged (`hf-transferability explain split_half`)."
)


def print_table(comparison: "Comparison", stream: TextIO) -> None:
    """Print one table per scenario: the mean over targets, and the agreement with each of them."""
    rows = comparison.rows
    what = f"benchmark {comparison.benchmark}, ground truth {comparison.selection}"
    print(f"agreement with fine-tuning: {one_line(what)}", file=stream)
    for scenario, scenario_rows in rows.groupby("scenario", sort=False):
        targets = [target for target in scenario_rows.target.unique() if target != MEAN]
        sizes = sorted(
            scenario_rows[(scenario_rows.target != MEAN) & (scenario_rows.variant != CEILING)].n_sources.dropna().unique()
        )
        span = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}" if sizes else "no"
        shown = MEAN if len(targets) > 1 else targets[0]
        what = f"mean over {len(targets)} targets" if len(targets) > 1 else f"target {one_line(targets[0])}"
        print(f"\nscenario {scenario}, {what}, {span} sources{' each' * (len(targets) > 1)}; 90% intervals\n", file=stream)
        lines = [["metric", *_titles(scenario_rows)], *_summary(scenario_rows[scenario_rows.target == shown])]
        if len(targets) == 1:  # no mean, so no number of targets
            lines = [[name, *rest] for name, _, *rest in lines]
        print_figures(lines[0], lines[1:], stream)
        if len(targets) > 1:
            print("\ntau_w per target\n", file=stream)
            wide = scenario_rows[scenario_rows.statistic == "weighted_tau"]
            lines = [
                [_label(key, scenario_rows), *(_number(_cell(method, name)) for name in targets)]
                for key, method in _methods(wide)
            ]
            print_figures(["metric", *targets], lines, stream)
        for test in comparison.friedman:
            if test["scenario"] == scenario and (len(targets) > 1 or test["undefined"] is None):
                print(f"\n{_friedman(test)}", file=stream)
    print(file=stream)
    print_notes([*comparison.notes, *_reading(rows)], stream)


def print_markdown(comparison: "Comparison", stream: TextIO) -> None:
    """Print every target and the mean as one Markdown table."""
    rows = comparison.rows
    what = f"benchmark {comparison.benchmark}, ground truth {comparison.selection}"
    print(f"Agreement with fine-tuning: {markdown.text(what)}.\n", file=stream)
    titles = ["scenario", "target", "metric", *_titles(rows)]
    groups = rows.groupby(["scenario", "target"], sort=False)
    cells = [[scenario, target, *line] for (scenario, target), found in groups for line in _summary(found)]
    print(markdown.table(titles, cells), file=stream)
    print(file=stream)
    for text in (*map(_friedman, comparison.friedman), *comparison.notes, *_reading(rows)):
        print(f"- {markdown.line(text)}", file=stream)


# The number of targets, and the statistics; the first title of regret is long so that a narrow terminal starts a new block with
# it.
_SUMMARY = ("targets", "tau_w", "interval", "Kendall", "Pearson", "regret@1 in {}", "interval", "regret@3", "regret@5")


def _titles(rows: "pd.DataFrame") -> list[str]:
    """_SUMMARY with the unit of regret."""

    return [title.format(unit(rows.measure)) for title in _SUMMARY]


def _summary(rows: "pd.DataFrame") -> list[list[str]]:
    """One line per method, for one target or the mean: name and the columns of _SUMMARY."""

    lines = []
    for key, method in _methods(rows):
        by_statistic = {row.statistic: row for row in method.itertuples()}
        count = by_statistic["weighted_tau"].n_targets
        line = [_label(key, rows), _n_targets(count)]
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
    """A method's name, with its variant if the table has several variants."""
    metric, variant = key
    several = len(set(rows.variant) - {BASELINE, CEILING}) > 1
    return f"{metric} ({variant})" if several and variant not in (BASELINE, CEILING) else metric


def _cell(rows: "pd.DataFrame", target: str) -> float:
    return float(rows.loc[rows.target == target, "value"].iloc[0])


def _n_targets(value: Any) -> str:
    """How many targets a mean is taken over; a dash in the row of a single target."""
    import pandas as pd

    return "-" if pd.isna(value) else str(value)


def _number(value: float) -> str:
    return "-" if value != value else f"{round(value, 3) + 0:.3f}"  # + 0: no -0.000


def _friedman(test: dict[str, Any]) -> str:
    """The outcome of Friedman's test in one sentence."""
    start = f"Friedman's test, {test['scenario']}, {len(test['methods'])} metrics ({test['variant']})"
    if test["undefined"]:
        return f"{start}: undefined: {test['undefined']}."
    verdict = "they differ" if test["p"] < 0.05 else "no difference between them is shown"
    return f"{start}, {test['n_targets']} targets: chi2 = {test['chi2']:.3f}, p = {test['p']:.4f}: {verdict}."


def _reading(rows: "pd.DataFrame") -> list[str]:
    """How to read the table."""
    variants = sorted(set(rows.variant) - {BASELINE, CEILING})
    few = rows[(rows.target != MEAN) & (rows.variant != CEILING)].n_sources.max()
    return [
        *([f"do not judge a metric by {few} sources: they say hardly more than a coin toss."] if few < 5 else []),
        f"metrics are in their {' and '.join(variants)} form.",
        "intervals come from resampled sources, the same for all targets, and need 5 sources; those of regret come from "
        "resampled targets.",
        "mean_rank_elsewhere, parameter_count, feature_width and random are baselines that look at no target data "
        "(`hf-transferability explain random`).",
        *([_CEILING] if (rows.variant == CEILING).any() else []),
    ]
