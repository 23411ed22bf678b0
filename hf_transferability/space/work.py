"""What the page and the API do: rank, show the example, look a benchmark up. Plain functions; Gradio only calls them."""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hf_transferability import plots, report, results
from hf_transferability.errors import UsageError
from hf_transferability.registration import hub_folder
from hf_transferability.space import limits, worker
from hf_transferability.table import flag_meanings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Document = dict[str, Any]
Tell = Callable[[str, float | None], None]  # hears what is being done, and which share is done

_PLACE = re.compile(r"\[(\d+)/(\d+)\] ")
_COLUMNS = {
    "rank": "rank", "checkpoint": "checkpoint", "score": "score", "low": "90 % low", "high": "90 % high",
    "tie_group": "tie group", "feature_quality": "feature quality", "feature_update_ratio": "update ratio",
    "parameters": "parameters", "licence": "licence", "flags": "flags", "error": "failed",
}  # fmt: skip


def rank_checkpoints(
    dataset: str,
    checkpoints: Sequence[str],
    sample_size: int = 200,
    scenario: str = "auto",
    metric: str = "transferability",
    tell: Tell = lambda text, share: None,
) -> Document:
    """Rank checkpoints of the Hub for a dataset of the Hub; see `limits` for how many and how large.

    Raises:
        UsageError: a bound, a name or a dataset that does not fit.
        TransferabilityError: the work failed or took too long.
    """
    names = [name.strip() for name in checkpoints if name.strip()]
    tell("looking at the repositories", None)
    limits.check_request(dataset.strip(), names, sample_size)
    words = ["rank", "--metric", metric, "--scenario", scenario, "--sample-size", str(sample_size)]
    return _done(worker.run(words, [dataset.strip(), *names]), tell)


def rank_files(
    paths: Sequence[str], scenario: str = "auto", metric: str = "all", tell: Tell = lambda text, share: None
) -> Document:
    """Rank files of features. The files are removed, whatever happens.

    Raises:
        UsageError: a bound, or files that cannot be read or do not go together.
        TransferabilityError: the work failed or took too long.
    """
    try:
        limits.check_files(paths)
        return _done(worker.run(["score", "--metric", metric, "--scenario", scenario], [], paths), tell)
    finally:
        for path in paths:
            Path(path).unlink(missing_ok=True)


def run_demo(tell: Tell = lambda text, share: None) -> Document:
    """Make the demo's target and checkpoints anew, and rank them: real work, without network.

    Raises:
        TransferabilityError: the work failed or took too long.
    """
    return _done(worker.run(["demo", "--keep", "demo"], []), tell)


def example() -> Document:
    """The bundled ranking: what `hf-transferability demo` wrote."""
    document: Document = json.loads(Path(hub_folder("space"), "example.json").read_text("utf-8"))
    return document


def summary(document: Document) -> str:
    """What a ranking rests on, its notes and its flags, as Markdown."""
    where, rows = document["dataset"], document["rows"]
    ranked = sum(row["score"] is not None for row in rows)
    lines = [f"**{ranked} of {len(rows)} candidates ranked by {document['metric']}**, scenario {document['scenario']}."]
    if where.get("images"):
        lines.append(f"Sample: {where['images']} images of {_code(where['id'])}, seed {where.get('seed', 0)}.")
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
        cells = {title: shown.get(name) for name, title in _COLUMNS.items()}
        rows.append(cells | {name: row[name] for name in _other_metrics(document)})
    frame = pd.DataFrame(rows)
    return frame.round(4).loc[:, [column for column in frame if frame[column].notna().any() and (frame[column] != "").any()]]


def write_files(document: Document, folder: str | Path) -> list[str]:
    """The ranking as JSON, CSV and a page, for download."""
    paths = [Path(folder, f"ranking{ending}") for ending in (".json", ".csv", ".html")]
    for path in paths[:2]:
        results.save(document, path)
    report.save(document, paths[2])
    return [str(path) for path in paths]


def benchmark_tables() -> dict[str, "pd.DataFrame"]:
    """The tables of the benchmark that the page shows, by name.

    The environment variable HF_TRANSFERABILITY_BENCHMARK names a Hub dataset, OWNER/NAME, or a folder of parquet files;
    without it the package's own copy of the published results is taken.

    Raises:
        UsageError: there is no such benchmark, or it lacks a table.
    """
    return _tables(os.environ.get("HF_TRANSFERABILITY_BENCHMARK", ""))


def agreement() -> "pd.DataFrame":
    """The table of agreement with baselines and noise ceiling, of the benchmark that the page shows."""
    return _agreement(os.environ.get("HF_TRANSFERABILITY_BENCHMARK", ""))


def lookup_benchmark(scenario: str, metric: str = "transferability", target: str = "mean") -> Document:
    """What a benchmark says: agreement of all metrics, and one metric's scores beside fine-tuned performance.

    Raises:
        UsageError: no such scenario, metric or target.
    """
    rows = agreement_table(scenario, target)
    _check_metric(scenario, metric)
    own = benchmark_tables()
    pairs = own["scores"].query("scenario == @scenario and metric == @metric and source != target")
    pairs = pairs.merge(own["ground_truth"].drop(columns="n_runs"), on=["benchmark", "scenario", "source", "target"])
    if target != "mean":
        pairs = pairs[pairs["target"] == target]
    found = pairs[["source", "target", "variant", "score", "selection", "test_auc"]]
    return {
        "scenario": scenario, "target": target, "metric": metric, "agreement": _records(rows), "pairs": _records(found),
    }  # fmt: skip


