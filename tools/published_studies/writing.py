"""Tables of one study, checked and written into the folder of its benchmark."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hf_transferability.benchmark import bundled, tables


def write(benchmark: str, frames: Mapping[str, pd.DataFrame], destination: Path | None = None) -> dict[str, int]:
    """Write each table as parquet; returns the number of rows by table.

    Args:
        benchmark: its name.
        frames: table -> rows, each with its citation.
        destination: folder to write to; default that of the bundled benchmark.
    """
    folder = destination or bundled.DATA / benchmark
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name, frame in frames.items():
        table = tables.TABLES[name]
        known = tables.check_provenance(frame.assign(benchmark=benchmark), name, f"{benchmark}/{name}")
        filled = [column for column in known if column in table.columns or known[column].notna().any()]
        known = known[filled].sort_values([*table.key], ignore_index=True)
        known.to_parquet(folder / f"{name}.parquet", index=False, compression="zstd")
        counts[name] = len(known)
    return counts


def frame(rows: Iterable[Mapping[str, Any]], **shared: Any) -> pd.DataFrame:
    """Rows as a frame, with columns that are the same in all of them."""
    return pd.DataFrame(list(rows)).assign(**shared)
