"""The tables of a benchmark: their columns, and the check that a frame is one of them.

Published, compared, drawn and shown by the Space in the same form. A table is a tidy frame, one row per key. A row that is
published also says where it comes from: what was run on what, or the publication that it was taken from.
"""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability import files
from hf_transferability.benchmark.foreign_metrics import FOREIGN_METRICS
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        kind: "text", "number" (float64), "share" (a number from 0 to 1) or "count" (a whole number).
        meaning: what it holds, with its unit.
        needed: whether every row must have a value.
    """

    kind: str
    meaning: str
    needed: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        columns: its columns by name.
        key: the columns that every row must have, and whose values name it.
        identity: columns of PROVENANCE that name a row too, where the table has them: what it was computed from; empty is a
            value like any other.
        provenance: the columns of PROVENANCE that a published row must fill unless it has a citation; "a or b" for one of two.
    """

    columns: dict[str, Column]
    key: tuple[str, ...]
    provenance: tuple[str, ...]
    identity: tuple[str, ...] = ()

    def names(self, frame: "pd.DataFrame") -> list[str]:
        """The columns of a frame that name its rows: what was measured, and on what."""
        return [*self.key, *(column for column in self.identity if column in frame)]


_PAIR = {
    "benchmark": Column("text", "the set of results that the row belongs to", needed=True),
    "scenario": Column("text", "what differs between sources: source_dataset or architecture", needed=True),
    "source": Column("text", "source checkpoint, by its pre-training data or its network", needed=True),
    "target": Column("text", "target dataset", needed=True),
}
_PAIR_KEY = ("benchmark", "scenario", "source", "target")

PROVENANCE = {
    "checkpoint": Column("text", "source checkpoint: its Hub id, or the name of a local folder"),
    "checkpoint_revision": Column("text", "its commit, or sha256: over its weights, configuration and preprocessor"),
    "dataset": Column("text", "target dataset: its Hub id, or the name of a local folder; of agreement, the tables compared"),
    "dataset_config": Column("text", "its configuration, where it has several"),
    "dataset_revision": Column("text", "its commit"),
    "dataset_fingerprint": Column("text", "sha256 over the sample's encoded images and labels, in order"),
    "split": Column("text", "where the images were drawn from"),
    "sample_size": Column("count", "images drawn"),
    "draw": Column(
        "text", "random or stratified; also how many groups (patients, for example) of which column were kept together"
    ),
    "sample_seed": Column("count", "of the draw, the order of the images and resampling"),
    "preprocessing": Column("text", "from a file to the network's input"),
    "metric_version": Column("count", "raised whenever the metric's values change"),
    "pool": Column("text", "candidates over which a pool-relative score was scaled; compare such scores within one pool only"),
    "versions": Column("text", "packages that can change the value"),
    "hardware": Column("text", "what the network ran on"),
    "date": Column("text", "when the network was run, in UTC (ISO 8601), or when the publication appeared"),
    "citation": Column("text", "publication that the figures were taken from; empty for figures that were made here"),
}
_RUN_ON = ("checkpoint", "checkpoint_revision", "dataset", "dataset_revision or dataset_fingerprint")
_MADE = (*_RUN_ON, "split", "sample_size", "sample_seed", "preprocessing", "versions", "hardware", "date")
# Two measurements of one source and target are of the same thing only if all of these agree.
_SAMPLE = (
    "checkpoint_revision", "dataset_config", "dataset_revision", "dataset_fingerprint", "split", "sample_size", "sample_seed",
    "draw",
)  # fmt: skip
_FORMS = ("default", "published")
# What a fine-tuned performance can be, and what a regret in its unit is called.
MEASURES = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "average_precision": "mean average precision",
}
MIXED = "mixed"  # the mean over targets of several measures
DOMAINS = ("medical", "natural", "other")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}:\d{2}\+00:00)?)?)?")

