"""A ranking as rows of the table `scores`, with where each comes from."""

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
    """One row per candidate and metric; a candidate that failed has one for each metric of which it has a value.

    A Hub id stands as it was given. Of a local folder only the name is kept, as its path is nobody's business, beside the
    sha256 of its content: the first digits in the source's name, as everybody has a folder called `best`.

    Args:
        ranking: `Ranking.to_dict()`, or what `Ranking.save` wrote as JSON.
        benchmark: the set of results that the rows shall belong to.
        origin: for errors.

    Raises:
        UsageError: not a ranking, one without provenance (of arrays in files, or of an older version of this package), or a
            candidate that is there twice.
    """
    import pandas as pd

    try:
        shared = _of_dataset(ranking["dataset"]) | {"benchmark": benchmark, "scenario": ranking["scenario"]}
        rows = [
            shared | row
            for each in ranking["rows"]
            if has_scores(each, ranking["metric_versions"])
            for row in _of_candidate(each, ranking, shared["dataset"])
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{origin} must be a ranking that this version saved as JSON ({error!r}). Rank again.") from error
    if not rows:
        return tables.check_provenance(pd.DataFrame(columns=list(tables.TABLES["scores"].columns)), "scores", origin)
    return tables.check_provenance(pd.DataFrame(rows), "scores", origin)


def read(path: str | Path, benchmark: str) -> "pd.DataFrame":
    """The scores of a ranking that was saved as JSON; see `scores`.

    Raises:
        UsageError: no such file, or not such a ranking.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Save the ranking again.") from error
    return scores(document, benchmark, str(path))


def has_scores(row: Mapping[str, Any], metrics: Iterable[str]) -> bool:
    """Whether a candidate of a ranking has anything to publish: one that failed for one metric may have others."""
    return row["error"] is None or any(row.get(name) is not None for name in metrics)


def _folder_name(path: str) -> str:
    return os.path.basename(os.path.abspath(os.path.expanduser(path)))


def _of_dataset(where: Mapping[str, Any]) -> dict[str, Any]:
    on_hub = where.get("revision") is not None
    name = str(where["id"])
    if not on_hub:
        # "(in memory)" and "(files)" are no names, so such rows are refused as lacking their dataset.
        name = "" if name.startswith("(") else _folder_name(name)
    return {
        "target": name,
        "dataset": name or None,
        "dataset_config": where.get("config"),
        "dataset_revision": where.get("revision"),
        "dataset_fingerprint": where.get("fingerprint"),
        "split": where.get("split"),
        "sample_size": where.get("images"),
        "draw": where.get("draw"),
        "sample_seed": where.get("seed"),
    }


def _of_candidate(row: Mapping[str, Any], ranking: Mapping[str, Any], dataset: str | None) -> list[dict[str, Any]]:
    given, revision = str(row["checkpoint"]), str(row["revision"])
    on_hub = not revision.startswith("sha256:")
    checkpoint = given.partition("@")[0] if on_hub else _folder_name(given)
    window = ranking["dataset"].get("window")
    preprocessing = [row.get("preprocessing"), f"window {window[0]:g}..{window[1]:g}" if window else None]
    batches = f"gradient batches: {row['batches']}" if row.get("batches") else None
    versions = ranking["versions"] | {name: row[name] for name in ("torch", "transformers") if row.get(name)}
    shared = {
        "source": given if on_hub else f"{checkpoint}@{revision.removeprefix('sha256:')[:8]}",
        "flags": ";".join(row["flags"]) or None,
        "checkpoint": checkpoint,
        "checkpoint_revision": revision,
        "preprocessing": "; ".join(filter(None, [*preprocessing, batches])) if preprocessing[0] else None,
        "versions": "; ".join(f"{name} {number}" for name, number in sorted(versions.items())),
        "hardware": row.get("hardware"),
        "date": row.get("date"),
    }
    return [
        shared | _of_metric(row, name, version, ranking)
        for name, version in ranking["metric_versions"].items()
        if row["error"] is None or row.get(name) is not None  # where it failed, an empty score would say "undefined"
    ]  # fmt: skip


def _of_metric(row: Mapping[str, Any], name: str, version: int, ranking: Mapping[str, Any]) -> dict[str, Any]:
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
    """A name for the candidates over which a metric was scaled: those that have a value of it."""
    members = sorted(str(row["revision"]) for row in ranking["rows"] if row.get(name) is not None)
    return f"{len(members)} candidates, {hashlib.sha256(chr(10).join(members).encode()).hexdigest()[:12]}"
