"""One table over all bundled benchmarks: how well every metric and baseline orders the candidates in each of them.

A column is one pool of candidates for each of several targets: a benchmark, or a part of one where scenarios, kinds of targets
or ways of fine-tuning must not be mixed, or two benchmarks of equal targets taken as one pool. A row is judged by its worst
column, because nobody knows beforehand which of them their own pool resembles.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability import agreement, provenance
from hf_transferability.benchmark import bundled
from hf_transferability.benchmark import ground_truth as truths
from hf_transferability.benchmark.baselines import add_baselines, all_targets
from hf_transferability.benchmark.compare import RESAMPLES, add_metrics, scored_only
from hf_transferability.benchmark.comparison_notes import MOSTLY_TIED
from hf_transferability.benchmark.comparison_rows import BASELINE, CEILING, MEAN, RANDOM, ScenarioRows
from hf_transferability.benchmark.pools import Pool, pools
from hf_transferability.errors import UsageError
from hf_transferability.metrics import all_metrics

if TYPE_CHECKING:
    import pandas as pd

TAU, REGRET = "weighted_tau", "regret_at_1"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: short, for the head of a table.
        benchmarks: bundled ones; several are taken as one pool, each source named after its benchmark.
        scenario: what differs between the candidates.
        about: what differs between the candidates, in words.
        selection: which ground truth; default the recommended one of the benchmark.
        domain: only targets of this kind of images.
        remark: what a reader of its figures must know.
    """

    name: str
    benchmarks: tuple[str, ...]
    scenario: str
    about: str
    selection: str | None = None
    domain: str | None = None
    remark: str = ""


COLUMNS = (
    Column("paper_data", ("paper",), "source_dataset", "one ResNet-18, other source datasets"),
    Column("paper_arch", ("paper",), "architecture", "other architectures, all from ImageNet"),
    Column("open", ("open",), "source_dataset", "one small ResNet, other source datasets"),
    Column("open_regnet", ("open_regnet",), "source_dataset", "one small RegNet, other source datasets"),
    Column("open_both", ("open", "open_regnet"), "architecture", "both small networks with all their source datasets"),
    Column("chaves_med", ("chaves2024",), "architecture", "ImageNet networks, medical targets", domain="medical"),
    Column("chaves_nat", ("chaves2024",), "architecture", "ImageNet networks, natural targets", domain="natural"),
    Column(
        "medmnist+",
        ("medmnistplus",),
        "architecture",
        "CNNs and ViTs, some self-supervised",
        remark="linear_probe and knn saw the whole training split there, and not a sample.",
    ),
    # Ground truth without scores, for the baselines.
    Column("transfergraph", ("transfergraph",), "architecture", "checkpoints of the Hub"),
    Column("sfda_cnn", ("sfda_emms",), "architecture", "CNNs from ImageNet", "best_validation_run"),
    Column("sfda_ssl", ("sfda_emms",), "source_dataset", "one ResNet-50, self-supervised in other ways", "best_validation_run"),
    Column("emms_vit", ("sfda_emms",), "architecture", "vision transformers", "as_published"),
)


@dataclass(frozen=True)
class Leaderboard:
    """How well metrics and baselines agree with fine-tuning, over all benchmarks.

    Attributes:
        columns: one dict per column: name, benchmarks, scenario, about, selection, measure and unit, n_targets, n_sources (of
            the largest pool) and scored (whether there are scores, or fine-tuned performance alone).
        rows: one dict per method and column where it is defined: metric, kind (metric, baseline or ceiling), variant, column,
            its weighted_tau as the mean over targets with low and high, regret of the first with regret_low and regret_high in
            the column's measure, and n_targets. Metrics come first, by the worst of their columns with scores; those that fewer
            than half of these columns have come after the others. Then baselines, and the noise ceiling of the ground truth.
        worst: metric or baseline -> column and weighted tau of its worst column among those with scores.
        notes: what the reader should know.
        seed, resamples: of the intervals.
        orientation: "natural" where higher always counts as better, or "published".
    """

    columns: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    worst: dict[str, tuple[str, float]]
    notes: list[str]
    seed: int
    resamples: int
    orientation: str
    versions: dict[str, str] = field(default_factory=provenance.package_versions)

    def cells(self, metric: str) -> dict[str, dict[str, Any]]:
        """The rows of a method by column."""
        return {row["column"]: row for row in self.rows if row["metric"] == metric}

    def metrics(self) -> list[str]:
        """The methods in their order."""
        return list(dict.fromkeys(row["metric"] for row in self.rows))

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "columns": self.columns,
            "rows": self.rows,
            "worst": {metric: {"column": column, TAU: value} for metric, (column, value) in self.worst.items()},
            "notes": self.notes,
            "seed": self.seed,
            "resamples": self.resamples,
            "interval_level": agreement.LEVEL,
            "orientation": self.orientation,
            "versions": self.versions,
        }