TABLES = {
    "ground_truth": Table(
        {
            **_PAIR,
            "selection": Column("text", "how the figure was taken from the fine-tuning runs", needed=True),
            "measure": Column("text", f"what the figure is: {', '.join(MEASURES)}", needed=True),
            "performance": Column("share", "fine-tuned performance on the test split in that measure, 0 to 1", needed=True),
            "performance_sd": Column("number", "its standard deviation over repeated fine-tuning, in the same measure"),
            "n_runs": Column("count", "fine-tuning runs that it was taken from"),
        },
        (*_PAIR_KEY, "selection", "measure"),
        _MADE,
        _SAMPLE,
    ),
    "scores": Table(
        {
            **_PAIR,
            "metric": Column("text", "transferability metric", needed=True),
            "variant": Column(
                "text",
                "default or published form of the metric; published: of the paper, or of the study that is cited",
                needed=True,
            ),
            "score": Column("number", "value, in the metric's unit; higher is better; empty where undefined"),
            "interval_low": Column("number", "lower end of the 90% interval"),
            "interval_high": Column("number", "upper end of the 90% interval"),
            "flags": Column("text", "reasons to trust the score less, separated by semicolons"),
        },
        (*_PAIR_KEY, "metric", "variant"),
        (*_MADE, "metric_version"),
        (*_SAMPLE, "pool"),
    ),
    "runs": Table(
        {
            **_PAIR,
            "run": Column("count", "number of the fine-tuning run within its pair", needed=True),
            "seed": Column("count", "of the run's head, order of images, dropout and augmentation"),
            "batch_size": Column("count", "images", needed=True),
            "learning_rate": Column("number", "at the start", needed=True),
            "momentum": Column("number", "of SGD; Nesterov where above 0", needed=True),
            "weight_decay": Column("number", "of SGD", needed=True),
            "epochs": Column("count", "at most", needed=True),
            "image_size": Column("text", "side of the network's square input in pixels, or height x width"),
            "normalisation": Column("text", "mean and standard deviation of each channel, as shares of the largest value"),
            "dtype": Column("text", "number format of the weights in training"),
            "stopped_epoch": Column("count", "last epoch that was trained"),
            "validation_loss": Column("number", "cross-entropy in nats"),
            "validation_auc": Column("share", "0 to 1"),
            "validation_accuracy": Column("share", "0 to 1"),
            "test_loss": Column("number", "cross-entropy in nats"),
            "test_auc": Column("share", "0 to 1"),
            "test_accuracy": Column("share", "0 to 1"),
            "status": Column("text", "ok, or why there are no figures", needed=True),
            "seconds": Column("number", "training time"),
        },
        (*_PAIR_KEY, "run"),
        _MADE,
        _SAMPLE,
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
            "imagenet_top1": Column("share", "top-1 accuracy on the validation images of ImageNet-1k, 0 to 1"),
            "note": Column("text", "remark"),
        },
        ("benchmark", "source"),
        ("checkpoint", "checkpoint_revision", "date"),
    ),
    "targets": Table(
        {
            "benchmark": _PAIR["benchmark"],
            "target": _PAIR["target"],
            "domain": Column("text", f"kind of images: {', '.join(DOMAINS)}", needed=True),
            "classes": Column("count", "classes, or labels where an image can have several"),
            "modality": Column("text", "what the images show, or how they were taken"),
            "note": Column("text", "remark"),
        },
        ("benchmark", "target"),
        ("dataset", "date"),
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
            "measure": Column(
                "text",
                f"fine-tuned performance that was compared, the unit of a regret; {MIXED} in a mean over several",
                needed=True,
            ),
            "n_sources": Column("count", "sources compared"),
        },
        ("benchmark", "scenario", "metric", "variant", "target", "selection", "measure", "statistic"),
        ("dataset", "dataset_revision or dataset_fingerprint", "versions", "date"),
    ),
}


def data_files(name: str) -> str:
    """Where a table's rows lie in a dataset of results; more than one file is there after a merged pull request."""
    return f"data/{name}/*.parquet"


def read(path: str | Path, name: str) -> "pd.DataFrame":
    """A table from a .parquet, .csv or .json file (a list of rows), checked.

    Raises:
        UsageError: no such file, another format, or not this table.
    """
    import pandas as pd

    path = Path(path)
    texts = {column: "str" for column, form in (TABLES[name].columns | PROVENANCE).items() if form.kind == "text"}
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".parquet": pd.read_parquet,
        ".csv": lambda path: files.read_csv(path, texts),  # a name may look like a number
        ".json": lambda path: pd.DataFrame(json.loads(path.read_text("utf-8"))),
    }
    ending = path.suffix.lower()
    if ending not in readers:
        raise UsageError(f"{path} must end in {', '.join(readers)}. Save the table in one of these forms.")
    try:
        frame = readers[ending](path)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}. Check the path.") from None
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Save it again.") from error
    return check(frame, name, str(path))


