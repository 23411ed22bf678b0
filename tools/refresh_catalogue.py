"""Make the generated tables of the bundled catalogue: `python tools/refresh_catalogue.py TIMM_RESULTS.csv`.

The file is timm's results/results-imagenet.csv. Licences, ids and parameters come from the installed timm, whose networks are
built without weights, and the checkpoints of transfergraph from the bundled benchmark. curated.csv is written by hand.
"""

import csv
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import timm
import torch
from timm.models import get_pretrained_cfg, is_model_pretrained

from hf_transferability.benchmark.bundled import load
from hf_transferability.catalogue.entries import DATA

COLUMNS = ("id", "domain", "task", "parameters", "image_size", "licence", "gated", "format", "imagenet_top1", "verified")
_UNKNOWN_LICENCES = {"unknown", "", None}


@cache
def parameters(architecture: str) -> int:
    """Number of parameters of a timm architecture without its classification head."""
    with torch.device("meta"):
        network = timm.create_model(architecture, pretrained=False, num_classes=0)
    return sum(parameter.numel() for parameter in network.parameters())


def from_timm(results: Path) -> Iterator[dict[str, object]]:
    """timm's checkpoints with ImageNet results that have a copy on the Hub, by falling accuracy.

    The file has several image sizes of some checkpoints: the one that the checkpoint is loaded with is taken.
    """
    with results.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if is_model_pretrained(row["model"])]
    chosen: dict[str, dict[str, str]] = {}
    for row in rows:
        size = get_pretrained_cfg(row["model"]).input_size[-1]  # type: ignore[union-attr]
        if row["model"] not in chosen or int(row["img_size"]) == size:
            chosen[row["model"]] = row
    for model, row in sorted(chosen.items(), key=lambda item: -float(item[1]["top1"])):
        facts = get_pretrained_cfg(model)
        if facts is None or not facts.hf_hub_id:
            continue
        yield {
            "id": facts.hf_hub_id,
            "domain": "general",
            "task": "image-classification",
            "parameters": parameters(model),
            "image_size": int(row["img_size"]),
            "licence": None if facts.license in _UNKNOWN_LICENCES else facts.license,
            "format": "timm",
            "imagenet_top1": row["top1"],
            "verified": f"registry of timm {timm.__version__}; top-1 of its results-imagenet.csv, August 2026",
        }


def from_transfergraph() -> Iterator[dict[str, object]]:
    """The checkpoints that transfergraph fine-tuned."""
    sources = load("sources", "transfergraph")
    for row in sources.itertuples():
        yield {
            "id": row.checkpoint,
            "task": "image-classification",
            "parameters": None if pd.isna(row.parameters) else int(row.parameters),
            "format": "transformers",
            "verified": "listed by TransferGraph (ICDE 2024); whether it is still on the Hub is unknown",
        }


def write(name: str, rows: Iterator[dict[str, object]]) -> None:
    """Write one table of the catalogue."""
    with (DATA / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        n_rows = 0
        for row in rows:
            writer.writerow(row)
            n_rows += 1
    print(f"wrote {n_rows} checkpoints to {name}")


def main() -> None:
    """Write both tables."""
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/refresh_catalogue.py TIMM_RESULTS.csv")
    write("timm.csv", from_timm(Path(sys.argv[1])))
    write("transfergraph.csv", from_transfergraph())


if __name__ == "__main__":
    main()
