"""A dataset may name only its own files: URLs, absolute paths and ".." are refused before `datasets` follows them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from hf_transferability import hub
from hf_transferability.errors import TargetError

CARDS = ("README.md", ".huggingface.yaml")
_LARGEST_CARD = 16 * 2**20  # bytes
_LONGEST_PATH = 4096  # characters; no system opens longer ones, and matching them as patterns takes minutes
_MOST_ENTRIES = 1_000_000  # of a card, with those of an anchor each time that it is used
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_PATH_KEYS = ("data_files", "data_dir", "path", "base_path")


def is_own_path(text: str) -> bool:
    """Whether a text is a path, or a pattern of paths, below the dataset's own folder."""
    if len(text) > _LONGEST_PATH:
        return False
    plain = text.strip().replace("\\", "/")
    return not (
        "::" in plain or "://" in plain or _SCHEME.match(plain) or plain.startswith(("/", "~")) or ".." in plain.split("/")
    )


def check_own_path(text: str, where: str, remedy: str = "Correct it, or choose another dataset.") -> None:
    """Refuse a path that leads out of the dataset.

    Args:
        text: the path or pattern.
        where: the file that names it.
        remedy: the end of the message.

    Raises:
        TargetError: names the file, and the path if it is short.
    """
    if not is_own_path(text):
        shown = repr(text) if len(text) <= 120 else f"a text of {len(text)} characters"
        raise TargetError(f"{where} names a file outside the dataset: {shown}. {remedy}")


def check_cards(folder: Path) -> None:
    """Refuse a local dataset whose card names files elsewhere.

    Raises:
        TargetError: names the card and the path.
    """
    for name in CARDS:
        if (folder / name).is_file():
            check_card(folder / name)


def has_configurations(folder: Path) -> bool:
    """Whether a card of a local folder describes its data, so that `datasets` must read it."""
    return any(_describes(_content(folder / name)) for name in CARDS if (folder / name).is_file())


def _describes(content: dict[str, Any]) -> bool:
    return any(content.get(key) for key in ("configs", "dataset_info"))


def check_hub_cards(repo_id: str, commit: str | None, token: str | None) -> bool:
    """Refuse a Hub dataset whose card names files elsewhere; whether a card describes its data.

    Raises:
        TargetError: names the card and the path.
        Exception: the client's error, for `hub.explain`.
    """
    described = False
    for name in CARDS:
        try:
            path = hub.call(hf_hub_download, repo_id, name, repo_type="dataset", revision=commit, token=token)
        except LocalEntryNotFoundError as error:
            if hub.is_connection_error(error) and not constants.HF_HUB_OFFLINE:
                raise
            continue  # offline: what is not cached cannot be followed either
        except EntryNotFoundError:
            continue
        check_card(Path(path))
        described = described or _describes(_content(Path(path)))
    return described


def check_card(path: Path) -> None:
    """Refuse a card that names files elsewhere in its configurations.

    Raises:
        TargetError: such a path, or a card that cannot be read.
    """
    content = _content(path)
    for text in _paths(content.get("configs"), everything=True):
        check_own_path(text, path.name)
    for text in _paths({key: content[key] for key in _PATH_KEYS if key in content}):
        check_own_path(text, path.name)


def _content(path: Path) -> dict[str, Any]:
    """The YAML of a card; empty without any."""
    if path.stat().st_size > _LARGEST_CARD:
        raise TargetError(f"{path.name} must have at most {_LARGEST_CARD >> 20} MiB. Shorten the dataset's card.")
    try:
        text = path.read_text("utf-8", errors="replace")
        if path.name == "README.md":
            block = re.match(r"\s*---[^\S\n]*\n(.*?)\n---[^\S\n]*(\n|$)", text, re.DOTALL)
            text = block.group(1) if block else ""
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TargetError(f"{path.name} has a head that is no YAML. Correct the dataset's card.") from error
    if not isinstance(content, dict):
        return {}
    _check_size(content, path.name)
    return content


def _check_size(content: Any, where: str) -> None:
    """Refuse YAML whose anchors hold themselves, or each other so often that reading all of it would never end."""
    waiting, entries = [content], 0
    while waiting:
        value = waiting.pop()
        entries += 1
        if entries > _MOST_ENTRIES:
            raise TargetError(f"{where} has a head of more than {_MOST_ENTRIES} entries. Correct the dataset's card.")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value


def _paths(value: Any, *, everything: bool = False, of_path: bool = False) -> Iterator[str]:
    """Texts below keys that hold paths; with `everything` also others that have the form of a URL."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, everything=everything, of_path=of_path or str(key) in _PATH_KEYS)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item, everything=everything, of_path=of_path)
    elif isinstance(value, str) and (of_path or (everything and ("://" in value or "::" in value))):
        yield value


def check_state(folder: Path) -> None:
    """Refuse a `save_to_disk` folder whose state names files elsewhere, or that is damaged.

    Raises:
        TargetError: names the file and the path.
    """
    for state in sorted({*folder.glob("state.json"), *folder.glob("*/state.json")}):
        try:
            content = json.loads(state.read_text("utf-8"))
            names = [str(part["filename"]) for part in content["_data_files"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise TargetError(
                f"{state.parent.name}/state.json is damaged. Save the dataset again by `save_to_disk`."
            ) from error
        for name in names:
            check_own_path(name, "state.json")
            if "/" in name or not (state.parent / name).is_file():
                raise TargetError(
                    f"state.json names {name[:120]!r}, which is missing. Save the dataset again by `save_to_disk`."
                )
