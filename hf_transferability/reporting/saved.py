"""Rankings that were saved as JSON."""

import json
from pathlib import Path
from typing import Any

from hf_transferability.benchmark.ranking_schema import check_ranking
from hf_transferability.errors import UsageError

RANKING = "ranking.json"  # in the folders of `choose` and `demo --keep`


def find_ranking(path: str | Path) -> Path:
    """The file of a saved ranking: the path itself, or in a folder such as `choose` and `demo` write its ranking.json.

    Raises:
        UsageError: a folder without one.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if not (path / RANKING).is_file():
        raise UsageError(f"{path} is a folder without ranking.json. Name a ranking that was saved with --output FILE.json.")
    return path / RANKING


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
    check_ranking(document, str(path))
    return document