def agreement_table(scenario: str, target: str = "mean") -> "pd.DataFrame":
    """Weighted Kendall tau of every metric, baseline and the ceiling for a target, or over all; the best first.

    Raises:
        UsageError: no such scenario or target.
    """
    whole = agreement()
    whole = whole[(whole["statistic"] == "weighted_tau") & (whole["scenario"] == scenario)]
    rows = whole[whole["target"] == target]
    if rows.empty:
        known = ", ".join(dict.fromkeys(whole["target"])) if len(whole) else "source_dataset and architecture scenarios only"
        raise UsageError(f"the benchmark has no {target} in scenario {scenario}. It has: {known}.")
    titles = {"metric": "metric", "variant": "kind", "value": "weighted tau", "low": "90 % low", "high": "90 % high"}
    columns = rows[list(titles)].rename(columns=titles)
    return columns.sort_values("weighted tau", ascending=False, na_position="last").round(3)


def benchmark_pictures(scenario: str, metric: str, target: str = "mean") -> tuple["Figure", "Figure", "Figure"]:
    """Agreement of every metric, one metric against fine-tuned performance, and that performance itself.

    Raises:
        UsageError: no such scenario, metric or target.
    """
    _check_metric(scenario, metric)
    own = benchmark_tables()
    truth = own["ground_truth"][own["ground_truth"]["scenario"] == scenario]
    one = truth if target == "mean" else truth[truth["target"] == target]
    return (
        plots.agreement_chart(agreement(), scenario),
        plots.score_against_auc(own["scores"], one, scenario, metric),
        plots.ground_truth_heatmap(truth),
    )


def choices(scenario: str) -> tuple[list[str], list[str]]:
    """Metrics and targets of a scenario of the benchmark."""
    own = agreement()
    own = own[own["scenario"] == scenario]
    metrics = own[~own["variant"].isin(["baseline", "ceiling"])]["metric"]
    return list(dict.fromkeys(metrics)), [name for name in dict.fromkeys(own["target"]) if name != "mean"]


def _check_metric(scenario: str, metric: str) -> None:
    known = choices(scenario)[0]
    if metric not in known:
        raise UsageError(
            f"`metric` must be one that the benchmark has in scenario {scenario}; got {metric!r}. "
            f"Choose one of {', '.join(known) or 'another scenario'}."
        )


@lru_cache(maxsize=1)
def _tables(origin: str) -> dict[str, "pd.DataFrame"]:
    from hf_transferability.benchmark import bundled, tables

    wanted = ("ground_truth", "scores", "sources", "runs")
    if not origin:
        return {name: bundled.load(name) for name in wanted}
    found = {name: _parquet(origin, name) for name in wanted}
    if missing := [name for name in ("ground_truth", "scores") if not found[name]]:
        raise UsageError(f"the benchmark {origin} must have the tables {', '.join(missing)}. Publish them first.")
    import pandas as pd

    return {
        name: pd.concat([tables.read(path, name) for path in paths], ignore_index=True)
        for name, paths in found.items()
        if paths
    }


@lru_cache(maxsize=1)
def _agreement(origin: str) -> "pd.DataFrame":
    from hf_transferability.benchmark.compare import compare

    own = _tables(origin)
    return compare(own["ground_truth"], own["scores"], sources=own.get("sources"), runs=own.get("runs")).rows


def _parquet(origin: str, name: str) -> list[Path]:
    """The files of a table in a folder, or in a dataset of the Hub in the layout that `benchmark publish` writes."""
    from hf_transferability import hub
    from hf_transferability.benchmark.card import data_files

    if Path(origin).is_dir():
        return sorted([*Path(origin).glob(f"{name}.parquet"), *Path(origin).glob(data_files(name))])
    try:
        head = hub.dataset_head(origin)
        return [hub.fetch(head, file) for file in head.files if PurePosixPath(file).match(data_files(name))]
    except Exception as error:
        raise UsageError(hub.explain(error, "dataset", origin)) from error


def _done(lines: Iterator[str | Document], tell: Tell) -> Document:
    """The document that stands at the end of the worker's lines."""
    for line in lines:
        if isinstance(line, dict):
            return line
        place = _PLACE.search(line)
        tell(line, (int(place[1]) - 1) / int(place[2]) if place else None)
    raise AssertionError("the worker ends with a document or an error")


def _other_metrics(document: Document) -> list[str]:
    from hf_transferability.metrics import all_metrics

    shown = {document["metric"], "feature_quality", "feature_update_ratio"}
    return [name for name in all_metrics() if name in document["rows"][0] and name not in shown]


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return records


def _code(text: str) -> str:
    """Text that Markdown shows as it is."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {' '.join(text.split())} {fence}" if longest else f"`{' '.join(text.split())}`"
