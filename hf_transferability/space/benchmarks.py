"""The benchmarks of the page's second tab.

A published Space reads them from one parquet file beside its app, which contains the agreement, since computing that takes
seconds. The variable HF_TRANSFERABILITY_BENCHMARK names such a file, a Hub dataset made by `benchmark publish`, or a folder of
its tables. Without it, the page shows the benchmarks that come with the package, whose agreement is bundled beside this module.
"""

import os
import threading
import time
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark.pools import PAIR
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from hf_transferability.hub import Snapshot

FILE = "benchmarks.parquet"  # in the Space
AGREEMENT = Path(__file__).with_name("agreement.parquet")  # of the bundled benchmarks; tools/refresh_leaderboard.py makes it
VARIABLE = "HF_TRANSFERABILITY_BENCHMARK"
FIRST = "paper"  # shown first, if it is there
FRESH = 600.0  # seconds after which a Hub dataset is checked for changes
# What the page needs of each table.
_COLUMNS = {
    "ground_truth": [*PAIR, "selection", "measure", "performance", "n_runs"],
    "sources": ["benchmark", "source", "parameters"],
    "scores": [*PAIR, "metric", "variant", "score", "citation"],
    "agreement": [
        "benchmark", "scenario", "selection", "metric", "variant", "target", "statistic", "value", "low", "high", "n_sources",
    ],
}  # fmt: skip
_BESIDE = ("sources", "runs")  # from which agreement is computed, if the tables do not contain it
_SOURCE = ("ground_truth", "scores", *_BESIDE)


class Benchmark:
    """One benchmark.

    Attributes:
        name: name of the benchmark.
        scenarios: those with both ground truth and scores.
        selections: ways in which its ground truth was taken from the fine-tuning runs; the first is shown first.
        ground_truth, scores: its tables; one row per pair and selection, or per pair, metric and variant.
        sources: the networks' sizes, for scores that take them into account; None where they are unknown.
    """

    def __init__(self, name: str, tables: "dict[str, pd.DataFrame]"):
        from hf_transferability.benchmark import bundled
        from hf_transferability.benchmark.ground_truth import PUBLISHED, one_measure
        from hf_transferability.benchmark.newest import newest
        from hf_transferability.benchmark.pools import latest

        self.name = name
        self.ground_truth = newest(one_measure(tables["ground_truth"]), [*PAIR, "selection"])[_COLUMNS["ground_truth"]]
        self.scores = latest(tables["scores"])[0].reindex(columns=_COLUMNS["scores"])
        self.sources = tables["sources"][_COLUMNS["sources"]] if "sources" in tables else None
        self.scenarios = [name for name in self.ground_truth["scenario"].unique() if name in set(self.scores["scenario"])]
        recommended = bundled.selection(name)  # the one that the table over all benchmarks takes
        self.selections = sorted(
            self.ground_truth["selection"].unique(), key=lambda each: (each != recommended, each != PUBLISHED)
        )
        self._beside = {table: tables[table] for table in _BESIDE if table in tables}
        self._given = tables.get("agreement")
        self._found: dict[str, pd.DataFrame] = {}
        self._lock = threading.Lock()  # two visitors wait for the same calculation

    def agreement(self, selection: str) -> "pd.DataFrame":
        """Weighted Kendall tau of every metric, of the baselines and of the noise ceiling: a table of agreement."""
        with self._lock:
            if selection not in self._found:
                self._found[selection] = self._agreement(selection)[_COLUMNS["agreement"]]
            return self._found[selection]

    def _agreement(self, selection: str) -> "pd.DataFrame":
        from hf_transferability.benchmark.compare import compare
        from hf_transferability.benchmark.ground_truth import with_shared_runs

        if self._given is not None:
            return self._given[self._given["selection"] == selection]
        beside: dict[str, Any] = dict(self._beside)
        if "runs" in beside:
            beside["runs"] = with_shared_runs(beside["runs"])
        wanted: dict[str, Any] = {"selection": selection, "statistics": ("weighted_tau",)}
        return compare(self.ground_truth, self.scores, **beside, **wanted).rows


def shown() -> tuple[dict[str, Benchmark], str]:
    """The benchmarks that the page shows, by name; and a notice if they are not those of the variable, else an empty text."""
    origin = os.environ.get(VARIABLE, "")
    if not origin:
        return _bundled(), ""
    return _read(origin, int(time.monotonic() / FRESH))


