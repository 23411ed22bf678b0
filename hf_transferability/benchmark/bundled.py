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


def benchmarks() -> list[str]:
    """Names of the bundled benchmarks."""
    return sorted(folder.name for folder in DATA.iterdir() if folder.is_dir())


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


@lru_cache
def _read(path: Path, table: str) -> "pd.DataFrame":
    return tables.read(path, table)