def bundled_leaderboard() -> dict[str, Any]:
    """The table over all bundled benchmarks as it comes with the package, so that nobody waits for it.

    `python tools/refresh_leaderboard.py` makes it anew, and a test compares it with what the program works out.
    """
    return json.loads((Path(__file__).parent / "leaderboard.json").read_text("utf-8"))


def agreement_range(metric: str) -> tuple[int, float, float]:
    """In how many columns of the bundled table a metric is, and its lowest and highest agreement there."""
    values = [row["weighted_tau"] for row in bundled_leaderboard()["rows"] if row["metric"] == metric]
    return len(values), min(values), max(values)


def leaderboard(
    columns: Sequence[Column] = COLUMNS,
    *,
    metrics: Sequence[str] = (),
    orientation: str = "natural",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Leaderboard:
    """Judge every metric and baseline on all columns.

    Of a metric's two forms the default counts where a benchmark has it, otherwise the published one.

    Args:
        columns: which pools.
        metrics: only these, beside the baselines; default all.
        orientation: "natural" (higher is better, as `rank` lists candidates) or "published"; see `compare`.
        resamples: bootstrap samples of the sources, for the intervals of the agreement.
        seed: decides everything random.

    Raises:
        UsageError: no column has such a metric.
    """
    described: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for column in columns:
        column_pools, others, sources, selection, left_out = pools_of(column)
        table = ScenarioRows(column_pools, (TAU, REGRET), resamples, seed)
        scored = not column_pools[0].scores.empty
        if scored:
            add_metrics(table, metrics, orientation)
        add_baselines(table, others, sources)
        if scored and len(column.benchmarks) == 1 and column.benchmarks[0] in bundled.with_table("runs"):
            table.add_ceiling(truths.with_shared_runs(bundled.load("runs", column.benchmarks[0])), selection)
        means = [row for row in table.rows if row["target"] == MEAN]
        rows += _cells(column.name, means)
        described.append(_description(column, column_pools, selection, means[0]["measure"], scored))
        notes += [
            f"{column.name}: {note}"
            for note in filter(None, [column.remark, *left_out, *_fewer_sources(table.rows, column_pools)])
        ]
    known = list(dict.fromkeys(row["metric"] for row in rows if row["kind"] == "metric"))
    if unknown := [metric for metric in metrics if metric not in known]:
        raise UsageError(
            f"`metrics` must be among those that the benchmarks have; got {', '.join(unknown)}. See them without it."
        )
    worst = _worst(rows, [column["name"] for column in described if column["scored"]])
    _sort(rows, worst, [column["name"] for column in described if column["scored"]])
    return Leaderboard(described, rows, worst, notes, seed, resamples, orientation)


def pools_of(column: Column) -> "tuple[list[Pool], list[Pool], pd.DataFrame, str, list[str]]":
    """The pools to judge on, those of all targets of the study, the sources, the selection, and notes on what was left out."""
    import pandas as pd

    parts = []
    for name in column.benchmarks:
        chosen, _ = truths.choose(bundled.load("ground_truth", name), None, column.selection or bundled.selection(name))
        scores = bundled.load("scores", name) if name in bundled.with_table("scores") else None
        parts.append((chosen, scores, bundled.load("sources", name)))
    if len(parts) > 1:
        truth, scores, sources = _as_one_pool(column, parts)
    else:
        ((truth, scores, sources),) = parts
    truth = truth[truth.scenario == column.scenario]
    left_out = []
    if tied := _mostly_tied(truth):
        left_out = [f"without {', '.join(tied)}, where most sources have one and the same performance."]
        truth = truth[~truth.target.isin(tied)]
    others = all_targets(truth, column.scenario)
    if scores is not None:
        column_pools = [scored_only(pool) for pool in pools(truth, _one_form(scores), sources)]
        others = column_pools if len(column_pools) > 1 else others
    else:
        column_pools = others
    if column.domain:
        facts = pd.concat([bundled.load("targets", name) for name in column.benchmarks])
        in_domain = set(facts[facts.domain == column.domain].target)
        column_pools = [pool for pool in column_pools if pool.target in in_domain]
    return column_pools, others, sources, str(truth.selection.iloc[0]), left_out


def pools_with_parameters(column: Column) -> "Iterator[tuple[Pool, pd.Series | None]]":
    """The pools of a column that has scores, each with the number of parameters of its sources by name."""
    if not any(name in bundled.with_table("scores") for name in column.benchmarks):
        return
    column_pools, _, sources, _, _ = pools_of(column)
    parameters = sources.drop_duplicates("source").set_index("source").parameters if "parameters" in sources else None
    for pool in column_pools:
        yield pool, parameters


def _as_one_pool(
    column: Column, parts: "Sequence[tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame]]"
) -> "tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]":
    """Tables of several benchmarks as those of one; scores that exist only over a smaller pool are left out."""
    import pandas as pd

    relative = [name for name, metric in all_metrics().items() if metric.is_pool_relative]
    together = "+".join(column.benchmarks)
    merged: list[pd.DataFrame] = []
    for frames in zip(*parts, strict=True):
        renamed = [
            frame.assign(benchmark=together, source=f"{name}/" + frame.source)
            for name, frame in zip(column.benchmarks, frames, strict=True)
        ]
        merged.append(pd.concat(renamed, ignore_index=True))
    truth, scores, sources = merged
    scores = scores[~scores.metric.isin(relative)]
    return truth.assign(scenario=column.scenario), scores.assign(scenario=column.scenario), sources


def _one_form(scores: "pd.DataFrame") -> "pd.DataFrame":
    """Of every metric and scenario the default form where there is one, otherwise the published one."""
    default = scores.groupby(["scenario", "metric"])["variant"].transform(lambda variants: "default" in set(variants))
    return scores[(scores.variant == "default") | ~default]


def _mostly_tied(truth: "pd.DataFrame") -> list[str]:
    ties = truth.groupby("target", sort=False).performance.agg(lambda values: values.value_counts().iloc[0] / len(values))
    return [str(target) for target in ties.index[ties > MOSTLY_TIED]]


def _cells(column: str, means: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row per method that is defined on a target: its agreement and its regret."""
    regrets = {(row["metric"], row["variant"]): row for row in means if row["statistic"] == REGRET}
    for row in means:
        if row["statistic"] == TAU and row["value"] is not None:
            regret = regrets[row["metric"], row["variant"]]
            kind = row["variant"] if row["variant"] in (BASELINE, CEILING) else "metric"
            yield {
                "metric": row["metric"], "kind": kind, "column": column,
                "variant": row["variant"], TAU: row["value"], "low": row["low"], "high": row["high"],
                "regret": regret["value"], "regret_low": regret["low"], "regret_high": regret["high"],
                "measure": row["measure"], "n_targets": row["n_targets"],
            }  # fmt: skip


def _description(column: Column, column_pools: Sequence[Pool], selection: str, measure: str, scored: bool) -> dict[str, Any]:
    return {
        "name": column.name, "benchmarks": list(column.benchmarks), "scenario": column.scenario, "about": column.about,
        "domain": column.domain, "selection": selection,
        "measure": measure, "unit": truths.unit(pool.measure for pool in column_pools), "n_targets": len(column_pools),
        "n_sources": max(len(pool.performance) for pool in column_pools), "scored": scored,
    }  # fmt: skip


def _fewer_sources(rows: Sequence[Mapping[str, Any]], column_pools: Sequence[Pool]) -> list[str]:
    """Metrics and baselines that are unknown for some of the sources."""
    sizes = {pool.target: len(pool.performance) for pool in column_pools}
    most: dict[str, int] = {}
    for row in rows:
        if row["statistic"] == TAU and row["value"] is not None and row["target"] in sizes and row["variant"] != CEILING:
            lacking = sizes[row["target"]] - row["n_sources"]
            most[row["metric"]] = max(lacking, most.get(row["metric"], 0))
    known = max(sizes.values())
    return [f"{metric} is unknown for {number} of {known} sources." for metric, number in most.items() if number]


def _worst(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Of every method the column of lowest agreement, among these."""
    lowest: dict[str, tuple[str, float]] = {}
    for row in rows:
        if (
            row["column"] in columns
            and row["kind"] != CEILING
            and (row["metric"] not in lowest or row[TAU] < lowest[row["metric"]][1])
        ):
            lowest[row["metric"]] = row["column"], row[TAU]
    return lowest


def _sort(rows: list[dict[str, Any]], worst: Mapping[str, tuple[str, float]], columns: Sequence[str]) -> None:
    """Put the rows in their order, in place."""
    judged_on: dict[str, int] = {}
    for row in rows:
        judged_on[row["metric"]] = judged_on.get(row["metric"], 0) + (row["column"] in columns)

    def place(row: dict[str, Any]) -> tuple[int, bool, bool, float]:
        metric = row["metric"]
        kind = ("metric", BASELINE, CEILING).index(row["kind"])
        return kind, metric == RANDOM, 2 * judged_on[metric] < len(columns), -worst.get(metric, ("", 0.0))[1]

    rows.sort(key=place)
