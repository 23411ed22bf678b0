"""Pools of candidates by name: a file of ids, a group of the catalogue, or an expression over it.

candidates.txt                      one id or folder a line, # begins a comment; or the JSON of `candidates` or of a ranking
medical                             the curated checkpoints of that domain
timm:params<30M,top=12              timm's checkpoints below 30 million parameters, the 12 with the best ImageNet top-1
timm:params<30M,licence=apache-2.0,search=vit,task=...,for=general,top=5
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_transferability.catalogue.entries import Entry, bundled
from hf_transferability.catalogue.filters import AUDIENCES, Filters, count, select
from hf_transferability.errors import UsageError, nearest, unknown_name

SOURCES = ("timm", "transfergraph", "curated")
MOST_BYTES = 10_000_000  # of a file of ids
_KEYS = ("params", "top", "licence", "search", "task", "for")
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|<|=)\s*(.+?)\s*")


def pool(name: str) -> list[str]:
    """The ids that a pool's name stands for.

    Args:
        name: path of a file, one of `AUDIENCES` for the curated checkpoints, or SOURCE:CONDITION,CONDITION,... .

    Raises:
        UsageError: no such pool, or an empty one.
    """
    source, colon, conditions = name.partition(":")
    if colon and source in SOURCES:
        ids = [entry.id for entry in _expression(source, conditions)]
    elif name in AUDIENCES:
        ids = [entry.id for entry in select(bundled(), Filters(audience=name, source="curated")).entries]
    elif Path(name).is_file():
        ids = _from_file(Path(name))
    else:
        raise UsageError(
            f"`--candidates` {name!r} is no file, no group ({', '.join(AUDIENCES)}) and no expression such as "
            f"timm:params<30M,top=12. {_hint(source, colon)}"
        )
    if not ids:
        raise UsageError(f"`--candidates` {name!r} names no checkpoint. Put one id or folder on each line.")
    return list(dict.fromkeys(ids))


def candidates(checkpoints: Sequence[str], pools: Sequence[str]) -> list[str]:
    """Checkpoints named one by one, and those of pools that are not among them, each once.

    One that is named twice is here twice: `rank` leaves it out and says so.

    Raises:
        UsageError: nothing is named at all.
    """
    of_pools = dict.fromkeys(checkpoint for name in pools for checkpoint in pool(name))
    ids = [*checkpoints, *(checkpoint for checkpoint in of_pools if checkpoint not in checkpoints)]
    if not ids:
        raise UsageError("No candidates: name checkpoints, or a pool such as `--candidates medical`.")
    return ids


def _hint(source: str, colon: str) -> str:
    known = SOURCES if colon else AUDIENCES
    if meant := nearest(source, known):
        return f"Did you mean {meant}{colon}?"
    if colon:
        return f"Sources: {', '.join(SOURCES)}."
    return "See `hf-transferability candidates`."


def _expression(source: str, conditions: str) -> list[Entry]:
    values: dict[str, str] = {}
    written: dict[str, str] = {}
    for condition in filter(None, conditions.split(",")):
        match = _CONDITION.fullmatch(condition)
        if not match or (match[2] == "=") == (match[1] == "params"):
            raise UsageError(
                f"`--candidates` has the condition {condition!r}; write it like params<30M, top=12 or licence=mit."
            )
        if match[1] not in _KEYS:
            raise UsageError(unknown_name("--candidates", match[1], _KEYS))
        if match[1] in values:
            either = " Several licences are licence=mit|apache-2.0." if match[1] == "licence" else ""
            raise UsageError(f"`--candidates` has more than one condition for {match[1]}: leave one.{either}")
        values[match[1]] = match[3]
        written["--max-params" if match[1] == "params" else f"--{match[1]}"] = condition.strip()
    try:
        filters = Filters(
            audience=values.get("for"),
            max_params=count(values["params"]) if "params" in values else None,
            licences=values["licence"].split("|") if "licence" in values else (),
            task=values.get("task"),
            search=values.get("search"),
            source=source,
        )
        top = _whole(values["top"]) if "top" in values else None
    except ValueError as error:
        raise UsageError(f"`--candidates` {error}. Correct it.") from None
    entries = select(bundled(), filters, written).entries
    if top is None:
        return entries
    return sorted(entries, key=lambda entry: -(entry.imagenet_top1 or 0.0))[:top]


def _whole(text: str) -> int:
    """The number of `top=`.

    Raises:
        ValueError: no such number.
    """
    if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
        raise ValueError(f"top must be 1 or more; got {text!r}")
    return int(text)


def _from_file(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"`--candidates` {path.name} has more than 10 MB, so it is no list of ids. Name another file.")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`--candidates` {path.name} cannot be read: {type(error).__name__}. Name a text file.") from None
    if text.lstrip()[:1] in ("[", "{"):
        return _from_json(text, path.name)
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    ids = [line.split()[0] if "/" in line and not Path(line).exists() else line for line in lines if line]
    return ids


def _from_json(text: str, name: str) -> list[str]:
    """Ids of a list of texts, of `candidates --format json`, or of a saved ranking."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"`--candidates` {name} is no valid JSON. Put one id on each line instead.") from None
    rows = document.get("rows") if isinstance(document, dict) else document
    ids = [row if isinstance(row, str) else _id(row) for row in rows] if isinstance(rows, list) else [None]
    if not all(isinstance(identifier, str) and identifier for identifier in ids):
        raise UsageError(f"`--candidates` {name} holds no list of ids and no ranking. Put one id on each line instead.")
    return [str(identifier) for identifier in ids]


def _id(row: Any) -> Any:
    return row.get("id") or row.get("checkpoint") if isinstance(row, dict) else None
