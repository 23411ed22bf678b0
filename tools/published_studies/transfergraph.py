"""Li et al. 2024 (TransferGraph): 180 checkpoints of the Hub, fine-tuned on 13 targets; no scores."""

from pathlib import Path
from typing import Any

import pandas as pd

from tools.published_studies import backbones
from tools.published_studies.writing import frame

FILE = "transfergraph.csv"
PUBLISHED = {
    "citation": "Li, van der Wilk, Zhan, Khosla, Bozzon, Hai 2024: Model Selection with Model Zoo via Graph Learning "
    "(TransferGraph), ICDE 2024, arXiv 2404.03988",
    "date": "2024",
}
# Classes, kind of images, and what they show.
TARGETS = {
    "caltech101": (102, "natural", "natural photographs"),
    "cifar100": (100, "natural", "natural photographs"),
    "diabetic_retinopathy_detection": (5, "medical", "fundus photography"),
    "dtd": (47, "natural", "textures"),
    "eurosat": (10, "other", "satellite images"),
    "flowers": (102, "natural", "natural photographs"),
    "food101": (101, "natural", "natural photographs"),
    "kitti": (None, "natural", "street scenes"),
    "pets": (37, "natural", "natural photographs"),
    "smallnorb_label_azimuth": (18, "other", "photographs of toys"),
    "smallnorb_label_elevation": (9, "other", "photographs of toys"),
    "stanfordcars": (196, "natural", "natural photographs"),
    "svhn": (10, "natural", "house numbers in street scenes"),
}

NOTES = {"food101": "110 of 112 checkpoints end at chance (0.0099)"}


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    given = pd.read_csv(folder / FILE)
    truth = pd.DataFrame({"source": given.model, "target": given.dataset, "performance": given.test_accuracy})
    truth = truth.assign(scenario="architecture", selection="as_published", measure="accuracy", n_runs=1)
    sizes = backbones.known()
    sources = [_source(row, sizes) for row in given.drop_duplicates("model").to_dict("records")]
    targets = [
        {"target": name, "domain": domain, "classes": classes, "modality": modality, "note": NOTES.get(name)}
        for name, (classes, domain, modality) in TARGETS.items()
    ]
    frames = {"ground_truth": truth, "sources": frame(sources), "targets": frame(targets)}
    frames = {name: table.assign(**PUBLISHED) for name, table in frames.items()}
    frames["sources"]["citation"] += "; parameters without head, feature widths and classes derived from its counts"
    return frames


def _source(row: dict[str, Any], sizes: "dict[str, dict[str, tuple[backbones.Size, int]]]") -> dict[str, Any]:
    facts = {
        "source": row["model"],
        "checkpoint": row["model"],
        "note": f"pre-trained on {row['pretrain_dataset']}, as the study says",
    }
    if pd.isna(row["number_of_parameters"]):
        return facts
    backbone = backbones.take_apart(row["model_type"], int(row["number_of_parameters"]), sizes)
    size = {"parameters": backbone.size.parameters, "feature_width": backbone.size.feature_width}
    return {**facts, **size, "architecture": backbone.architecture, "classes": backbone.classes}
