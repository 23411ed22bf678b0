"""Make a bundled benchmark on open data, of one architecture: sources, fine-tuning runs, scores.

Usage: python tests/costs/open_benchmark.py FOLDER [--architecture resnet|regnet] [--datasets ../shared/datasets]
           [--seeds N] [--target NAME ...] [--stage sources|runs|scores|tables]

Everything that is finished in FOLDER is kept, so the same command goes on after a stop; without --stage all are done in order.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import datasets
import pandas as pd
import torch
from safetensors.numpy import load_file

from hf_transferability import provenance, rank
from hf_transferability.benchmark import tables
from hf_transferability.benchmark.ground_truth import reliability
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.progress import Lines
from hf_transferability.publishing import score_rows
from hf_transferability.training.grids import run_grid
from hf_transferability.training.pretraining import PretrainingOptions, pretrain
from hf_transferability.training.run_tables import BEST, collect, ground_truth
from hf_transferability.training.settings import Protocol, RowLabels

DATASETS = (
    "blood_smear_cells", "breast_ultrasound", "lung_histology", "pneumonia_cxr", "radiology_modality", "retina_fundus",
    "retina_oct", "skin_lesion_dermatoscopy", "sperm_head_microscopy", "natural_cifar10", "natural_hand_digits",
)  # fmt: skip
TARGETS = ("breast_ultrasound", "lung_histology", "retina_oct", "pneumonia_cxr", "retina_fundus", "sperm_head_microscopy")
VARIANTS = ("default", "published")
MODALITIES = {
    "blood_smear_cells": "blood cell microscopy", "breast_ultrasound": "breast ultrasound", "lung_histology": "lung histology",
    "pneumonia_cxr": "chest X-ray", "radiology_modality": "radiology (CT, MRI, X-ray)", "retina_fundus": "fundus photography",
    "retina_oct": "retinal OCT", "skin_lesion_dermatoscopy": "dermatoscopy", "sperm_head_microscopy": "sperm head microscopy",
    "natural_cifar10": "natural photographs", "natural_hand_digits": "natural photographs",
}  # fmt: skip
UNION, RANDOM = "all_but_target", "random_weights"
SIZE = 32  # pixels
WIDTHS = [32, 64, 128]
# Configurations; the last of three stages has 2 x 2 places.
SHAPE = {"hidden_sizes": WIDTHS, "depths": [1, 1, 1]}
ARCHITECTURES = {
    "resnet": {"model_type": "resnet", "layer_type": "basic", "embedding_size": 32, **SHAPE},
    "regnet": {"model_type": "regnet", "layer_type": "y", "embedding_size": 16, "groups_width": 16, **SHAPE},
}
BENCHMARKS = {"resnet": "open", "regnet": "open_regnet"}
GRID = {"batch_size": [32], "learning_rate": [0.005, 0.01, 0.02, 0.04], "momentum": [0.9], "weight_decay": [1e-4]}
PROTOCOL = Protocol(image_size=SIZE, epochs=20, patience=20, train_per_class=100, validation_per_class=25)


@dataclass(frozen=True)
class Work:
    """Where and of what a benchmark is made."""

    folder: Path
    data: Path
    architecture: str

    @property
    def benchmark(self) -> str:
        """Name in the tables."""
        return BENCHMARKS[self.architecture]


def make_source(folder: Path, name: str, parts: list[Path], images: int) -> None:
    """One checkpoint; larger sources are trained for longer, up to a limit."""
    if not (folder / name).exists():
        start = time.monotonic()
        steps = 0 if name == RANDOM else min(1000 + images // 10, 2500)
        pretrain(
            parts, folder.parent / "architecture.json", folder / name, PretrainingOptions(image_size=SIZE, max_steps=steps)
        )
        print(f"source {name}: {steps} steps, {time.monotonic() - start:.0f} s", flush=True)


def make_sources(work: Work) -> None:
    """One source of each dataset, random weights, and for each target a union of all other datasets."""
    folder, data = work.folder / "sources", work.data
    sizes = {name: datasets.load_dataset_builder(str(data / name)).info.splits["train"].num_examples for name in DATASETS}
    folder.mkdir(parents=True, exist_ok=True)
    (work.folder / "architecture.json").write_text(json.dumps(ARCHITECTURES[work.architecture]))
    for name in DATASETS:
        make_source(folder, name, [data / name], sizes[name])
    make_source(folder, RANDOM, [data / DATASETS[0]], 0)
    for target in TARGETS:
        parts = [name for name in DATASETS if name != target]
        make_source(folder, f"all_but_{target}", [data / name for name in parts], sum(sizes[name] for name in parts))


def pool_of(folder: Path, target: str) -> dict[str, Path]:
    """The sources of a target, by their names in the tables: no source has seen it."""
    alone = {name: folder / name for name in DATASETS if name != target}
    return alone | {UNION: folder / f"all_but_{target}", RANDOM: folder / RANDOM}


def make_runs(work: Work, seeds: int, targets: Sequence[str] = TARGETS) -> None:
    """Fine-tune all sources on one target after the other, with one seed after the other."""
    grid = work.folder / "grid.json"
    grid.write_text(json.dumps(GRID))
    for target in targets:
        start = time.monotonic()
        runs = run_grid(
            work.data / target, pool_of(work.folder / "sources", target), work.folder / "runs", grid=grid, seeds=seeds,
            protocol=PROTOCOL, labels=RowLabels(work.benchmark), progress=Lines(sys.stderr),
        )  # fmt: skip
        print(f"target {target}: {len(runs)} runs, {time.monotonic() - start:.0f} s", flush=True)


def make_scores(work: Work) -> None:
    """Rank the sources for every target by all metrics, in both variants."""
    (work.folder / "rankings").mkdir(exist_ok=True)
    for target, variant in itertools.product(TARGETS, VARIANTS):
        file = work.folder / "rankings" / f"{target}-{variant}.json"
        if not file.exists():
            sources = list(pool_of(work.folder / "sources", target).values())
            ranking = rank(work.data / target, sources, metrics=["all"], variant=variant, cache_dir=work.folder / "cache")
            ranking.save(file)
            print(f"ranked for {target}, {variant}", flush=True)


def make_tables(work: Work) -> None:
    """The four tables of the bundled benchmark, as parquet."""
    out = work.folder / "tables"
    out.mkdir(exist_ok=True)
    runs = collect(work.folder / "runs")
    files = [work.folder / "rankings" / f"{t}-{v}.json" for t, v in itertools.product(TARGETS, VARIANTS)]
    scores = pd.concat([score_rows.read(file, work.benchmark) for file in files])
    # Without the digits that tell folders of one name apart; and a union, of which there is one for each target, is one source.
    scores["source"] = scores["source"].str.partition("@")[0]
    scores["source"] = scores["source"].where(~scores["source"].str.startswith("all_but_"), UNION)
    scores = scores.drop_duplicates(tables.TABLES["scores"].key)  # metrics of one form stand in the rankings of both variants
    found = {"runs": runs, "ground_truth": ground_truth(runs), "scores": scores, "sources": source_facts(work)}
    for name, frame in found.items():
        checked = tables.check_provenance(frame, name, name)
        checked = checked[[column for column in checked if checked[column].notna().any()]]
        checked.to_parquet(out / f"{name}.parquet", index=False, compression="zstd")
        print(f"{name}: {len(checked)} rows, {(out / f'{name}.parquet').stat().st_size / 1024:.0f} kB", flush=True)
    print(reliability(runs, f"mean_of_best_{BEST}").round(2).to_string(), flush=True)
    print(reliability(runs).round(2).to_string(), flush=True)


def source_facts(work: Work) -> pd.DataFrame:
    """What is known of every source, in the columns of the table `sources`."""
    rows = {}
    for name in DATASETS:
        info = datasets.load_dataset_builder(str(work.data / name)).info
        image = datasets.load_dataset(str(work.data / name), split="train[:1]")[0]["image"]
        rows[name] = {
            "train_images": info.splits["train"].num_examples,
            "classes": info.features["label"].num_classes,
            "modality": MODALITIES[name],
            "channels": len(image.getbands()),
            "task": "multi-class" if info.features["label"].num_classes > 2 else "binary-class",
        }
    whole = {fact: sum(each[fact] for each in rows.values()) for fact in ("train_images", "classes")}
    note = "all datasets but the target, classes side by side; the figures are those of all datasets"
    rows[UNION] = {**whole, "task": "multi-class", "channels": 3, "note": note}
    rows[RANDOM] = {"train_images": 0, "classes": 0, "note": "not trained"}
    for name, row in rows.items():
        path = work.folder / "sources" / (f"all_but_{TARGETS[0]}" if name == UNION else name)
        source = resolve(str(path))
        weights = load_file(path / "model.safetensors")
        row |= {
            "source": name,
            "architecture": f"{work.architecture} of {len(WIDTHS)} stages, widths {WIDTHS}",
            "parameters": sum(each.size for key, each in weights.items() if not key.startswith("classifier")),
            "feature_width": WIDTHS[-1],
            "checkpoint": path.name,
            "checkpoint_revision": source.revision,
        }
    return pd.DataFrame(rows.values()).assign(benchmark=work.benchmark, date=provenance.now())


STAGES = ("sources", "runs", "scores", "tables")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="resnet")
    parser.add_argument("--datasets", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "datasets")
    parser.add_argument("--seeds", type=int, default=2, help="of the fine-tuning runs (default: 2)")
    parser.add_argument("--target", choices=TARGETS, action="append", help="fine-tune on this only; repeatable")
    parser.add_argument("--stage", choices=STAGES, help="only this one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    make = {
        "sources": make_sources,
        "runs": partial(make_runs, seeds=options.seeds, targets=options.target or TARGETS),
        "scores": make_scores,
        "tables": make_tables,
    }
    for stage in [options.stage] if options.stage else STAGES:
        make[stage](Work(options.folder, options.datasets, options.architecture))


if __name__ == "__main__":
    main()
