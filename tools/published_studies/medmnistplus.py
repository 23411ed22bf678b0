"""Doerrich et al. 2025: the 12 targets of MedMNIST+ at 224 px, 10 checkpoints, fine-tuned, linear probe and k-NN."""

from pathlib import Path

import pandas as pd

from tools.published_studies.networks import timm_size, timm_top1, torchvision_size, torchvision_top1
from tools.published_studies.writing import frame

FILE = "medmnistplus.csv"
PUBLISHED = {
    "citation": "Doerrich, Di Salvo, Brockmann, Ledig 2025: Rethinking model prototyping through the MedMNIST+ dataset "
    "collection, Scientific Reports, arXiv 2404.15786",
    "date": "2025",
}
SEEDS = 3
# The source loads each network by this name from timm, in a version of 0.9 or later, as one name has a tag; the weights are
# those that timm loads for the name by default.
TAGS = {
    "vgg16": "tv_in1k",
    "resnet18": "a1_in1k",
    "densenet121": "ra_in1k",
    "efficientnet_b4": "ra2_in1k",
    "vit_base_patch16_224": "augreg2_in21k_ft_in1k",
    "vit_base_patch16_clip_224": "laion2b_ft_in12k_in1k",
    "eva02_base_patch16_clip_224": "merged2b",
    "vit_base_patch16_224.dino": "",
    "samvit_base_patch16": "sa1b",
}
FROM_TORCHVISION = "alexnet"
WITHOUT_IMAGENET_HEAD = ("eva02_base_patch16_clip_224", "vit_base_patch16_224.dino", "samvit_base_patch16")
# Classes, and what the images show.
TARGETS = {
    "bloodmnist": (8, "blood cell microscopy"),
    "breastmnist": (2, "breast ultrasound"),
    "chestmnist": (14, "chest X-ray"),
    "dermamnist": (7, "dermatoscopy"),
    "octmnist": (4, "retinal OCT"),
    "organamnist": (11, "abdominal CT (axial)"),
    "organcmnist": (11, "abdominal CT (coronal)"),
    "organsmnist": (11, "abdominal CT (sagittal)"),
    "pathmnist": (9, "colorectal histology"),
    "pneumoniamnist": (2, "chest X-ray"),
    "retinamnist": (5, "fundus photography"),
    "tissuemnist": (8, "kidney cortex microscopy"),
}


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    given = pd.read_csv(folder / FILE)
    given = given.assign(source=given.model, target=given.dataset, scenario="architecture")
    pair = ["scenario", "source", "target"]
    tuned = given[given.scheme == "endToEnd"]
    truth = [
        tuned[pair].assign(
            selection="mean_of_3_seeds", measure=measure, performance=tuned[column] / 100,
            performance_sd=tuned[f"{column}_std"] / 100, n_runs=SEEDS,
        )
        for column, measure in (("auc", "auc"), ("acc", "accuracy"))
    ]  # fmt: skip
    probe, neighbours = given[given.scheme == "linearProbing"], given[given.scheme == "kNN"]
    scores = [
        probe[pair].assign(metric="linear_probe", score=probe.auc / 100),
        neighbours[pair].assign(metric="knn", score=neighbours.acc / 100),
    ]
    frames = {
        "ground_truth": pd.concat(truth), "scores": pd.concat(scores).assign(variant="published"),
        "sources": _sources(folder),
        "targets": frame(
            {"target": name, "domain": "medical", "classes": classes, "modality": modality}
            for name, (classes, modality) in TARGETS.items()
        ),
    }  # fmt: skip
    frames = {name: table.assign(**PUBLISHED) for name, table in frames.items()}
    frames["sources"]["citation"] += (
        "; parameters and feature widths counted in timm and torchvision, ImageNet top-1 as timm and torchvision publish it"
    )
    return frames


def _sources(folder: Path) -> pd.DataFrame:
    ids = {name: f"{name}.{tag}" if tag else name for name, tag in TAGS.items()}
    top1 = timm_top1(folder, [weights for name, weights in ids.items() if name not in WITHOUT_IMAGENET_HEAD])
    rows = []
    for name, weights in ids.items():
        size = timm_size(name.partition(".")[0])
        rows.append(
            {
                "source": name, "checkpoint": f"timm/{weights}", "architecture": name.partition(".")[0],
                "parameters": size.parameters, "feature_width": size.feature_width, "imagenet_top1": top1.get(weights),
                "note": None if name in ("vgg16", "vit_base_patch16_224.dino") else "weights: timm's default for the name",
            }
        )  # fmt: skip
    size = torchvision_size(FROM_TORCHVISION)
    rows.append(
        {
            "source": FROM_TORCHVISION, "architecture": FROM_TORCHVISION, "parameters": size.parameters,
            "feature_width": size.feature_width, "imagenet_top1": torchvision_top1(FROM_TORCHVISION),
            "note": "torchvision's weights, which have no twin in timm",
        }
    )  # fmt: skip
    return frame(rows, channels=3)
