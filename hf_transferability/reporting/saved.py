"""Rankings that were saved as JSON."""

import json
from pathlib import Path
from typing import Any

from hf_transferability.errors import UsageError

_NEEDED = ("dataset", "scenario", "metric", "rows")


def read_ranking(path: str | Path) -> dict[str, Any]:
    """The document of a ranking that `rank`, `score` or `Ranking.save` wrote as .json.

    Raises:
        UsageError: no such file, or not a ranking.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Save the ranking with --output FILE.json.") from error
    if not isinstance(document, dict) or any(not document.get(name) for name in _NEEDED):
        raise UsageError(f"{path} must be a ranking saved as .json; got something else. Save it with --output FILE.json.")
    return document
