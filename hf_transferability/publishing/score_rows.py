"""A ranking as rows of the table `scores`, with provenance."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark import tables
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def scores(ranking: Mapping[str, Any], benchmark: str, origin: str = "the ranking") -> "pd.DataFrame":
    """One row per candidate and metric; a failed candidate has rows only for the metrics with a value, one that a race has
    dropped none, as its numbers are those of fewer images.

    Hub ids are kept. A local folder is called by its name without its path, which is private, and the first digits of the
    sha256 of its content, as many people have a folder called `best`.

    Args:
        ranking: `Ranking.to_dict()`, or the JSON document of `Ranking.save`.
        benchmark: the set of results to which the rows will belong.
        origin: where the ranking comes from, for errors.

    Raises:
        UsageError: not a ranking, a ranking without provenance (of arrays in files, or by an older version of this package),
            or a repeated candidate.
    """
    import pandas as pd

    try:
        dataset = _dataset_columns(ranking["dataset"]) | {"benchmark": benchmark, "scenario": ranking["scenario"]}
        rows = [
            dataset | row
            for candidate in ranking["rows"]
            if has_scores(candidate, ranking["metric_versions"]) and candidate.get("dropped_at") is None
            for row in _candidate_rows(candidate, ranking)
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{origin} must be a ranking that this version saved as JSON ({error!r}). Rank again.") from error
    if not rows:
        return tables.check_provenance(pd.DataFrame(columns=list(tables.TABLES["scores"].columns)), "scores", origin)
    return tables.check_provenance(pd.DataFrame(rows), "scores", origin)


def read(path: str | Path, benchmark: str) -> "pd.DataFrame":
    """The rows of a ranking that was saved as JSON; see `scores`.

    Raises:
        UsageError: a file that is missing or has other content.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Save the ranking again.") from error
    return scores(document, benchmark, str(path))


def has_scores(row: Mapping[str, Any], metrics: Iterable[str]) -> bool:
    """Whether a candidate of a ranking has a score to publish; one metric may have failed while others did not."""
    return row["error"] is None or any(row.get(name) is not None for name in metrics)


def _folder_name(path: str) -> str:
    return os.path.basename(os.path.abspath(os.path.expanduser(path)))


def _dataset_columns(dataset: Mapping[str, Any]) -> dict[str, Any]:
    on_hub = dataset.get("revision") is not None
    name = str(dataset["id"])
    if not on_hub:
        # "(in memory)" and "(files)" are not names; without a name, such rows are refused later.
        name = "" if name.startswith("(") else _folder_name(name)
    return {
        "target": name,
        "dataset": name or None,
        "dataset_config": dataset.get("config"),
        "dataset_revision": dataset.get("revision"),
        "dataset_fingerprint": dataset.get("fingerprint"),
        "split": dataset.get("split"),
        "sample_size": dataset.get("images"),
        "draw": _draw(dataset),
        "sample_seed": dataset.get("seed"),
    }


def _draw(dataset: Mapping[str, Any]) -> str | None:
    """How the images were drawn, with the number of groups and the name of their column, but never the groups' names."""
    draw, groups = dataset.get("draw"), dataset.get("groups")
    return f"{draw}, in turn over {groups} groups ({dataset['group_column']})" if groups else draw


def source(row: Mapping[str, Any]) -> str:
    """What a candidate of a ranking is called in the column `source`."""
    name, revision = str(row["checkpoint"]), str(row["revision"])
    is_local = revision.startswith("sha256:")
    return f"{_folder_name(name)}@{revision.removeprefix('sha256:')[:8]}" if is_local else name


def _candidate_rows(row: Mapping[str, Any], ranking: Mapping[str, Any]) -> list[dict[str, Any]]:
    name, revision = str(row["checkpoint"]), str(row["revision"])
    on_hub = not revision.startswith("sha256:")
    checkpoint = name.partition("@")[0] if on_hub else _folder_name(name)
    window = ranking["dataset"].get("window")
    preprocessing = [row.get("preprocessing"), f"window {window[0]:g}..{window[1]:g}" if window else None]
    batches = f"gradient batches: {row['batches']}" if row.get("batches") else None
    versions = ranking["versions"] | {package: row[package] for package in ("torch", "transformers") if row.get(package)}
    shared = {
        "source": source(row),
        "flags": ";".join(row["flags"]) or None,
        "checkpoint": checkpoint,
        "checkpoint_revision": revision,
        "preprocessing": "; ".join(filter(None, [*preprocessing, batches])) if preprocessing[0] else None,
        "versions": "; ".join(f"{package} {number}" for package, number in sorted(versions.items())),
        "hardware": row.get("hardware"),
        "date": row.get("date"),
    }
    return [
        shared | _metric_columns(row, metric, version, ranking)
        for metric, version in ranking["metric_versions"].items()
        if row["error"] is None or row.get(metric) is not None  # an empty score would mean "undefined", not "failed"
    ]  # fmt: skip


def _metric_columns(row: Mapping[str, Any], name: str, version: int, ranking: Mapping[str, Any]) -> dict[str, Any]:
    from hf_transferability.metrics import get_metric

    metric = get_metric(name)
    low, high = row["intervals"].get(name) or (None, None)
    return {
        "metric": name,
        "variant": row["variant"] if row["variant"] in metric.variants else "default",
        "score": row.get(name),
        "interval_low": low,
        "interval_high": high,
        "metric_version": version,
        "pool": _pool(ranking, name) if metric.is_pool_relative else None,
    }


def _pool(ranking: Mapping[str, Any], name: str) -> str:
    """A name for the set of candidates over which a metric was scaled, those with a value.

    Of those that a race has dropped the pool holds estimates, so it is another one than that of a ranking without a race.
    """
    rows = [row for row in ranking["rows"] if row.get(name) is not None]
    dropped = [row for row in rows if row.get("dropped_at") is not None]
    members = sorted([str(row["revision"]) for row in rows] + [f"dropped {row['revision']}" for row in dropped])
    count = f"{len(rows)} candidates" + (f" ({len(dropped)} dropped by a race)" if dropped else "")
    return f"{count}, {hashlib.sha256(chr(10).join(members).encode()).hexdigest()[:12]}"
