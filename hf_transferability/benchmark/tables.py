"""The tables of a benchmark: their columns, and the check that a frame is one of them.

Published, compared, drawn and shown by the Space in the same form. A table is a tidy frame, one row per key.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

SCENARIOS = ("source_dataset", "architecture")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        kind: "text", "number" (float64) or "count" (a whole number).
        meaning: what it holds, with its unit.
        needed: whether every row must have a value.
    """

    kind: str
    meaning: str
    needed: bool = False


@dataclass(frozen=True)
class Table:
    """One table: its columns by name, and the columns whose values name a row."""

    columns: dict[str, Column]
    key: tuple[str, ...]


_PAIR = {
    "benchmark": Column("text", "the set of results that the row belongs to", needed=True),
    "scenario": Column("text", "what differs between sources: source_dataset or architecture", needed=True),
    "source": Column("text", "source checkpoint, by its pre-training data or its network", needed=True),
    "target": Column("text", "target dataset", needed=True),
}
_PAIR_KEY = ("benchmark", "scenario", "source", "target")

TABLES = {
    "ground_truth": Table(
        {
            **_PAIR,
            "selection": Column("text", "how the figure was taken from the fine-tuning runs", needed=True),
            "test_auc": Column(
                "number", "fine-tuned performance: area under the ROC curve on the test split, 0 to 1", needed=True
            ),
            "n_runs": Column("count", "fine-tuning runs that it was taken from"),
        },
        (*_PAIR_KEY, "selection"),
    ),
    "scores": Table(
        {
            **_PAIR,
            "metric": Column("text", "transferability metric", needed=True),
            "variant": Column("text", "default or published form of the metric", needed=True),
            "score": Column("number", "value, in the metric's unit; higher is better; empty where undefined"),
            "interval_low": Column("number", "lower end of the 90 % interval"),
            "interval_high": Column("number", "upper end of the 90 % interval"),
            "flags": Column("text", "reasons to trust the score less, separated by semicolons"),
        },
        (*_PAIR_KEY, "metric", "variant"),
    ),
    "runs": Table(
        {
            **_PAIR,
            "run": Column("count", "number of the fine-tuning run within its pair", needed=True),
            "seed": Column("count", "of the run's samples, head and order of images"),
            "batch_size": Column("count", "images", needed=True),
            "learning_rate": Column("number", "at the start", needed=True),
            "momentum": Column("number", "of SGD; Nesterov where above 0", needed=True),
            "weight_decay": Column("number", "of SGD", needed=True),
            "epochs": Column("count", "at most", needed=True),
            "stopped_epoch": Column("count", "last epoch that was trained"),
            "validation_loss": Column("number", "cross-entropy in nats"),
            "validation_auc": Column("number", "0 to 1"),
            "validation_accuracy": Column("number", "0 to 1"),
            "test_loss": Column("number", "cross-entropy in nats"),
            "test_auc": Column("number", "0 to 1"),
            "test_accuracy": Column("number", "0 to 1"),
            "status": Column("text", "ok, or why there are no figures", needed=True),
            "seconds": Column("number", "training time"),
        },
        (*_PAIR_KEY, "run"),
    ),
    "sources": Table(
        {
            "benchmark": _PAIR["benchmark"],
            "source": _PAIR["source"],
            "train_images": Column("count", "images that the source was pre-trained on"),
            "classes": Column("count", "classes that it was pre-trained on"),
            "task": Column("text", "kind of labels"),
            "modality": Column("text", "kind of images"),
            "channels": Column("count", "1 for grey, 3 for colour"),
            "architecture": Column("text", "network"),
            "parameters": Column("count", "of the network without its head"),
            "feature_width": Column("count", "features that the head takes"),
            "note": Column("text", "remark"),
        },
        ("benchmark", "source"),
    ),
    "agreement": Table(
        {
            "benchmark": _PAIR["benchmark"],
            "scenario": _PAIR["scenario"],
            "metric": Column("text", "metric or baseline whose scores are compared with fine-tuning", needed=True),
            "variant": Column("text", "default or published form of the metric", needed=True),
            "target": Column("text", "target dataset, or mean", needed=True),
            "selection": Column("text", "how the ground truth was taken from the runs", needed=True),
            "statistic": Column("text", "weighted_tau, kendall_tau, pearson, regret_at_1, ...", needed=True),
            "value": Column("number", "empty where undefined"),
            "low": Column("number", "lower end of the interval"),
            "high": Column("number", "upper end of the interval"),
            "n_sources": Column("count", "sources compared"),
        },
        ("benchmark", "scenario", "metric", "variant", "target", "selection", "statistic"),
    ),
}

_TYPES = {"text": "str", "number": "float64", "count": "Int64"}


def read(path: str | Path, name: str) -> "pd.DataFrame":
    """A table from a .parquet, .csv or .json file (a list of rows), checked.

    Raises:
        UsageError: no such file, another format, or not this table.
    """
    import pandas as pd

    path = Path(path)
    readers = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".json": pd.read_json}
    if path.suffix not in readers:
        raise UsageError(f"{path} must end in {', '.join(readers)}. Save the table in one of these forms.")
    try:
        frame = readers[path.suffix](path)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}. Check the path.") from None
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Save it again.") from error
    return check(frame, name, str(path))


def check(frame: "pd.DataFrame", name: str, origin: str = "the table") -> "pd.DataFrame":
    """The frame with its columns in order and of their kinds; columns beyond the table's own come last, as they are.

    Columns that may be empty may be missing.

    Raises:
        UsageError: a needed column or value is missing, a value is of another kind, or two rows have one key.
    """
    import pandas as pd

    table = TABLES[name]
    missing = [column for column, own in table.columns.items() if own.needed and column not in frame]
    if missing:
        raise UsageError(f"{origin} must have the columns {', '.join(missing)} to be a table of {name}. Add them.")
    columns: dict[str, pd.Series] = {}
    for column, own in table.columns.items():
        values = frame[column] if column in frame else pd.Series([None] * len(frame), index=frame.index, dtype=object)
        try:
            columns[column] = values.astype(_TYPES[own.kind]) if own.kind != "text" else _text(values)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{origin}: column {column} must be a {own.kind}; {error}. Correct it.") from error
        if own.needed and columns[column].isna().any():
            raise UsageError(f"{origin}: column {column} must have a value in every row. Fill it.")
    whole = pd.DataFrame({**columns, **{column: frame[column] for column in frame if column not in columns}})
    key = list(table.key)
    if (twice := whole.duplicated(key)).any():
        first = whole.loc[twice, key].iloc[0].tolist()
        raise UsageError(f"{origin} must have one row per {', '.join(key)}; {first} is there twice. Drop one.")
    return whole.reset_index(drop=True)


def _text(values: "pd.Series") -> "pd.Series":
    given = values.dropna()
    if wrong := [value for value in given if not isinstance(value, str)]:
        raise TypeError(f"got {wrong[0]!r}")
    return values.astype("str").where(values.notna(), None)
