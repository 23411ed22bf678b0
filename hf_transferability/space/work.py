"""What the page and the API do: rank, show the example, look a benchmark up. Plain functions; Gradio only calls them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hf_transferability import files
from hf_transferability.benchmark.leaderboard import bundled_leaderboard
from hf_transferability.errors import UsageError, shown, unknown_name
from hf_transferability.metrics import all_metrics
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.registration import hub_folder
from hf_transferability.reporting import html, plots
from hf_transferability.reporting.terminal import flag_meanings, scenario_in_words
from hf_transferability.space import benchmarks, limits, worker
from hf_transferability.space.benchmarks import Benchmark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Document = dict[str, Any]
Tell = Callable[[str, float], None]  # called with what is being done, and the share that is done

# How the dataset is read: the options of `rank` that the page has; on one's own machine there are all.
READING = ("split", "image_column", "label_column", "group_column", "class_level", "window")
_LONGEST_NAME = 200  # characters
_PLACE = re.compile(r"\[(\d+)/(\d+)\] |checkpoint (\d+) of (\d+)")
# Columns of the table for people, before and after those of the metrics: key of a row -> title.
_BEFORE = {
    "rank": "rank", "checkpoint": "checkpoint", "score": "score", "low": "90 % low", "high": "90 % high",
    "tie_group": "tie group",
}  # fmt: skip
_AFTER = {"parameters": "parameters", "licence": "licence", "flags": "flags", "error": "failed"}


def rank_checkpoints(
    dataset: str,
    checkpoints: Sequence[str],
    sample_size: int = 200,
    scenario: str = "auto",
    metric: str = DEFAULT_METRICS[0],
    reading: Mapping[str, str | float | None] = MappingProxyType({}),
    tell: Tell = lambda text, share: None,
    visitor: str = "",
) -> Document:
    """Rank checkpoints of the Hub for a dataset of the Hub; see `limits` for the bounds.

    Args:
        dataset, checkpoints: Hub ids.
        sample_size: images to draw.
        scenario, metric: as of `rank`.
        reading: name (one of READING) -> value, as on the command line; empty values are left out.
        tell: gets the progress.
        visitor: whose work it is.

    Raises:
        UsageError: a bound is exceeded, or a name or the dataset is wrong.
        TransferabilityError: the work failed or took too long.
    """
    names = [name.strip() for name in checkpoints if name.strip()]
    tell("looking at the repositories", 0.0)
    limits.check_request(dataset.strip(), names, sample_size)
    words = ["rank", "--scenario", scenario, "--sample-size", str(sample_size)]
    words += [] if metric == DEFAULT_METRICS[0] else ["--metric", metric]  # without it the table has more columns
    words += _reading_words(reading)
    return _done(worker.run(words, [dataset.strip(), *names], visitor=visitor), tell)


def rank_files(
    paths: Sequence[str],
    scenario: str = "auto",
    metric: str = "all",
    tell: Tell = lambda text, share: None,
    visitor: str = "",
) -> Document:
    """Rank files of features. The files are removed in any case.

    Raises:
        UsageError: a bound is exceeded, or files cannot be read or do not fit together.
        TransferabilityError: the work failed or took too long.
    """
    try:
        limits.check_files(paths)
        words = ["score", "--scenario", scenario]
        words += [] if metric in ("all", DEFAULT_METRICS[0]) else ["--metric", metric]
        return _done(worker.run(words, [], paths, visitor=visitor), tell)
    finally:
        for path in paths:
            Path(path).unlink(missing_ok=True)


def run_demo(tell: Tell = lambda text, share: None, visitor: str = "") -> Document:
    """Make the demo's target and checkpoints, and rank them; needs no network.

    Raises:
        TransferabilityError: the work failed or took too long.
    """
    return _done(worker.run(["demo", "--keep", "demo"], [], visitor=visitor), tell)


def example() -> Document:
    """The bundled ranking, written by `hf-transferability demo`."""
    document: Document = json.loads(Path(hub_folder("space"), "example.json").read_text("utf-8"))
    return document


def summary(document: Document) -> str:
    """The sample, the notes and the flags of a ranking, as Markdown."""
    where, rows = document["dataset"], document["rows"]
    ranked = sum(row["score"] is not None for row in rows)
    lines = [f"**{ranked} of {len(rows)} candidates ranked by {document['metric']}**{scenario_in_words(document)}."]
    if where.get("images"):
        lines.append(f"Sample: {where['images']} images of {_code(where['id'])}, seed {where.get('seed', 0)}.")
    if account := (where.get("account") or {}).get("line"):
        lines.append(f"Data: {_code(account)}")
    lines += document["notes"]
    lines += [f"Flag {_code(flag)}: {meaning}." for flag, meaning in flag_meanings(rows)]
    lines += [f"Failed: {_code(row['checkpoint'])}: {_code(row['error'])}" for row in rows if row["error"]]
    return "\n\n".join(lines)


def table(document: Document) -> "pd.DataFrame":
    """The rows for people: numbers as numbers, so that they sort; columns without a value are left out."""
    import pandas as pd

    rows = []
    for row in document["rows"]:
        low, high = row.get("interval") or (None, None)
        shown = {**row, "low": low, "high": high, "flags": ", ".join(row["flags"])}
        cells = {title: shown.get(name) for name, title in _BEFORE.items()}
        cells |= {title: row.get(name) for name, title in _metric_titles(document).items()}
        rows.append(cells | {title: shown.get(name) for name, title in _AFTER.items()})
    frame = pd.DataFrame(rows)
    return frame.round(4).loc[:, [column for column in frame if frame[column].notna().any() and (frame[column] != "").any()]]


def write_files(document: Document, folder: str | Path) -> list[str]:
    """The ranking as JSON, CSV and a page, for download."""
    paths = [Path(folder, f"ranking{ending}") for ending in (".json", ".csv", ".html")]
    for path in paths[:2]:
        files.save(document, path)
    html.save(document, paths[2])
    return [str(path) for path in paths]


def benchmark(name: str = "") -> Benchmark:
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
) -> Document:
    """The agreement of all metrics in a benchmark, and one metric's scores beside fine-tuned performance.

    Raises:
        UsageError: an unknown benchmark, selection, scenario, metric or target.
    """
    chosen = benchmark(name)
    selection = selection or chosen.selections[0]
    rows = agreement_table(chosen, selection, scenario, target)
    _check_metric(chosen, selection, scenario, metric)
    known, notice = benchmarks.shown()
    return {
        "benchmark": chosen.name, "benchmarks": list(known), "notice": notice, "selection": selection,
        "selections": chosen.selections, "scenario": scenario, "target": target, "metric": metric, "agreement": _records(rows),
        "pairs": _pairs(chosen, selection, scenario, metric, target),
    }  # fmt: skip


def benchmark_summary(chosen: Benchmark, selection: str, scenario: str, target: str = "mean") -> str:
    """What a benchmark is and its noise ceiling, as Markdown."""
    from hf_transferability.benchmark import bundled
    from hf_transferability.benchmark.comparison_notes import RELIABLE
    from hf_transferability.benchmark.comparison_rows import CEILING
    from hf_transferability.benchmark.ground_truth import in_words

    rows = _agreement(chosen, selection, scenario, target)
    metrics, targets = choices(chosen, selection, scenario)
    shown = f"{len(targets)} targets" if target == "mean" else f"target {_code(target)}"
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


@lru_cache
def leaderboard_picture() -> "Figure":
    """Agreement of every metric and baseline in every bundled benchmark."""
    return plots.leaderboard(bundled_leaderboard())


def benchmark_pictures(
    chosen: Benchmark, selection: str, scenario: str, metric: str, target: str = "mean"
) -> tuple["Figure", "Figure", "Figure"]:
    """Agreement of every metric, one metric against fine-tuned performance, and that performance itself.

    Raises:
        UsageError: no such selection, scenario, metric or target.
    """
    _check_metric(chosen, selection, scenario, metric)
    return (
        plots.agreement_chart(_agreement(chosen, selection, scenario), scenario),
        plots.score_against_auc(
            chosen.scores, _truth(chosen, selection, scenario, target), scenario, metric, sources=chosen.sources
        ),
        plots.ground_truth_heatmap(_truth(chosen, selection, scenario)),
    )


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


def _reading_words(reading: Mapping[str, str | float | None]) -> list[str]:
    """Options of the command line; a value is part of its word, so that none can be taken for an option.

    Raises:
        UsageError: an unknown option, or a text that is too long or cannot be printed.
    """
    if unknown := set(reading) - set(READING):
        raise UsageError(unknown_name("option", min(unknown), READING))
    words = []
    for name, value in reading.items():
        text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value).strip()
        if len(text) > _LONGEST_NAME or not text.isprintable():
            raise UsageError(f"`{name}` must be one line of at most {_LONGEST_NAME} characters; got {shown(text)}. Shorten it.")
        if text and (name, text) != ("class_level", "0"):
            words.append(f"--{name.replace('_', '-')}={text}")
    return words


def _done(lines: Iterator[str | Document], tell: Tell) -> Document:
    """The document that the worker yields after its lines of progress."""
    share = 0.0
    for line in lines:
        if isinstance(line, dict):
            return line
        if place := _PLACE.search(line):
            number, total = (int(group) for group in place.groups() if group)
            share = (number - 1) / total
        tell(line, share)
    raise AssertionError("the worker ends with a document or an error")


def _metric_titles(document: Document) -> dict[str, str]:
    """The metrics of a ranking beside the one that it is sorted by, with what tables call them."""
    metrics = all_metrics()
    return {name: metrics[name].label for name in document["rows"][0] if name in metrics and name != document["metric"]}


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return records


def _code(text: str) -> str:
    """Text that Markdown shows as it is."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {' '.join(text.split())} {fence}" if longest else f"`{' '.join(text.split())}`"
