"""Does a race find the first of a plain ranking, and what does it cost? Simulated pools of real features, and `open`.

    OMP_NUM_THREADS=1 python tests/costs/race_study.py features DATASETS WORK     # small networks, their features and scores
    OMP_NUM_THREADS=1 python tests/costs/race_study.py pools WORK [--pools 150] [--size 30]
    OMP_NUM_THREADS=1 python tests/costs/race_study.py benchmarks [--pools 50]

`features`: three kinds of small networks are trained on each dataset of DATASETS (folders in Hub layout) for 15, 50 and 140
steps, so 99 networks of eleven datasets. They are applied to seven targets, and feature quality and LogME are computed on a
third of the default sample, with ten half-samples, in three random orders, and on all of it. Every finished step is kept.

`pools`: pools are drawn of networks of all three kinds, which differ in size, and of one kind. The package's own rules run over
them: who is dropped, who comes back, the estimates and the final order. Cost: images times passes, where features take one
pass and gradients, which the best get, `--gradients` passes (2.1 measured for a ResNet-18 of 64 px).

`benchmarks`: pools of all sources of a target of `open` and `open_regnet`. Their tables hold scores and intervals of the whole
sample; those of a third and of half-samples are drawn around them with the spread that the interval gives.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from hf_transferability.benchmark import bundled
from hf_transferability.data.targets import load_target
from hf_transferability.metrics import collect_flags, score
from hf_transferability.metrics._sample import Sample
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.dropping import below_threshold, best_positions
from hf_transferability.ranking.estimates import Stage, estimated
from hf_transferability.ranking.pool import metric_over_pool
from hf_transferability.ranking.restoring import to_restore
from hf_transferability.ranking.scoring import Scores, half_samples

PARTS = ("feature_quality", "logme")
SHARE, HALVES, ORDERS, KEEP = 1 / 3, 10, 3, 3
STEPS = (15, 50, 140)
KINDS = (((16, 32, 64), False), ((24, 48, 96, 192), True), ((16, 32, 64, 128), False))  # widths, grouped convolutions
TARGETS = (
    "breast_ultrasound", "pneumonia_cxr", "retina_fundus", "retina_oct", "sperm_head_microscopy", "blood_smear_cells",
    "skin_lesion_dermatoscopy",
)  # fmt: skip
Numbers = dict[str, Any]  # "size", "before" and "now": {part: value}, "halves": {part: [values]}


def make_features(datasets: Path, work: Path) -> None:
    """Train the networks, and write what they score on every target into WORK/scores."""
    import torch
    from torch import nn
    from torchvision.transforms.v2 import functional

    def images(name: str, size: int | None, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        target = load_target(datasets / name, sample_size=size, seed=seed)
        pixels = [torch.from_numpy(target.images[i].copy()).permute(2, 0, 1) for i in range(len(target))]
        resized = torch.stack([functional.resize(image, [32, 32], antialias=True) for image in pixels])
        return resized.float() / 128 - 1, torch.from_numpy(target.labels)

    def body(widths: tuple[int, ...], grouped: bool) -> nn.Sequential:
        layers: list[nn.Module] = []
        for before, width in zip((3, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 3, 1, 1, groups=width // 8 if grouped else 1), nn.BatchNorm2d(width), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    names = sorted(folder.name for folder in datasets.iterdir())
    samples = {name: images(name, None, 1) for name in TARGETS}
    (work / "scores").mkdir(parents=True, exist_ok=True)
    for kind, source in itertools.product(range(len(KINDS)), names):
        torch.manual_seed(100 * kind + names.index(source))
        pixels, labels = images(source, 3000, 0)
        network = body(*KINDS[kind])
        head = nn.Linear(KINDS[kind][0][-1], int(labels.max()) + 1)
        optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], lr=0.02, momentum=0.9, nesterov=True)
        for step in range(1, STEPS[-1] + 1):
            network.train()
            chosen = torch.randint(len(pixels), (64,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(network(pixels[chosen])), labels[chosen]).backward()
            optimizer.step()
            if step in STEPS:
                network.eval()
                for target in set(TARGETS) - {source}:
                    file = work / "scores" / f"{target}--{kind}-{source}-{step}.json"
                    if not file.exists():
                        with torch.no_grad():
                            features = torch.cat([network(part) for part in samples[target][0].split(256)]).numpy()
                        found = scored(features, samples[target][1].numpy())
                        size = sum(weight.numel() for weight in network.parameters())
                        file.write_text(json.dumps(found | {"size": size}))
        print(f"{kind} {source}", flush=True)


def scored(features: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Scores on the whole sample, and on a third of it in several orders with half-samples."""

    def parts(rows: np.ndarray, half: bool = False) -> dict[str, float]:
        sample = Sample(features[rows])
        return {name: float(score(name, features=sample, labels=labels[rows], half_sample=half)) for name in PARTS}

    orders = []
    with threadpool_limits(1), collect_flags():
        for seed in range(ORDERS):
            rng = np.random.default_rng(seed)
            turn = np.empty(len(labels))
            for code in np.unique(labels):
                members = rng.permutation(np.flatnonzero(labels == code))
                turn[members] = (np.arange(len(members)) + 0.5) / len(members)
            rows = np.sort(np.argsort(turn, kind="stable")[: round(SHARE * len(labels))])
            halves = [parts(rows[half], half=True) for half in half_samples(labels[rows], HALVES, 0)]
            orders.append({"before": parts(rows), "halves": {name: [half[name] for half in halves] for name in PARTS}})
        return {"now": parts(np.arange(len(labels))), "orders": orders}


