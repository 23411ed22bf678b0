"""Make the bundled benchmark on open data: sources, fine-tuning runs, scores.

Usage: python tests/benchmarks/open_benchmark.py FOLDER [--datasets ../shared/datasets] [--stage sources|runs|scores|tables]

Everything that is finished in FOLDER is kept, so the same command goes on after a stop; without --stage all are done in order.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from hf_transferability.benchmark.pretraining import pretrain

DATASETS = (
    "blood_smear_cells", "breast_ultrasound", "lung_histology", "pneumonia_cxr", "radiology_modality", "retina_fundus",
    "retina_oct", "skin_lesion_dermatoscopy", "sperm_head_microscopy", "natural_cifar10", "natural_hand_digits",
)  # fmt: skip
TARGETS = ("pneumonia_cxr", "breast_ultrasound", "lung_histology", "retina_oct", "retina_fundus", "sperm_head_microscopy")
UNION, RANDOM = "all_but_target", "random_weights"
SIZE = 48  # pixels
NETWORK = {
    "model_type": "resnet", "layer_type": "basic", "embedding_size": 16, "hidden_sizes": [16, 32, 64, 128],
    "depths": [1, 1, 1, 1],
}  # fmt: skip


def make_source(folder: Path, name: str, parts: list[Path], images: int) -> None:
    """One checkpoint; larger sources are trained for longer."""
    if not (folder / name).exists():
        start = time.monotonic()
        steps = 0 if name == RANDOM else 300 + images // 50
        pretrain(parts, folder.parent / "network.json", folder / name, image_size=SIZE, max_steps=steps)
        print(f"source {name}: {steps} steps, {time.monotonic() - start:.0f} s", flush=True)


def make_sources(folder: Path, data: Path) -> None:
    """One source of each dataset, random weights, and for each target a union of all other datasets."""
    import datasets

    sizes = {name: datasets.load_dataset_builder(str(data / name)).info.splits["train"].num_examples for name in DATASETS}
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "network.json").write_text(json.dumps(NETWORK))
    for name in DATASETS:
        make_source(folder, name, [data / name], sizes[name])
    make_source(folder, RANDOM, [data / DATASETS[0]], 0)
    for target in TARGETS:
        parts = [name for name in DATASETS if name != target]
        make_source(folder, f"all_but_{target}", [data / name for name in parts], sum(sizes[name] for name in parts))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--datasets", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "datasets")
    parser.add_argument("--stage", choices=("sources", "runs", "scores", "tables"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    make_sources(options.folder / "sources", options.datasets)


if __name__ == "__main__":
    main()