def check(frame: "pd.DataFrame", name: str, origin: str = "the table") -> "pd.DataFrame":
    """The frame with its columns in order and of their kinds, then those of provenance that it has, then any others.

    Columns that may be empty may be missing. Tables of before version 0.2 have no `measure`, as all of them were of AUC, and
    their ground truth has `test_auc` in place of `performance`; they are read as what they mean.

    Raises:
        UsageError: a needed column or value is missing, a value is of another kind or not among those that are known, or two
            rows have one key.
    """
    from hf_transferability.metrics import SCENARIOS

    table = TABLES[name]
    if "measure" in table.columns:
        frame = _with_measure(frame)
    missing = [column for column, form in table.columns.items() if form.needed and column not in frame]
    if missing:
        raise UsageError(f"{origin} must have the columns {', '.join(missing)} to be a table of {name}. Add them.")
    known = {**table.columns, **{column: form for column, form in PROVENANCE.items() if column in frame}}
    typed = _with_columns(frame, known, origin)
    measures = (*MEASURES, MIXED) if name == "agreement" else MEASURES
    for column, known_values in (("scenario", SCENARIOS), ("measure", measures), ("domain", DOMAINS)):
        if column in table.columns:
            _check_known(typed, name, column, known_values, origin)
    key = table.names(typed)
    if (twice := typed.duplicated(key)).any():
        first = typed.loc[twice, key].iloc[0].tolist()
        raise UsageError(f"{origin} must have one row per {', '.join(key)}; {first} is there twice. Drop one.")
    return typed.reset_index(drop=True)


def check_provenance(frame: "pd.DataFrame", name: str, origin: str = "the table") -> "pd.DataFrame":
    """The checked frame with all columns of provenance, if every row says where it comes from.

    Own runs that failed need not, see `failed`.

    Raises:
        UsageError: as `check`; or rows without provenance, by their keys and the columns that they lack; or a metric or variant
            that is not known; or a date that is malformed or still to come.
    """

    import pandas as pd

    table = TABLES[name]
    typed = _with_columns(check(frame, name, origin), {**table.columns, **PROVENANCE}, origin)
    made = ~_filled(typed["citation"])
    if name == "runs":
        made &= ~failed(typed)
    lacking = {field: made & ~_has(typed, field) for field in table.provenance}
    if name == "scores" and made.any():
        lacking["pool"] = made & typed["metric"].isin(_pool_relative()) & ~_filled(typed["pool"])
    bad = [i for i, any_lacking in enumerate(pd.DataFrame(lacking).any(axis=1)) if any_lacking]
    if bad:
        named = [f"{_named(typed, i, table)} lacks {', '.join(f for f in lacking if lacking[f][i])}" for i in bad[:3]]
        more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise UsageError(
            f"{origin}: {len(bad)} of {len(typed)} rows of {name} do not say where they come from: {'; '.join(named)}{more}. "
            "Fill these columns, or `citation` for figures out of a publication."
        )
    if name == "scores":
        # A score that this package cannot compute is known by the publication that did.
        foreign = typed["metric"].isin(FOREIGN_METRICS) & ~made
        _check_known(typed[~foreign], name, "metric", _metrics(), origin)
    if "variant" in table.columns:
        _check_known(typed, name, "variant", (*_FORMS, *(("baseline", "ceiling") if name == "agreement" else ())), origin)
    for i, date in enumerate(typed["date"].tolist()):
        if isinstance(date, str) and not _is_past(date):
            raise UsageError(
                f"{origin}: `date` of {_named(typed, i, table)} must be like 2025-01-31T12:00:00+00:00 (UTC), or a year, month "
                f"or day, and not in the future; got {date!r}. Correct it."
            )
    return typed


