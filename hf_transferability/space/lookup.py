"""Looking a benchmark up: agreement with fine-tuning, and one metric's scores beside fine-tuned performance.

Plain functions, answered from memory: what was worked out once is kept, so that many visitors can ask at once.
"""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark.leaderboard import bundled_leaderboard
from hf_transferability.errors import UsageError
from hf_transferability.metrics import all_metrics
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.reporting import plots
from hf_transferability.space import benchmarks
from hf_transferability.space.benchmarks import Benchmark
from hf_transferability.space.texts import code

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_KEPT = 512  # answers and pictures that are kept; a picture of the page has some 30 kB


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
    shown = f"{len(targets)} targets" if target == "mean" else f"target {code(target)}"
    truth = in_words(selection, measures=_truth(chosen, selection, scenario, target)["measure"])
    lines = [f"**{bundled.title(chosen.name) or chosen.name}**: {len(metrics)} metrics, {shown}. Ground truth: {truth}."]
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
    titles = {"metric": "metric", "value": "weighted tau", "low": "90 % low", "high": "90 % high", "variant": "kind"}
    rows = _agreement(chosen, selection, scenario, target)[list(titles)].rename(columns=titles)
    return rows.sort_values("weighted tau", ascending=False, na_position="last").round(3)


def leaderboard_picture() -> "Figure":
    """Agreement of every metric and baseline in every bundled benchmark."""
    return plots.leaderboard(bundled_leaderboard())


def agreement_picture(chosen: Benchmark, selection: str, scenario: str) -> "Figure":
    """Agreement of every metric.

    Raises:
        UsageError: no such selection or scenario.
    """
    return plots.agreement_chart(_agreement(chosen, selection, scenario), scenario)


def performance_picture(chosen: Benchmark, selection: str, scenario: str) -> "Figure":
    """Fine-tuned performance of every source and target."""
    return plots.ground_truth_heatmap(_truth(chosen, selection, scenario))


def scores_picture(chosen: Benchmark, selection: str, scenario: str, metric: str, target: str = "mean") -> "Figure":
    """One metric against fine-tuned performance.

    Raises:
        UsageError: no such selection, scenario, metric or target.
    """
    _check_metric(chosen, selection, scenario, metric)
    truth = _truth(chosen, selection, scenario, target)
    return plots.score_against_auc(chosen.scores, truth, scenario, metric, sources=chosen.sources)


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
