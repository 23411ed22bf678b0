"""Looking a benchmark up: agreement with fine-tuning, and one metric's scores beside fine-tuned performance.

Plain functions, answered from memory: what was worked out once is kept, so that many visitors can ask at once.
"""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark.foreign_metrics import FOREIGN_METRICS
from hf_transferability.benchmark.leaderboard import bundled_leaderboard
from hf_transferability.errors import UsageError
from hf_transferability.escaping import markdown
from hf_transferability.escaping.html import text as escape
from hf_transferability.metrics import all_metrics
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.reporting import benchmark_words, plots
from hf_transferability.reporting.explanations import TERMS
from hf_transferability.space import benchmarks, texts
from hf_transferability.space.benchmarks import Benchmark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

_KEPT = 512  # answers that are kept


def chosen_benchmark(name: str = "") -> Benchmark:
    """One of the benchmarks that the page shows; by default the first.

    Raises:
        UsageError: no such benchmark.
    """
    known, notice = benchmarks.shown()
    if name and name not in known:
        text = f"`benchmark` must be one of {', '.join(known)}; got {name!r}. Choose one of these."
        raise UsageError(f"{text} {notice}".strip())
    return known[name or next(iter(known))]


def lookup_benchmark(
    scenario: str, metric: str = DEFAULT_METRICS[0], target: str = "mean", name: str = "", selection: str = ""
) -> dict[str, Any]:
    """The agreement of all metrics in a benchmark, and one metric's scores beside fine-tuned performance.

    Raises:
        UsageError: an unknown benchmark, selection, scenario, metric or target.
    """
    chosen = chosen_benchmark(name)
    selection = selection or chosen.selections[0]
    known, notice = benchmarks.shown()
    agreement, pairs = _answer(chosen, selection, scenario, metric, target)
    return {
        "benchmark": chosen.name, "benchmarks": list(known), "notice": notice, "selection": selection,
        "selections": chosen.selections, "scenario": scenario, "target": target, "metric": metric, "agreement": agreement,
        "pairs": pairs,
    }  # fmt: skip