def _with_measure(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Ground truth or agreement as it is written now, from a table that may be an older one."""
    if "measure" in frame or ("performance" in frame and "test_auc" not in frame):
        return frame
    return frame.rename(columns={"test_auc": "performance"}).assign(measure="auc")


def failed(runs: "pd.DataFrame") -> "pd.Series":
    """Which of the checked runs failed and are one's own, not cited: they are not published.

    The checkpoint of such a run may have no revision, as it could not be loaded.
    """
    return (runs["status"] == "failed") & ~_filled(runs["citation"])


def _check_known(frame: "pd.DataFrame", name: str, column: str, known: Collection[str], origin: str) -> None:
    unknown = ~frame[column].isin(list(known))
    if unknown.any():
        row = unknown.tolist().index(True)
        raise UsageError(
            f"{origin}: `{column}` of {_named(frame.reset_index(drop=True), row, TABLES[name])} must be one of "
            f"{', '.join(known)}. Correct it."
        )


def _is_past(date: str) -> bool:
    """Whether it is a date of the calendar, in one of the forms that can be ordered, and not in the future.

    A clock may be wrong by a day.
    """
    if not _DATE.fullmatch(date):
        return False
    try:
        moment = datetime.fromisoformat(date + {4: "-01-01", 7: "-01"}.get(len(date), ""))
    except ValueError:
        return False
    return moment.replace(tzinfo=UTC) <= datetime.now(UTC) + timedelta(days=1)


def _with_columns(frame: "pd.DataFrame", columns: dict[str, Column], origin: str) -> "pd.DataFrame":
    """The frame with these columns first, as their kinds and empty where there are none, and its others after them."""
    import pandas as pd

    typed: dict[Any, pd.Series] = {}
    for column, form in columns.items():
        values = frame[column] if column in frame else pd.Series([None] * len(frame), index=frame.index, dtype=object)
        try:
            typed[column] = _TYPED[form.kind](values)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{origin}: column {column} must be a {form.kind}; {error}. Correct it.") from error
        if form.needed and typed[column].isna().any():
            raise UsageError(f"{origin}: column {column} must have a value in every row. Fill it.")
    return pd.DataFrame(typed | {column: frame[column] for column in frame if column not in typed})


def _text(values: "pd.Series") -> "pd.Series":
    import pandas as pd

    if values.dtype == pd.Series(["text"], dtype="str").dtype and values.dtype != object:
        return values
    given = values.dropna()
    if wrong := [value for value in given if not isinstance(value, str)]:
        raise TypeError(f"got {wrong[0]!r}")
    return values.astype("str").where(values.notna(), None)


def _number(values: "pd.Series") -> "pd.Series":
    numbers = values.astype("float64")
    if infinite := [value for value in numbers.tolist() if value in (float("inf"), float("-inf"))]:
        raise ValueError(f"got {infinite[0]}, which is not finite")
    return numbers


def _share(values: "pd.Series") -> "pd.Series":
    numbers = _number(values)
    if outside := [value for value in numbers.tolist() if value < 0 or value > 1]:
        raise ValueError(f"it goes from 0 to 1, and got {outside[0]:g}")
    return numbers


_TYPED: dict[str, "Callable[[pd.Series], pd.Series]"] = {
    "text": _text,
    "number": _number,
    "share": _share,
    "count": lambda values: values.astype("Int64"),
}


def _filled(values: "pd.Series") -> "pd.Series":
    return values.notna() & (values.astype("str").str.strip() != "")


def _has(frame: "pd.DataFrame", field: str) -> "pd.Series":
    """Whether each row has a value in a column, or in one of several joined by "or"."""
    first, *others = field.split(" or ")
    filled = _filled(frame[first])
    for other in others:
        filled |= _filled(frame[other])
    return filled


def _named(frame: "pd.DataFrame", row: int, table: Table) -> str:
    return ", ".join(f"{column}={frame[column][row]}" for column in table.key)


def _metrics() -> list[str]:
    from hf_transferability.metrics import all_metrics

    return list(all_metrics())


def _pool_relative() -> list[str]:
    """Metrics whose score exists only over a pool."""
    from hf_transferability.metrics import all_metrics

    return [name for name, metric in all_metrics().items() if metric.is_pool_relative]
