"""The bundled catalogue: checkpoints with what is known of them; data/README.md says where each fact comes from."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
# What the images of pre-training show. "medical" in a filter stands for every one but "general".
DOMAINS = ("general", "pathology", "radiology", "ophthalmology", "dermatology", "biomedical")
MEDICAL = DOMAINS[1:]


@dataclass(frozen=True)
class Entry:
    """One checkpoint; None stands for what is unknown.

    Attributes:
        id: Hub id.
        source: "timm", "transfergraph", "curated" or "hub".
        domain: what it was pre-trained on, one of `DOMAINS`.
        task: the Hub's name of its task, such as "image-classification".
        parameters: number of parameters without the classification head.
        image_size: side of its input images in pixels.
        licence: the Hub's name of its licence.
        gated: whether its files need an accepted agreement.
        format: how its files are laid out: "timm", "transformers" or "open_clip".
        imagenet_top1: top-1 accuracy on ImageNet-1k in percent.
        downloads: in the last 30 days.
        verified: where the facts come from, and when.
    """

    id: str
    source: str
    domain: str | None = None
    task: str | None = None
    parameters: int | None = None
    image_size: int | None = None
    licence: str | None = None
    gated: bool | None = None
    format: str | None = None
    imagenet_top1: float | None = None
    downloads: int | None = None
    verified: str | None = None

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        """The fields as a JSON object."""
        return asdict(self)


@lru_cache(maxsize=1)
def bundled() -> tuple[Entry, ...]:
    """All bundled checkpoints, each id once: the curated ones first, then timm's by ImageNet top-1, then transfergraph's."""
    return tuple(merged([*_read("curated.csv"), *_read("timm.csv"), *_read("transfergraph.csv")]))


def merged(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with each id once: what the first one of an id does not know is taken from the later ones."""
    by_id: dict[str, Entry] = {}
    for entry in entries:
        first = by_id.setdefault(entry.id.lower(), entry)
        missing = {field.name: getattr(entry, field.name) for field in fields(Entry) if getattr(first, field.name) is None}
        by_id[entry.id.lower()] = replace(first, **missing)
    return list(by_id.values())


def _read(name: str) -> list[Entry]:
    """The entries of a bundled table; an empty cell is unknown."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return [Entry(source=name.removesuffix(".csv"), **_facts(row)) for row in csv.DictReader(file)]


def _facts(row: dict[str, str]) -> dict:
    numbers: dict[str, Callable[[str], Any]] = {
        "parameters": int,
        "image_size": int,
        "imagenet_top1": float,
        "gated": "yes".__eq__,
    }
    return {name: numbers.get(name, str)(text) for name, text in row.items() if text}
