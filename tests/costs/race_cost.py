"""Processor seconds of a plain ranking and of a race, on real networks with an empty cache each.

    OMP_NUM_THREADS=1 python tests/costs/race_cost.py DATASET CHECKPOINT ... [--sample-size 300]
    OMP_NUM_THREADS=1 python tests/costs/race_cost.py DATASET --make FOLDER [--size 64] [--runs 4]

With --make, ResNet-18s are trained on four other datasets beside DATASET for 0, 4, 10, 20 and 36 steps and ranked, so 20.
"""

import argparse
import tempfile
import time
from pathlib import Path

from hf_transferability import rank

STEPS = (0, 4, 10, 20, 36)


def made(dataset: Path, folder: Path, size: int, runs: int) -> list[str]:
    """Folders of ResNet-18s that were trained for few steps on neighbours of the dataset."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    from hf_transferability.training.samples import Splits

    others = [other for other in sorted(dataset.parent.iterdir()) if other.name != dataset.name][:runs]
    for other in others:
        if (folder / f"{other.name}-{STEPS[-1]}" / "model.safetensors").exists():
            continue
        pool = Splits(other, size).pools["train"]
        torch.manual_seed(0)
        config = ResNetConfig(
            layer_type="basic", hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], num_labels=len(pool.classes)
        )
        network = ResNetForImageClassification(config)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
        for step in range(STEPS[-1] + 1):
            if step in STEPS:
                place = folder / f"{other.name}-{step}"
                network.eval().save_pretrained(place)
                ViTImageProcessor(size={"height": size, "width": size}).save_pretrained(place)
            network.train()
            places = torch.randint(min(len(pool.labels), 500), (32,))
            optimizer.zero_grad()
            logits = network(pixel_values=pool.pixels(places).float() / 127.5 - 1).logits
            torch.nn.functional.cross_entropy(logits, pool.labels[places]).backward()
            optimizer.step()
    return [str(folder / f"{other.name}-{step}") for other in others for step in STEPS]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("checkpoints", nargs="*")
    parser.add_argument("--make", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--sample-size", type=int)
    options = parser.parse_args()
    names = list(options.checkpoints) or made(options.dataset, options.make, options.size, options.runs)
    rank(options.dataset, names[:1], sample_size=24, use_cache=False)  # libraries are loaded, files are in memory
    for race in (False, True):
        with tempfile.TemporaryDirectory() as cache:
            start = time.process_time()
            ranking = rank(options.dataset, names, race=race, cache_dir=cache, sample_size=options.sample_size)
            seconds = time.process_time() - start
        ranked = [row for row in ranking.rows if row["rank"] is not None]
        print(
            f"{'race' if race else 'plain'}: {seconds:.1f} processor seconds, {len(names)} candidates, {len(ranked)} with all "
            f"metrics, {ranking.dataset['images']} images, first {Path(ranked[0]['checkpoint']).name}",
            flush=True,
        )


if __name__ == "__main__":
    main()
