"""Processor seconds of a plain ranking and of a race, on real networks with an empty cache each.

    OMP_NUM_THREADS=1 python tests/costs/race_cost.py DATASET CHECKPOINT ... [--sample-size 300]
    OMP_NUM_THREADS=1 python tests/costs/race_cost.py DATASET --make FOLDER [--size 64] [--candidates 20]

With --make, a ResNet-18 is trained for 20 steps on a neighbour of DATASET, and the candidates are copies of it whose weights
are damaged by more and more noise.
"""

import argparse
import tempfile
import time
from pathlib import Path

from hf_transferability import rank

_STEPS = 20
_NOISE = 1.5  # of a weight's own spread, for the last candidate


def made(dataset: Path, folder: Path, size: int, count: int) -> list[str]:
    """Folders of ResNet-18s of falling quality."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    from hf_transferability.training.samples import Splits

    places = [folder / f"net-{number:02}" for number in range(count)]
    if not (places[-1] / "model.safetensors").exists():
        pool = Splits(next(other for other in sorted(dataset.parent.iterdir()) if other.name != dataset.name), size).pools[
            "train"
        ]
        torch.manual_seed(0)
        config = ResNetConfig(
            layer_type="basic", hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], num_labels=len(pool.classes)
        )
        network = ResNetForImageClassification(config).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
        for _ in range(_STEPS):
            chosen = torch.randint(min(len(pool.labels), 300), (32,))
            optimizer.zero_grad()
            logits = network(pixel_values=pool.pixels(chosen).float() / 127.5 - 1).logits
            torch.nn.functional.cross_entropy(logits, pool.labels[chosen]).backward()
            optimizer.step()
        weights = {name: value.clone() for name, value in network.eval().state_dict().items()}
        for number, place in enumerate(places):
            damaged = {
                name: value + _NOISE * number / count * float(value.std()) * torch.randn_like(value)
                if value.is_floating_point() and value.ndim == 4
                else value
                for name, value in weights.items()
            }
            network.load_state_dict(damaged)
            network.save_pretrained(place)
            ViTImageProcessor(size={"height": size, "width": size}).save_pretrained(place)
    return [str(place) for place in places]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("checkpoints", nargs="*")
    parser.add_argument("--make", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--sample-size", type=int)
    options = parser.parse_args()
    names = list(options.checkpoints) or made(options.dataset, options.make, options.size, options.candidates)
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
