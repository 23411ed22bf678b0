"""Tables in CSV files: read as texts, and made numbers where nothing is lost, where `datasets` would guess for every column."""

from collections.abc import Callable
from typing import Any

import datasets
import pandas as pd
from datasets.download.download_config import DownloadConfig
from datasets.utils.file_utils import xopen

from hf_transferability.data.text_columns import is_number, numbers_of

# They write a line on a file that they cannot read, and then raise an error.
LOGGERS = tuple(f"datasets.packaged_modules.{name}.{name}" for name in ("arrow", "cache", "csv", "json", "parquet"))
_LOOKED_AT = 100  # rows that rule most columns of names and paths out, before a whole column is looked at


def with_texts(build: Callable[..., Any], token: str | None) -> Any:
    """The builder that `build` gives; of CSV files without declared columns one whose columns are all texts.

    Args:
        build: makes the builder; takes further options of its configuration by name.
        token: Hub token.
    """
    builder = build()
    if not _guesses(builder):
        return builder
    first = next(str(path) for paths in builder.config.data_files.values() for path in paths)
    with xopen(first, "rb", download_config=DownloadConfig(token=token)) as file:
        columns = list(pd.read_csv(file, **builder.config.pd_read_csv_kwargs | {"nrows": 0, "chunksize": None}).columns)
    features = datasets.Features({str(name): datasets.Value("string") for name in columns})
    return build(features=features, keep_default_na=False, na_values=[""])


def _guesses(builder: Any) -> bool:
    """Whether a builder reads CSV files and guesses the types of their columns."""
    config = builder.config
    return hasattr(config, "pd_read_csv_kwargs") and bool(config.data_files) and not (config.features or builder.info.features)


def settled(builder: Any, table: datasets.Dataset) -> datasets.Dataset:
    """A table of a builder from `with_texts`, its columns made numbers where nothing is lost; other tables as they are."""
    if getattr(builder.config, "na_values", None) != [""]:
        return table
    for name in table.column_names:
        start = [value for value in table[:_LOOKED_AT][name] if value is not None]
        if all(map(is_number, start)) and (numbers := numbers_of(table[name][:])) is not None:
            whole = all(value is None or isinstance(value, int) for value in numbers)
            kind = datasets.Value("int64" if whole else "float64")
            table = table.remove_columns(name).add_column(name, numbers, feature=kind)
    return table
