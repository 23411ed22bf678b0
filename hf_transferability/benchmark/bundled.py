"""The benchmarks that come with the package, as tables; data/<benchmark>/README.md says what each is and where it comes from.

`paper` is Juodelyte et al. 2024. `open` and `open_regnet` were made with this package. The others are further published
studies: `chaves2024` and `medmnistplus` with scores, `sfda_emms` and `transfergraph` with fine-tuned performance alone.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hf_transferability.benchmark import tables
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

DATA = Path(__file__).parent / "data"
# Provenance of all rows of a benchmark whose files do not hold it.
PUBLICATIONS = {
    "paper": {
        "citation": "Juodelyte, Ferrante, Lu, Singh, Vanschoren, Cheplygina 2024: On dataset transferability in medical image "
        "classification, arXiv 2412.20172",
        "date": "2024-12",
    }
}
_ADDED = {("paper", "sources"): "architectures, parameters and feature widths counted in torchvision, its ImageNet top-1"}
_SELECTIONS = {"open": "mean_of_best_5", "open_regnet": "mean_of_best_5"}  # the less noisy ground truth of two


def benchmarks() -> list[str]:
    """Names of the bundled benchmarks."""
    return sorted(folder.name for folder in DATA.iterdir() if folder.is_dir())


def with_table(table: str) -> list[str]:
    """Names of the bundled benchmarks that have a table."""
    return [name for name in benchmarks() if (DATA / name / f"{table}.parquet").is_file()]


def selection(benchmark: str) -> str | None:
    """The recommended ground truth of a bundled benchmark; None where the default is."""
    return _SELECTIONS.get(benchmark)


def title(benchmark: str) -> str:
    """The heading of a bundled benchmark's README; empty for another benchmark."""
    if benchmark not in benchmarks():
        return ""
    return (DATA / benchmark / "README.md").read_text("utf-8").partition("\n")[0].removeprefix("# ")


def load(table: str, benchmark: str = "paper") -> "pd.DataFrame":
    """A table of a bundled benchmark; the caller may change the frame.

    Raises:
        UsageError: no such table or benchmark.
    """
    path = DATA / benchmark / f"{table}.parquet"
    if benchmark in benchmarks() and table in tables.TABLES and not path.is_file():
        raise UsageError(
            f"the bundled benchmark {benchmark} has no {table}. Benchmarks that have: {', '.join(with_table(table))}."
        )
    if table not in tables.TABLES or not path.is_file():
        known = ", ".join(f"{file.parent.name}/{file.stem}" for file in sorted(DATA.glob("*/*.parquet")))
        raise UsageError(f"there is no bundled table {benchmark}/{table}. There are: {known}.")
    return _read(path, table).copy()


def with_provenance(benchmark: str = "paper") -> dict[str, "pd.DataFrame"]:
    """All tables of a bundled benchmark by name, each row with its provenance: what is published.

    Raises:
        UsageError: no such benchmark.
    """
    if benchmark not in benchmarks():
        raise UsageError(f"there is no bundled benchmark {benchmark}. There are: {', '.join(benchmarks())}.")
    frames = {}
    for table in tables.TABLES:
        if (DATA / benchmark / f"{table}.parquet").is_file():
            frames[table] = load(table, benchmark).assign(**PUBLICATIONS.get(benchmark, {}))
            if (benchmark, table) in _ADDED:
                frames[table]["citation"] += f"; {_ADDED[benchmark, table]}"
    return frames


@lru_cache
def _read(path: Path, table: str) -> "pd.DataFrame":
    return tables.read(path, table)
