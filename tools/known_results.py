"""Make the table of published fine-tuning results, benchmark/known_results/results.parquet, from the studies' CSV files.

    python -m tools.known_results FOLDER [DESTINATION]

FOLDER holds the CSV files (`../shared/external`); DESTINATION is a folder, by default that of the bundled table. Only results
of checkpoints that others can get are taken, none of networks that a study pre-trained for itself.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.known import FOLDER

COLUMNS = ["study", "group", "target", "name", "measure", "value"]
# What a study calls a target -> the name in targets.csv, where the two differ.
TARGETS = {
    "skin_splits": "isic2019",
    "oxfordpets": "pets",
    "oxford_pets": "pets",
    "oxford_iiit_pet": "pets",
    "stanfordcars": "stanford_cars",
    "cars": "stanford_cars",
    "flowers": "flowers102",
    "oxford_flowers102": "flowers102",
    "food": "food101",
    "nabird": "nabirds",
    "svhn_cropped": "svhn",
    "smallnorb_label_azimuth": "smallnorb_azimuth",
    "smallnorb_label_elevation": "smallnorb_elevation",
}
# VTAB's sets with several tasks: the columns that tell them -> the task's target.
_VTAB_TASKS = {
    ("clevr", "clevr_count"): "clevr_count",
    ("clevr", "clevr_distance"): "clevr_distance",
    ("dsprites", "dsprites_location"): "dsprites_location",
    ("dsprites", "dsprites_orientation"): "dsprites_orientation",
    ("smallnorb", "label_azimuth"): "smallnorb_azimuth",
    ("smallnorb", "label_elevation"): "smallnorb_elevation",
}
# SFDA's code has other measures than accuracy for these.
_SFDA_MEASURES = {
    **dict.fromkeys(("aircraft", "caltech101", "flowers", "pets"), "balanced_accuracy"),
    "voc2007": "average_precision",
}
# More than half of these networks are at chance (1 of 101 classes), so their order says nothing.
_UNINFORMATIVE = {("transfergraph", "food101")}


def paper(folder: Path) -> pd.DataFrame:
    """The nine networks with ImageNet weights; its other sources were pre-trained by its authors."""
    truth = bundled.load("ground_truth", "paper")
    truth = truth[truth.scenario == "architecture"]
    return pd.DataFrame(
        {
            "group": "architectures", "target": truth.target, "name": truth.source, "measure": "auc",
            "value": truth.performance,
        }
    )  # fmt: skip


def chaves2023(folder: Path) -> pd.DataFrame:
    """Test figures; those of validation are left out."""
    given = pd.read_csv(folder / "chaves2023.csv")
    return _plain(given.dataset, given.model, given.test_balacc, "balanced_accuracy")


def chaves2024(folder: Path) -> pd.DataFrame:
    """The fine-tuned figures; the frozen ones answer another question."""
    given = pd.read_csv(folder / "chaves2024.csv")
    return _plain(given.dataset, given.model, given.test_score, "balanced_accuracy")


def medmnistplus(folder: Path) -> pd.DataFrame:
    """AUC after end-to-end training: the accuracy on chestmnist is nearly constant."""
    given = pd.read_csv(folder / "medmnistplus.csv")
    given = given[given.scheme == "endToEnd"]
    return _plain(given.dataset, given.model, given.auc / 100, "auc")


def transfergraph(folder: Path) -> pd.DataFrame:
    """One run of each pair."""
    given = pd.read_csv(folder / "transfergraph.csv")
    return _plain(given.dataset, given.model, given.test_accuracy, "accuracy")


def transfergraph_vtab1k(folder: Path) -> pd.DataFrame:
    """The runs on 800 images with 25 epochs, and of several such runs of a pair the one with the best validation accuracy."""
    given = pd.read_csv(folder / "transfergraph_vtab1k.csv")
    given = given[(given.train_slice == ":800") & (given.epochs == 25) & given.test_accuracy.notna()]
    tasks = [
        next((task for (name, mark), task in _VTAB_TASKS.items() if name == dataset and mark in (label, preprocess)), dataset)
        for dataset, label, preprocess in given[["dataset", "label", "preprocess"]].itertuples(index=False)
    ]
    best = given.assign(task=tasks).sort_values(["val_accuracy", "test_accuracy"], kind="stable").drop_duplicates(
        ["task", "model"], keep="last"
    )  # fmt: skip
    return _plain(best.task, best.model, best.test_accuracy, "accuracy")


def sfda_emms(folder: Path) -> pd.DataFrame:
    """The three groups were fine-tuned apart, by two papers."""
    given = pd.read_csv(folder / "sfda_emms_finetuned.csv")
    measure = given.dataset.map(_SFDA_MEASURES).fillna("accuracy")
    return _plain(given.dataset, given.model, given.acc / 100, measure).assign(group=given.group)


def parc_controlled(folder: Path) -> pd.DataFrame:
    """The four networks with ImageNet weights; its other sources were pre-trained by its authors."""
    given = pd.read_csv(folder / "parc_controlled.csv")
    given = given[given["Source Dataset"] == "imagenet"]
    return _plain(given["Target Dataset"], given["Architecture"] + "/imagenet", given["Oracle"] / 100, "accuracy")


def _plain(target: pd.Series, name: pd.Series, value: pd.Series, measure: "str | pd.Series") -> pd.DataFrame:
    return pd.DataFrame({"group": "all", "target": target, "name": name, "measure": measure, "value": value})


STUDIES: dict[str, Callable[[Path], pd.DataFrame]] = {
    made.__name__: made
    for made in (
        paper, chaves2023, chaves2024, medmnistplus, transfergraph, transfergraph_vtab1k, sfda_emms, parc_controlled
    )
}  # fmt: skip


def results(folder: Path) -> pd.DataFrame:
    """The whole table, sorted."""
    rows = pd.concat([made(folder).assign(study=study) for study, made in STUDIES.items()], ignore_index=True)
    rows["target"] = rows.target.replace(TARGETS)
    pairs = pd.Series(list(zip(rows.study, rows.target, strict=True)))
    rows = rows[~pairs.isin(_UNINFORMATIVE)]
    return rows[COLUMNS].sort_values(COLUMNS[:4], ignore_index=True).astype({"value": float})


def main(folder: str, destination: str | None = None) -> None:
    """Write the table and say how large it is."""
    table = results(Path(folder))
    table.to_parquet(Path(destination or FOLDER) / "results.parquet", index=False, compression="zstd")
    print(f"{len(table)} results of {table.name.nunique()} checkpoints on {table.target.nunique()} targets")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: python -m tools.known_results FOLDER [DESTINATION]")
    main(*sys.argv[1:])
