"""The benchmarks that come with the package, as tables.

`paper`: the results of Juodelyte et al. 2024, arXiv 2412.20172, in this project's tables: 267 fine-tuned performances,
2,090 published scores, the facts of 24 sources, 28,205 fine-tuning runs, and the 198 published values of agreement.
The networks' sizes are torchvision's; of the pooled source (medmnist) the authors' code says that it leaves the target out.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hf_transferability.benchmark import tables
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

DATA = Path(__file__).parent / "data"
# Provenance of all rows of a benchmark that is out of a publication; data/<benchmark>/README.md says what was changed.
PUBLICATIONS = {
    "paper": {
        "citation": "Juodelyte, Ferrante, Lu, Singh, Vanschoren, Cheplygina 2024: On dataset transferability in medical image "
        "classification, arXiv 2412.20172",
        "date": "2024-12",
    }
}
_ADDED = {("paper", "sources"): "architectures, parameters and feature widths counted in torchvision"}


def benchmarks() -> list[str]:
    """Names of the bundled benchmarks."""
    return sorted(folder.name for folder in DATA.iterdir() if folder.is_dir())


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
    if table not in tables.TABLES or not path.is_file():
        known = ", ".join(f"{each.parent.name}/{each.stem}" for each in sorted(DATA.glob("*/*.parquet")))
        raise UsageError(f"there is no bundled table {benchmark}/{table}. There are: {known}.")
    return _read(path, table).copy()


def with_provenance(benchmark: str = "paper") -> dict[str, "pd.DataFrame"]:
    """All tables of a bundled benchmark by name, each row with its provenance: what is published.

    Raises:
        UsageError: no such benchmark.
    """
    if benchmark not in benchmarks():
        raise UsageError(f"there is no bundled benchmark {benchmark}. There are: {', '.join(benchmarks())}.")
    found = {}
    for table in tables.TABLES:
        if (DATA / benchmark / f"{table}.parquet").is_file():
            found[table] = load(table, benchmark).assign(**PUBLICATIONS.get(benchmark, {}))
            if (benchmark, table) in _ADDED:
                found[table]["citation"] += f"; {_ADDED[benchmark, table]}"
    return found


@lru_cache
def _read(path: Path, table: str) -> "pd.DataFrame":
    return tables.read(path, table)