def write(path: str | Path) -> None:
    """Write the benchmarks that come with the package, with their agreement, as one parquet."""
    import pandas as pd

    parts = []
    for benchmark in _bundled().values():
        agreement = pd.concat([benchmark.agreement(selection) for selection in benchmark.selections])
        tables = {"ground_truth": benchmark.ground_truth, "scores": benchmark.scores, "agreement": agreement}
        if benchmark.sources is not None:
            tables["sources"] = benchmark.sources
        parts += [frame.assign(table=name) for name, frame in tables.items()]
    pd.concat(parts, ignore_index=True).to_parquet(path, index=False)


def worked_out() -> "pd.DataFrame":
    """The agreement of the benchmarks that come with the package, computed anew."""
    import pandas as pd

    parts = []
    for name, tables in _bundled_tables().items():
        benchmark = Benchmark(name, tables)
        parts += [benchmark.agreement(selection).assign(benchmark=name) for selection in benchmark.selections]
    return pd.concat(parts, ignore_index=True)


@lru_cache(maxsize=1)
def _bundled() -> dict[str, Benchmark]:
    import pandas as pd

    agreement = pd.read_parquet(AGREEMENT)
    benchmarks = {}
    for name, tables in _bundled_tables().items():
        stored = agreement[agreement["benchmark"] == name]
        benchmarks[name] = Benchmark(name, tables if stored.empty else {**tables, "agreement": stored})
    return benchmarks


def _bundled_tables() -> "dict[str, dict[str, pd.DataFrame]]":
    from hf_transferability.benchmark import bundled

    found = {}
    for name in sorted(bundled.with_table("scores"), key=_order):
        tables = bundled.with_provenance(name)
        found[name] = {table: tables[table] for table in _SOURCE if table in tables}
    return found


@lru_cache(maxsize=1)
def _read(origin: str, period: int) -> tuple[dict[str, Benchmark], str]:
    """Read the benchmarks there. `period` makes the cached answer expire."""
    try:
        if Path(origin).is_file():
            return _of_file(origin), ""
        if Path(origin).is_dir():
            return _of_folder(origin), ""
        return _of_hub(origin), ""
    except UsageError as error:
        return _bundled(), f"The benchmark of this page cannot be read: {error} You see those that come with the package."


def _of_file(path: str) -> dict[str, Benchmark]:
    import pandas as pd

    try:
        rows = pd.read_parquet(path)
        return _by_benchmark({str(name): frame[_COLUMNS[str(name)]] for name, frame in rows.groupby("table")}, path)
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(
            f"{path} is not a parquet file made by `hf-transferability space --publish`. Publish the Space again."
        ) from error


def _of_folder(path: str) -> dict[str, Benchmark]:
    from hf_transferability.benchmark.tables import data_files

    return _of_tables(
        {name: sorted([*Path(path).glob(f"{name}.parquet"), *Path(path).glob(data_files(name))]) for name in _SOURCE}, path
    )


def _of_hub(repo_id: str) -> dict[str, Benchmark]:
    from hf_transferability import hub

    try:
        return _of_commit(hub.dataset_head(repo_id))
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(hub.explain(error, "dataset", repo_id)) from error


@lru_cache(maxsize=1)
def _of_commit(head: "Snapshot") -> dict[str, Benchmark]:
    from hf_transferability import hub
    from hf_transferability.benchmark.tables import data_files

    files = {
        name: [hub.fetch(head, file) for file in head.files if PurePosixPath(file).match(data_files(name))] for name in _SOURCE
    }
    return _of_tables(files, head.repo_id)


def _of_tables(files: dict[str, list[Path]], origin: str) -> dict[str, Benchmark]:
    import pandas as pd

    from hf_transferability.benchmark import tables

    frames = {
        name: pd.concat([tables.read(path, name) for path in paths], ignore_index=True)
        for name, paths in files.items()
        if paths
    }
    return _by_benchmark(frames, origin)


def _by_benchmark(frames: "dict[str, pd.DataFrame]", origin: str) -> dict[str, Benchmark]:
    """The tables of each benchmark that has ground truth and scores."""
    if missing := [name for name in ("ground_truth", "scores") if name not in frames]:
        raise UsageError(f"{origin} must have the tables {', '.join(missing)}. Publish them first.")
    both = set(frames["ground_truth"]["benchmark"]) & set(frames["scores"]["benchmark"])
    if not both:
        raise UsageError(f"{origin} must have ground truth and scores of one benchmark. Give both the same name.")
    return {
        name: Benchmark(
            name, {table: rows for table, frame in frames.items() if len(rows := frame[frame["benchmark"] == name])}
        )
        for name in sorted(both, key=_order)
    }


def _order(name: str) -> tuple[bool, str]:
    return name != FIRST, name