def drawn_pools(work: Path, pools: int, size: int, kind: int | None) -> Iterator[dict[str, Numbers]]:
    """Pools of networks on one target, each in one order of its images: name -> numbers."""
    rng = np.random.default_rng(0)
    of_target: dict[str, dict[str, Numbers]] = {}
    for file in sorted((work / "scores").glob("*.json")):
        target, name = file.stem.split("--")
        of_target.setdefault(target, {})[name] = json.loads(file.read_text())
    for _ in range(pools):
        networks = of_target[sorted(of_target)[rng.integers(len(of_target))]]
        chosen = str(rng.integers(len(KINDS))) if kind is None else ""
        names = [name for name in sorted(networks) if name.startswith(chosen)]
        order = int(rng.integers(ORDERS))
        yield {
            names[i]: {**networks[names[i]], **networks[names[i]]["orders"][order]} for i in rng.permutation(len(names))[:size]
        }


def benchmark_pools(name: str, pools: int) -> Iterator[dict[str, Numbers]]:
    """Pools of all sources of each target of a bundled benchmark, with drawn scores of a third of its sample."""
    rng = np.random.default_rng(0)
    table = bundled.load("scores", name)
    table = table[(table.variant == "default") & table.metric.isin(PARTS) & (table.source != "random_weights")]
    for _, rows in table.groupby("target"):
        for _ in range(pools):
            pool: dict[str, Numbers] = {}
            for source, mine in rows.groupby("source"):
                one = mine.set_index("metric")
                now = {part: float(one.score[part]) for part in PARTS}
                reach = {part: float(one.interval_high[part] - one.score[part]) for part in PARTS}
                spread = {part: reach[part] / float(student.ppf(0.95, HALVES - 1)) for part in PARTS}  # of a half: sqrt(1/n)
                before = {
                    part: now[part] + np.sqrt(2) * spread[part] * rng.standard_normal() for part in PARTS
                }  # sqrt(3/n - 1/n)
                halves = {
                    part: (before[part] + np.sqrt(3) * spread[part] * rng.standard_normal(HALVES)).tolist() for part in PARTS
                }
                pool[str(source)] = {"size": 1, "now": now, "before": before, "halves": halves}
            yield pool


def candidates(pool: dict[str, Numbers], sample: str) -> list[Candidate]:
    """The candidates of a pool with their scores "before" or "now"."""
    return [
        Candidate(
            name,
            facts={"parameters": numbers["size"]},
            scores=Scores(values=dict(numbers[sample]), halves=dict(numbers["halves"]) if sample == "before" else {}),
        )
        for name, numbers in pool.items()
    ]


def raced(pool: dict[str, Numbers]) -> tuple[list[str], list[str], int]:
    """Who shares the first place after a race, who was on the whole sample, and how many of them get gradients."""
    before, whole = candidates(pool, "before"), {one.name: one for one in candidates(pool, "now")}
    scores = metric_over_pool("consensus", before, "source_dataset")
    halves = [metric_over_pool("consensus", before, "source_dataset", half=half) for half in range(HALVES)]
    out = below_threshold(scores, halves, KEEP)
    stage = Stage(0, before, out)
    names = {entry.position: before[entry.position].name for entry in out}
    now = [one for name, one in whole.items() if name not in names.values()]
    while back := to_restore([stage], now, "consensus", "default", 0):
        now += [whole[name] for name in back]
        stage = Stage(0, before, [entry for entry in stage.below if names[entry.position] not in back])
    final = metric_over_pool("consensus", [*now, *estimated([stage], now)], "source_dataset")[: len(now)]
    best = max(value for value in final if value is not None)
    firsts = [one.name for one, value in zip(now, final, strict=True) if value == best]
    return firsts, [one.name for one in now], len(best_positions(final, KEEP))


def main() -> None:
    """Do what the first word says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("features", "pools", "benchmarks"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--pools", type=int, default=150)
    parser.add_argument("--size", type=int, default=30)
    parser.add_argument("--gradients", type=float, default=2.1, help="passes that gradients take, in passes for features")
    options = parser.parse_args()
    if options.what == "features":
        make_features(*options.folders)
        return
    if options.what == "pools":
        sets = {
            "differing sizes": drawn_pools(options.folders[0], options.pools, options.size, 0),
            "one size": drawn_pools(options.folders[0], options.pools, options.size, None),
        }
    else:
        sets = {name: benchmark_pools(name, options.pools) for name in ("open", "open_regnet")}
    for title, pools in sets.items():
        same, shared, kept, sizes, wholes, lasts = [], [], [], [], [], []
        for pool in pools:
            every = candidates(pool, "now")
            plain = metric_over_pool("consensus", every, "source_dataset")
            best = {one.name for one, value in zip(every, plain, strict=True) if value == max(filter(None, plain))}
            firsts, names, last = raced(pool)
            same.append(firsts[0] in best)
            shared.append(bool(best & set(firsts)))
            kept.append(bool(best & set(names)))
            sizes.append(len(pool))
            wholes.append(len(names))
            lasts.append(last)
        n, whole, last = (float(np.mean(counts)) for counts in (sizes, wholes, lasts))
        passes = n * SHARE + whole * (1 - SHARE)
        dear = options.gradients
        print(
            f"{title}: {len(same)} pools of {n:.1f}; the first listed is a first of the plain ranking in {np.mean(same):.1%}, "
            f"one of those with rank 1 in {np.mean(shared):.1%}; it is on the whole sample in {np.mean(kept):.1%}; {whole:.1f} "
            f"candidates are; {n * dear / (passes + last * dear):.2f} times cheaper with gradients for {last:.1f}, "
            f"{n / passes:.2f} times without gradients"
        )


if __name__ == "__main__":
    main()