@lru_cache(_KEPT)
def _answer(
    chosen: Benchmark, selection: str, scenario: str, metric: str, target: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The agreement of all metrics, and one metric's scores beside fine-tuned performance."""
    rows = agreement_table(chosen, selection, scenario, target)
    _check_metric(chosen, selection, scenario, metric)
    return _records(rows), _pairs(chosen, selection, scenario, metric, target)


def benchmark_summary(chosen: Benchmark, selection: str, scenario: str, target: str = "mean") -> str:
    """What a benchmark is and its noise ceiling, as Markdown."""
    from hf_transferability.benchmark import bundled
    from hf_transferability.benchmark.comparison_notes import RELIABLE
    from hf_transferability.benchmark.comparison_rows import CEILING
    from hf_transferability.benchmark.ground_truth import in_words

    rows = _agreement(chosen, selection, scenario, target)
    metrics, targets = choices(chosen, selection, scenario)
    shown = f"{len(targets)} targets" if target == "mean" else f"the target {benchmark_words.target(target)}"
    truth = in_words(selection, measures=_truth(chosen, selection, scenario, target)["measure"])
    lines = [
        f"**{bundled.title(chosen.name) or chosen.name}**: {len(metrics)} metrics, {shown}. Fine-tuned performance: {truth}."
    ]
    ceiling = rows[(rows["variant"] == CEILING) & rows["value"].notna()]
    if len(ceiling):
        value, low, high = ceiling[["value", "low", "high"]].iloc[0]
        lines.append(
            f"Noise ceiling {value:.2f} ({low:.2f} to {high:.2f}): how well half of the fine-tuning runs predicts the "
            "rest, which a metric can hardly exceed."
        )
        if value < RELIABLE:
            lines.append("The noise ceiling is low, so no metric can be judged here.")
    else:
        lines.append("It has no noise ceiling, since it has no fine-tuning runs.")
    return "\n\n".join(filter(None, [benchmarks.shown()[1], *lines]))


def agreement_table(chosen: Benchmark, selection: str, scenario: str, target: str = "mean") -> "pd.DataFrame":
    """Weighted Kendall tau of every metric, baseline and the ceiling for a target, or over all; the best first.

    Raises:
        UsageError: no such selection, scenario or target.
    """
    return _best_first(chosen, selection, scenario, target).round(3)


def _best_first(chosen: Benchmark, selection: str, scenario: str, target: str) -> "pd.DataFrame":
    titles = {"metric": "metric", "value": "weighted tau", "low": "90% low", "high": "90% high", "variant": "kind"}
    rows = _agreement(chosen, selection, scenario, target)[list(titles)].rename(columns=titles)
    return rows.sort_values("weighted tau", ascending=False, na_position="last")


def agreement_shown(chosen: Benchmark, selection: str, scenario: str, target: str = "mean") -> "Styler":
    """The table of `agreement_table` in plain words, numbers as numbers so that they sort.

    Raises:
        UsageError: see there.
    """
    import pandas as pd

    rows = _best_first(chosen, selection, scenario, target)  # not rounded yet: a number is rounded once, as in the pictures
    several = rows["metric"].duplicated(keep=False)  # a metric in both of its forms
    low_and_high = zip(rows["90% low"], rows["90% high"], strict=True)
    frame = pd.DataFrame(
        {
            "method": [benchmark_words.method(*row) for row in zip(rows["metric"], rows["kind"], several, strict=True)],
            "agreement": rows["weighted tau"].to_numpy(),
            "90% interval": ["" if low != low else f"{_plain(low)} to {_plain(high)}" for low, high in low_and_high],
            "kind": [benchmark_words.kind(variant) for variant in rows["kind"]],
        }
    )
    forms: dict[str, Any] = {"agreement": _plain}
    return frame.style.format(forms, na_rep="")


def agreement_legend(chosen: Benchmark, selection: str, scenario: str, target: str = "mean") -> str:
    """What the words of that table mean, as Markdown.

    Raises:
        UsageError: see there.
    """
    rows = agreement_table(chosen, selection, scenario, target)
    over = ", mean over the targets" if target == "mean" else ""
    lines = [f"**agreement**: weighted Kendall tau{over}: 1 is the same order as after fine-tuning, 0 chance, -1 the reverse."]
    forms = [form for form in benchmark_words.FORMS if form in set(rows["kind"])]
    lines += [f"**{benchmark_words.FORMS[form]}**: {_without_capital(TERMS[form])}" for form in forms]
    others = rows[~rows["kind"].isin(forms)]
    for name, kind in sorted(zip(others["metric"], others["kind"], strict=True), key=lambda pair: pair[1]):
        text = TERMS.get(name, "").removeprefix("The noise ceiling: ").removeprefix(_BASELINE)
        what = f"**{benchmark_words.method(name)}**" + (" (baseline: no image of the target)" if kind == "baseline" else "")
        lines += [f"{what}: {_without_capital(text)}"] if text else []
    return "\n".join(f"- {line}" for line in lines)


_BASELINE = "A baseline that looks at no image of the target: "


def _without_capital(text: str) -> str:
    return text[:1].lower() + text[1:]


def _plain(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}"  # + 0: no -0.00


def leaderboard_caption() -> str:
    """What the columns and rows of the picture over all benchmarks are, as Markdown."""
    from hf_transferability.benchmark import bundled

    lines = []
    for column in bundled_leaderboard()["columns"]:
        if column["scored"]:
            sources = column["benchmarks"]
            title = bundled.title(sources[0]) if len(sources) == 1 else ""
            size = f"{column['n_targets']} targets, up to {column['n_sources']} candidates"
            text = f"- **{benchmark_words.column(column['name'])}**: {column['about']}; {size}."
            lines.append(f"{text} {title}." if title else text)
    return texts.LEADERBOARD + "\n".join(lines)


def methods_in_words() -> str:
    """What every metric and baseline of the benchmarks is, as Markdown."""
    entries = {name: registered.summary for name, registered in all_metrics().items()}
    entries |= {name: f"{text}." for name, text in FOREIGN_METRICS.items()}
    shown = [f"- **{benchmark_words.method(name)}**: {markdown.line(text)}" for name, text in entries.items()]
    baselines = [name for name in TERMS if TERMS[name].startswith(_BASELINE)]
    shown += [f"- **{benchmark_words.method(name)}** (baseline): {TERMS[name].removeprefix(_BASELINE)}" for name in baselines]
    return "\n".join(shown)


def leaderboard_figures() -> str:
    """The numbers of the picture over all benchmarks as a table in HTML, for screen readers and for copying."""
    document = bundled_leaderboard()
    columns = [column["name"] for column in document["columns"] if column["scored"]]
    cells: dict[str, dict[str, float]] = {name: {} for name in dict.fromkeys(row["metric"] for row in document["rows"])}
    for row in document["rows"]:
        cells[row["metric"]][row["column"]] = row["weighted_tau"]
    kinds = {row["metric"]: row["kind"] for row in document["rows"]}
    titles = ["method", *(benchmark_words.column(name) for name in columns), "worst"]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    lines = []
    for name in [name for name in cells if name in document["worst"]]:  # in the order of the picture
        title = benchmark_words.method(name) + " (baseline)" * (kinds[name] == "baseline")
        values = [cells[name].get(column) for column in columns] + [document["worst"][name]["weighted_tau"]]
        shown = "".join(f"<td>{'-' if value is None else _plain(value)}</td>" for value in values)
        lines.append(f'<tr><th scope="row">{escape(title)}</th>{shown}</tr>')
    about = 'class="figures" tabindex="0" role="region" aria-label="Agreement in all benchmarks, as a table"'
    return f"<div {about}><table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"


def leaderboard_picture(narrow: bool = False) -> "Figure":
    """Agreement of every metric and baseline in every bundled benchmark."""
    return plots.leaderboard(bundled_leaderboard(), narrow)


def agreement_picture(chosen: Benchmark, selection: str, scenario: str, narrow: bool = False) -> "Figure":
    """Agreement of every metric.

    Raises:
        UsageError: no such selection or scenario.
    """
    return plots.agreement_chart(_agreement(chosen, selection, scenario), scenario, narrow)


def performance_picture(chosen: Benchmark, selection: str, scenario: str, narrow: bool = False) -> "Figure":
    """Fine-tuned performance of every source and target."""
    return plots.ground_truth_heatmap(_truth(chosen, selection, scenario), narrow)


def scores_picture(
    chosen: Benchmark, selection: str, scenario: str, metric: str, target: str = "mean", narrow: bool = False
) -> "Figure":
    """One metric against fine-tuned performance.

    Raises:
        UsageError: no such selection, scenario, metric or target.
    """
    _check_metric(chosen, selection, scenario, metric)
    truth = _truth(chosen, selection, scenario, target)
    return plots.score_against_auc(chosen.scores, truth, scenario, metric, sources=chosen.sources, narrow=narrow)


def choices(chosen: Benchmark, selection: str, scenario: str) -> tuple[list[str], list[str]]:
    """Metrics and targets of a scenario of a benchmark.

    Raises:
        UsageError: no such selection or scenario.
    """
    rows = _agreement(chosen, selection, scenario)
    metrics = rows[~rows["variant"].isin(["baseline", "ceiling"])]["metric"]
    return list(dict.fromkeys(metrics)), [name for name in dict.fromkeys(rows["target"]) if name != "mean"]


def _truth(chosen: Benchmark, selection: str, scenario: str, target: str = "mean") -> "pd.DataFrame":
    rows = chosen.ground_truth
    rows = rows[(rows["selection"] == selection) & (rows["scenario"] == scenario)]
    return rows if target == "mean" else rows[rows["target"] == target]


def _pairs(chosen: Benchmark, selection: str, scenario: str, metric: str, target: str) -> list[dict[str, Any]]:
    """A metric's scores beside fine-tuned performance; a target's own model is not a candidate."""
    from hf_transferability.benchmark.pools import methods, pools

    points = []
    scores_there = chosen.scores[chosen.scores["scenario"] == scenario]
    for pool in pools(_truth(chosen, selection, scenario, target), scores_there, chosen.sources):
        for variant in [variant for name, variant in methods([pool]) if name == metric]:
            scores, performance = pool.scored(metric, variant)
            points += [
                {
                    "source": source,
                    "target": pool.target,
                    "variant": variant,
                    "score": score,
                    "measure": pool.measure,
                    "performance": figure,
                }
                for source, score, figure in zip(scores.index, scores, performance, strict=True)
            ]
    return points


def _agreement(chosen: Benchmark, selection: str, scenario: str, target: str | None = None) -> "pd.DataFrame":
    """A benchmark's rows of weighted tau, without methods that have no value, and without variants that are the same."""
    if selection not in chosen.selections:
        raise UsageError(f"`selection` must be one of {', '.join(chosen.selections)}; got {selection!r}. Choose one of these.")
    agreement_rows = chosen.agreement(selection)
    rows = agreement_rows[(agreement_rows["statistic"] == "weighted_tau") & (agreement_rows["scenario"] == scenario)]
    if rows.empty:
        raise UsageError(f"the benchmark {chosen.name} has no scenario {scenario}. It has: {', '.join(chosen.scenarios)}.")
    rows = rows[rows["value"].notna().groupby([rows["metric"], rows["variant"]]).transform("any")]
    same = [name for name, registered in all_metrics().items() if not registered.variants_differ]
    rows = rows[~rows["metric"].isin(same) | ~rows.duplicated(["metric", "target"])]
    if target is None:
        return rows
    if target not in set(rows["target"]):
        known = ", ".join(dict.fromkeys(rows["target"]))
        raise UsageError(f"the benchmark {chosen.name} has no {target} in scenario {scenario}. It has: {known}.")
    return rows[rows["target"] == target]


def _check_metric(chosen: Benchmark, selection: str, scenario: str, metric: str) -> None:
    known = choices(chosen, selection, scenario)[0]
    if metric not in known:
        raise UsageError(
            f"`metric` must be one that the benchmark {chosen.name} has in scenario {scenario}; got {metric!r}. "
            f"Choose one of {', '.join(known) or 'another scenario'}."
        )


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return records
