"""Shao et al. 2022 and Meng et al. 2023: 36 networks in three groups, fine-tuned on 11 natural targets; no scores."""

from pathlib import Path
from typing import Any

import pandas as pd
from transformers import PvtConfig, PvtModel

from tools.published_studies.networks import Size, timm_size, timm_top1, torchvision_size, transformers_size
from tools.published_studies.writing import frame

FILE = "sfda_emms_finetuned.csv"
_SFDA = {
    "citation": "Shao, Zhao, Ge, Zhang, Yang, Wang, Shan, Luo 2022: Not All Models Are Equal: Predicting Model Transferability "
    "in a Self-challenging Fisher Space, ECCV 2022, arXiv 2207.03036",
    "date": "2022-07",
}
_EMMS = {
    "citation": "Meng, Shao, Peng, Jiang, Zhang, Qiao, Luo 2023: Foundation Model is Efficient Multimodal Multitask Model "
    "Selector, NeurIPS 2023, arXiv 2308.06262",
    "date": "2023-08",
}
PUBLISHED = {"cnn": _SFDA, "ssl": _SFDA, "vit": _EMMS}
# The self-supervised networks are all ResNet-50, so they differ in their pre-training only.
SCENARIOS = {"cnn": "architecture", "ssl": "source_dataset", "vit": "architecture"}
# Of the first two groups the authors' code shows that the setting with the best validation figure counts.
SELECTIONS = {"cnn": "best_validation_run", "ssl": "best_validation_run", "vit": "as_published"}
# Classes, and the measure, as the authors' code has them.
TARGETS = {
    "aircraft": (100, "balanced_accuracy"),
    "caltech101": (102, "balanced_accuracy"),
    "cars": (196, "accuracy"),
    "cifar10": (10, "accuracy"),
    "cifar100": (100, "accuracy"),
    "dtd": (47, "accuracy"),
    "flowers": (102, "balanced_accuracy"),
    "food": (101, "accuracy"),
    "pets": (37, "balanced_accuracy"),
    "sun397": (397, "accuracy"),
    "voc2007": (20, "average_precision"),
}
# Networks of torchvision whose first weights timm holds, too.
TORCHVISION_IN_TIMM = (
    "resnet34", "resnet50", "resnet101", "resnet152", "densenet121", "densenet169", "densenet201", "inception_v3"
)  # fmt: skip
# Name -> timm's name; the weights are told by the file names in the authors' code.
TIMM = {
    "deit_tiny": "deit_tiny_patch16_224.fb_in1k",
    "deit_small": "deit_small_patch16_224.fb_in1k",
    "deit_base": "deit_base_patch16_224.fb_in1k",
    "dino_small": "vit_small_patch16_224.dino",
    "dino_base": "vit_base_patch16_224.dino",
    "pvtv2_b2": "pvt_v2_b2.in1k",
    "pvtv2_b3": "pvt_v2_b3.in1k",
    "swin_t": "swin_tiny_patch4_window7_224.ms_in1k",
    "swin_s": "swin_small_patch4_window7_224.ms_in1k",
}
SELF_SUPERVISED = ("dino_small", "dino_base", "mocov3_small")
PVT = {"pvt_tiny": [2, 2, 2, 2], "pvt_small": [3, 4, 6, 3], "pvt_medium": [3, 4, 18, 3]}  # blocks in each stage


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    given = pd.read_csv(folder / FILE)
    truth = given.assign(
        source=given.model, target=given.dataset, scenario=given.group.map(SCENARIOS), selection=given.group.map(SELECTIONS),
        measure=given.dataset.map({name: measure for name, (_, measure) in TARGETS.items()}), performance=given.acc / 100,
        citation=given.group.map({name: publication["citation"] for name, publication in PUBLISHED.items()}),
        date=given.group.map({name: publication["date"] for name, publication in PUBLISHED.items()}),
    )  # fmt: skip
    columns = ["scenario", "source", "target", "selection", "measure", "performance", "citation", "date"]
    targets = frame(
        (
            {"target": name, "domain": "natural", "classes": classes, "modality": "natural photographs"}
            for name, (classes, _) in TARGETS.items()
        ),
        **_SFDA,
    )
    return {"ground_truth": truth[columns], "sources": _sources(folder, given), "targets": targets}


def _sources(folder: Path, given: pd.DataFrame) -> pd.DataFrame:
    timm_accuracy = timm_top1(folder, [weights for name, weights in TIMM.items() if name not in SELF_SUPERVISED])
    rows = []
    for model, group, imagenet in given.drop_duplicates("model")[["model", "group", "imagenet"]].itertuples(index=False):
        size, row = _network(model, group)
        top1 = imagenet / 100 if group == "cnn" else timm_accuracy.get(TIMM.get(model, ""))
        rows.append(
            {
                "source": model, "parameters": size.parameters, "feature_width": size.feature_width, "imagenet_top1": top1,
                "date": PUBLISHED[group]["date"],
                "citation": f"{PUBLISHED[group]['citation']}; parameters and feature widths counted in timm, torchvision and "
                f"transformers{', ImageNet top-1 as timm publishes it' if group == 'vit' else ''}",
                **row,
            }
        )  # fmt: skip
    return frame(rows, channels=3)


def _network(model: str, group: str) -> tuple[Size, dict[str, Any]]:
    if group == "ssl":
        return torchvision_size("resnet50"), {"architecture": "resnet50", "note": "self-supervised on ImageNet"}
    if group == "cnn":
        twin = f"timm/{model}.tv_in1k" if model in TORCHVISION_IN_TIMM else None
        return torchvision_size(model), {"architecture": model, "checkpoint": twin, "classes": 1000}
    if model in PVT:
        build = PvtConfig(depths=PVT[model])
        return transformers_size(lambda: PvtModel(build), 512), {"architecture": model, "classes": 1000}
    if model == "mocov3_small":
        return timm_size("vit_small_patch16_224"), {
            "architecture": "vit_small_patch16_224", "note": "self-supervised on ImageNet, 12 heads of attention"
        }  # fmt: skip
    architecture = TIMM[model].partition(".")[0]
    facts: dict[str, Any] = {"architecture": architecture, "checkpoint": f"timm/{TIMM[model]}"}
    facts |= {"note": "self-supervised on ImageNet"} if model in SELF_SUPERVISED else {"classes": 1000}
    return timm_size(architecture), facts
