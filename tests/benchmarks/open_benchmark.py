"""Make the bundled benchmark on open data: sources, fine-tuning runs, scores.

Usage: python tests/benchmarks/open_benchmark.py FOLDER [--datasets ../shared/datasets] [--stage sources|runs|scores|tables]

Everything that is finished in FOLDER is kept, so the same command goes on after a stop; without --stage all are done in order.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import datasets
import torch

from hf_transferability.benchmark.grids import run_grid
from hf_transferability.benchmark.pretraining import pretrain
from hf_transferability.progress import Lines

DATASETS = (
    "blood_smear_cells", "breast_ultrasound", "lung_histology", "pneumonia_cxr", "radiology_modality", "retina_fundus",
    "retina_oct", "skin_lesion_dermatoscopy", "sperm_head_microscopy", "natural_cifar10", "natural_hand_digits",
)  # fmt: skip
TARGETS = ("breast_ultrasound", "lung_histology", "retina_oct", "pneumonia_cxr", "retina_fundus", "sperm_head_microscopy")
UNION, RANDOM = "all_but_target", "random_weights"
SIZE = 48  # pixels
NETWORK = {
    "model_type": "resnet", "layer_type": "basic", "embedding_size": 16, "hidden_sizes": [16, 32, 64, 128],
    "depths": [1, 1, 1, 1],
}  # fmt: skip
GRID = {"batch_size": [32], "learning_rate": [0.003, 0.006, 0.01, 0.02], "momentum": [0.9], "weight_decay": [1e-4]}
PROTOCOL = {"seeds": 2, "epochs": 12, "patience": 12, "train_per_class": 60, "validation_per_class": 25}


def make_source(folder: Path, name: str, parts: list[Path], images: int) -> None:
    """One checkpoint; larger sources are trained for longer."""
    if not (folder / name).exists():
        start = time.monotonic()
        steps = 0 if name == RANDOM else 300 + images // 50
        pretrain(parts, folder.parent / "network.json", folder / name, image_size=SIZE, max_steps=steps)
        print(f"source {name}: {steps} steps, {time.monotonic() - start:.0f} s", flush=True)


def make_sources(folder: Path, data: Path) -> None:
    """One source of each dataset, random weights, and for each target a union of all other datasets."""
    folder = folder / "sources"

    sizes = {name: datasets.load_dataset_builder(str(data / name)).info.splits["train"].num_examples for name in DATASETS}
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "network.json").write_text(json.dumps(NETWORK))
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


def make_runs(folder: Path, data: Path) -> None:
    """Fine-tune all sources on one target after the other."""
    grid = folder / "grid.json"
    grid.write_text(json.dumps(GRID))
    for target in TARGETS:
        start = time.monotonic()
        runs = run_grid(
            data / target, pool_of(folder / "sources", target), folder / "runs", grid=grid, image_size=SIZE, benchmark="open",
            progress=Lines(sys.stderr), **PROTOCOL,
        )  # fmt: skip
        print(f"target {target}: {len(runs)} runs, {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--datasets", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "datasets")
    parser.add_argument("--stage", choices=tuple(STAGES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for stage, make in STAGES.items():
        if options.stage in (None, stage):
            make(options.folder, options.datasets)


STAGES = {"sources": make_sources, "runs": make_runs}


if __name__ == "__main__":
    main()
