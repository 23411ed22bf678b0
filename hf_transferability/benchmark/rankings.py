"""A ranking as rows of the table `scores`, with where each comes from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark import tables
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def scores(ranking: Mapping[str, Any], benchmark: str, origin: str = "the ranking") -> "pd.DataFrame":
    """One row per candidate and metric; candidates that failed have none.

    A Hub id stands as it was given. Of a local folder only the name is kept, as its path is nobody's business, beside the
    sha256 of its content.

    Args:
        ranking: `Ranking.to_dict()`, or what `Ranking.save` wrote as JSON.
        benchmark: the set of results that the rows shall belong to.
        origin: for errors.

    Raises:
        UsageError: not a ranking, one without provenance (of arrays in files, or of an older version of this package), or two
            local folders of one name.
    """
    import pandas as pd

    try:
        shared = _of_dataset(ranking["dataset"]) | {"benchmark": benchmark, "scenario": ranking["scenario"]}
        rows = [
            shared | row
            for each in ranking["rows"]
            if each["error"] is None
            for row in _of_candidate(each, ranking, shared["dataset"])
        ]
    except (KeyError, TypeError) as error:
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


def _of_dataset(where: Mapping[str, Any]) -> dict[str, Any]:
    on_hub = where.get("revision") is not None
    name = str(where["id"])
    if not on_hub:
        # "(in memory)" and "(files)" are no names, so such rows are refused as lacking their dataset.
        name = "" if name.startswith("(") else Path(name).expanduser().resolve().name
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
    source = given if on_hub else Path(given).expanduser().resolve().name
    window = ranking["dataset"].get("window")
    preprocessing = [row.get("preprocessing"), f"window {window[0]:g}..{window[1]:g}" if window else None]
    batches = f"gradient batches: {row['batches']}" if row.get("batches") else None
    versions = ranking["versions"] | {name: row[name] for name in ("torch", "transformers") if row.get(name)}
    shared = {
        "source": source,
        "flags": ";".join(row["flags"]) or None,
        "checkpoint": source.partition("@")[0] if on_hub else source,
        "checkpoint_revision": revision,
        "preprocessing": "; ".join(filter(None, [*preprocessing, batches])) if preprocessing[0] else None,
        "versions": "; ".join(f"{name} {number}" for name, number in sorted(versions.items())),
        "hardware": row.get("hardware"),
        "date": row.get("date"),
    }
    return [
        shared | _of_metric(row, name, version, ranking)
        for name, version in ranking["metric_versions"].items()
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
        "pool": _pool(ranking) if metric.combine is not None else None,
    }


def _pool(ranking: Mapping[str, Any]) -> str:
    """A name for the candidates that were scored together."""
    members = sorted(str(row["revision"]) for row in ranking["rows"] if row["error"] is None)
    return f"{len(members)} candidates, {hashlib.sha256(chr(10).join(members).encode()).hexdigest()[:12]}"
