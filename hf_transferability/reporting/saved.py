"""Rankings that were saved as JSON."""

import json
from pathlib import Path
from typing import Any

from hf_transferability.errors import UsageError
from hf_transferability.metrics import all_metrics

_OF_A_ROW = (
    "rank", "checkpoint", "score", "flags", "error", "n_features", "parameters", "licence", "revision", "seconds",
)  # fmt: skip
_NEEDED = ("dataset", "scenario", "metric", "rows")


def read_ranking(path: str | Path) -> dict[str, Any]:
    """The document of a ranking that `rank`, `score` or `Ranking.save` wrote as .json.

    Raises:
        UsageError: no such file, or not a ranking.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}. Name a ranking that was saved with --output FILE.json.")
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} must be a ranking saved as .json; it is no JSON. Save it with --output FILE.json.") from error
    if not _is_ranking(document):
        raise UsageError(f"{path} must be a ranking saved as .json; got something else. Save it with --output FILE.json.")
    return document


def _is_ranking(document: Any) -> bool:
    """Whether a document has what tables, pictures and pages need of a ranking."""
    if not isinstance(document, dict) or any(not document.get(name) for name in _NEEDED):
        return False
    dataset, rows = document["dataset"], document["rows"]
    if not isinstance(dataset, dict) or not isinstance(rows, list) or document["metric"] not in all_metrics():
        return False
    return all(isinstance(row, dict) and set(_OF_A_ROW) <= set(row) and isinstance(row["flags"], list) for row in rows)
