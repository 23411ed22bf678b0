"""Chaves et al. 2024: 11 targets, 10 checkpoints of timm, two kinds of fine-tuned performance, 13 scores."""

from pathlib import Path

import pandas as pd

from tools.published_studies.networks import timm_size
from tools.published_studies.writing import frame

FILE = "chaves2024.csv"
PUBLISHED = {
    "citation": "Chaves, Valle, Bissoto, Avila 2024: Back to the Basics on Predicting Transfer Performance, arXiv 2405.20420",
    "date": "2024-05",
}
TRUTH = {"test_score": "as_published", "test_score_frozen": "frozen_as_published"}  # column -> selection
# Column -> metric and variant. The regularised H-score is the form that this package has as the default one.
SCORES = {
    "hscore": ("h_score", "published"),
    "reg_hscore": ("h_score", "default"),
    "etran_energy": ("etran", "published"),
    **{name: (name, "published") for name in
       ("nce", "leep", "nleep", "parc", "sfda", "logme", "gbc", "ncti", "pactran", "tmi")},
}  # fmt: skip
OVER_A_POOL = ("etran", "ncti")  # scaled by the source over its ten checkpoints, for each target
MEDICAL = {
    "brain_tumor_kaggle": "brain MRI",
    "breakhis": "breast histology",
    "skin_splits": "skin lesions (ISIC 2019)",
}
# An H-score is at most the number of classes less one; here the source has up to 45 for two classes.
BROKEN = [("h_score", "published", "vit_small_patch16_224", target) for target in MEDICAL]
# Names for which timm has had one set of weights only, up to the year of the study.
CERTAIN = {
    "densenet161": "tv_in1k",
    "densenet169": "tv_in1k",
    "efficientnet_b0": "ra_in1k",
    "mobilenetv2_050": "lamb_in1k",
    "mobilenetv2_100": "ra_in1k",
}
_UNCERTAIN = "which of timm's weights were run is not stated"
_OTHER_WEIGHTS = f"{_UNCERTAIN}; the top-1 accuracy may be that of other ones"
NOTES = {
    "resnet18": _UNCERTAIN,
    **dict.fromkeys(("resnet34", "resnet50", "densenet121", "vit_small_patch16_224"), _OTHER_WEIGHTS),
}


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    given = pd.read_csv(folder / FILE)
    pair = {"source": given.model, "target": given.dataset, "scenario": "architecture"}
    truth = [
        pd.DataFrame(pair).assign(selection=selection, measure="balanced_accuracy", performance=given[column])
        for column, selection in TRUTH.items()
    ]
    scores = pd.concat(
        pd.DataFrame(pair).assign(metric=metric, variant=variant, score=given[column])
        for column, (metric, variant) in SCORES.items()
    )
    scores["pool"] = scores.metric.map(dict.fromkeys(OVER_A_POOL, "the study's 10 checkpoints"))
    broken = scores[["metric", "variant", "source", "target"]].apply(tuple, axis=1).isin(BROKEN)
    sources = []
    for name, top1 in given.groupby("model").imagenet.first().items():
        size = timm_size(str(name))
        sources.append(
            {
                "source": name, "classes": 1000, "task": "multi-class", "modality": "natural photographs", "channels": 3,
                "architecture": name, "parameters": size.parameters, "feature_width": size.feature_width,
                "imagenet_top1": top1 / 100, "note": NOTES.get(str(name)),
                "checkpoint": f"timm/{name}.{CERTAIN[str(name)]}" if name in CERTAIN else None,
            }
        )  # fmt: skip
    targets = [
        {
            "target": name, "classes": classes, "domain": "medical" if name in MEDICAL else "natural",
            "modality": MEDICAL.get(str(name), "natural photographs"),
        }
        for name, classes in given.groupby("dataset").classes.first().items()
    ]  # fmt: skip
    frames = {
        "ground_truth": pd.concat(truth), "scores": scores[~broken], "sources": frame(sources), "targets": frame(targets)
    }  # fmt: skip
    frames = {name: table.assign(**PUBLISHED) for name, table in frames.items()}
    frames["sources"]["citation"] += "; parameters and feature widths counted in timm"
    return frames
