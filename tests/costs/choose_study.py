"""Does `choose` find a better checkpoint than the ranking alone, and than the same short runs of random candidates?

    OMP_NUM_THREADS=1 python tests/costs/choose_study.py DATASETS WORK [--targets NAME ...] [--steps 200]   # real runs
    OMP_NUM_THREADS=1 python tests/costs/choose_study.py --benchmarks                          # runs of `open`, with noise

DATASETS is a folder of datasets in Hub layout with the splits train, validation and test, of which each gives one small ResNet
that is trained on it from scratch (as in the benchmark `open`, with fewer steps), and each of --targets is a target for all
others. Of a target there are: the ranking; the short runs of `choose` for every candidate; and the truth, the mean test AUC of
the best two of four runs of 20 epochs by validation. Pools of 8 and of all are then decided by the package's own functions:
the ranking's first, the choice among so many of the first, and the choice among as many random candidates with the same runs.
WORK keeps every finished step, so the same command goes on after a stop, and answers at once when all is there.

With --benchmarks nothing is trained. The short runs of a source are two of the bundled runs of `open` or `open_regnet` (two
learning rates, one seed), of which the higher validation AUC decides: that which was measured, on 25 images per class, or one
that is drawn around the test AUC with the error of so many images. The truth is the mean test AUC of the best four runs of the
other seeds. Means are over the targets; the intervals of 90 % come from drawing the six datasets of the targets anew.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from hf_transferability.benchmark import bundled
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.choosing.contenders import Contender
from hf_transferability.choosing.decision import Result, decide, standard_error
from hf_transferability.choosing.short_runs import ShortRuns, fine_tune_within, source_names
from hf_transferability.choosing.timing import Images
from hf_transferability.metrics.consensus import formula
from hf_transferability.progress import NullProgress
from hf_transferability.ranking.run import rank
from hf_transferability.training.grids import run_grid
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import Protocol, RowLabels, SplitNames

SIZE = 32
TRUTH = {"batch_size": [32], "learning_rate": [0.01, 0.03], "momentum": [0.9], "weight_decay": [0.0001]}
TRUTH_SEEDS = 2
FOREVER = 1e9


def pretrained(dataset: Path, folder: Path, steps: int) -> Path:
    """A small ResNet that was trained on a dataset; its folder."""
    if (folder / "model.safetensors").exists():
        return folder
    pool = Splits(dataset, SIZE).pools["train"]
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=16, hidden_sizes=[32, 64, 128], depths=[1, 1, 1], layer_type="basic", hidden_act="relu",
        num_labels=len(pool.classes),
    )  # fmt: skip
    network = ResNetForImageClassification(config).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        places = torch.randint(min(len(pool.labels), 3000), (64,))
        logits = network(pixel_values=pool.pixels(places).float() / 127.5 - 1).logits
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, pool.labels[places]).backward()
        optimizer.step()
        schedule.step()
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    network.eval().save_pretrained(folder)
    return folder


def measured(target: Path, sources: dict[str, Path], work: Path) -> pd.DataFrame:
    """Of every source: raw scores, what its short runs reached, and the truth."""
    names = [str(folder) for folder in sources.values()]
    ranking = rank(target, names, metrics=["consensus", "logme"], cache_dir=work / "cache")
    rows = {row["checkpoint"]: row for row in ranking.rows}
    images = Images(100 * len(ranking.dataset["classes"]), 0, 0)
    short = ShortRuns(
        target, work / "short", images, len(ranking.dataset["classes"]), SplitNames(), RowLabels(), source_names(names),
        LoadOptions(), {},
    )  # fmt: skip
    contenders = [Contender(name, place, True) for place, name in enumerate(names, 1)]
    results = {result.name: result for result in fine_tune_within(FOREVER, contenders, short, NullProgress()).results}
    grid = work / "truth.json"
    grid.write_text(json.dumps(TRUTH))
    runs = run_grid(
        target, {Path(name).name: name for name in names}, work / "truth", grid=grid, seeds=TRUTH_SEEDS,
        protocol=Protocol(epochs=20, patience=20, validation_per_class=200),
    )  # fmt: skip
    truth = {
        source: group.sort_values("validation_auc").test_auc.tail(2).mean()
        for source, group in runs[runs.status == "ok"].groupby("source")
    }
    return pd.DataFrame(
        [
            {
                "source": name, "feature_quality": rows[name]["feature_quality"], "logme": rows[name]["logme"],
                "result": results[name], "truth": truth[Path(name).name],
            }
            for name in names
        ]
    )  # fmt: skip


def losses(table: pd.DataFrame, size: int, pools: int, counts: tuple[int, ...]) -> dict[str, list[float]]:
    """What each way of deciding loses against the best of a pool, for many pools of so many sources."""
    rng = np.random.default_rng(0)
    lost: dict[str, list[float]] = {}
    for _ in range(pools if size < len(table) else 1):
        pool = table.iloc[rng.permutation(len(table))[:size]]
        scores = formula(
            {"feature_quality": pool.feature_quality.to_numpy(), "logme": pool.logme.to_numpy(), "parameters": np.ones(size)}
        )
        pool = pool.assign(score=scores).sort_values("score", ascending=False, kind="stable")
        best, truth = pool.truth.max(), dict(zip(pool.source, pool.truth, strict=True))

        def picked(chosen: pd.DataFrame) -> float:
            contenders = [
                Contender(name, place, True, score)
                for place, (name, score) in enumerate(zip(chosen.source, chosen.score, strict=True), 1)
            ]
            results = [replace(result, rank=place) for place, result in enumerate(chosen.result, 1)]
            return truth[str(decide(contenders, results, None).recommended)]  # noqa: B023 - used within this round

        lost.setdefault("ranking", []).append(best - pool.truth.iloc[0])
        lost.setdefault("one at random", []).append(best - pool.truth.mean())
        for count in counts:
            lost.setdefault(f"choose among {count}", []).append(best - picked(pool.head(count)))
            for _ in range(3):
                random = pool.iloc[rng.permutation(size)[:count]].assign(score=0.0)
                lost.setdefault(f"{count} at random", []).append(best - picked(random))
    return lost


def of_benchmark(name: str, per_class: int | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """For each target and seed of a bundled benchmark the table that `measured` gives.

    Args:
        name: of the benchmark.
        per_class: validation images that the drawn validation AUCs are of; None for those that were measured.
    """
    rng = np.random.default_rng(0)
    scores = bundled.load("scores", name)
    scores = scores[scores.variant == "default"].pivot_table(index=["target", "source"], columns="metric", values="score")
    runs = bundled.load("runs", name)
    for (target, seed), mine in runs[runs.source != "random_weights"].groupby(["target", "seed"]):
        others = runs[(runs.target == target) & (runs.seed != seed)]
        images = int(mine.validation_images.iloc[0]) if per_class is None else per_class * int(mine.sample_size.iloc[0]) // 100
        rows = []
        for source, short in mine[mine.learning_rate.isin([0.01, 0.04])].groupby("source"):
            aucs = short.validation_auc.to_numpy()
            if per_class is not None:
                errors = [standard_error(auc, images) * rng.standard_normal() for auc in short.test_auc]
                aucs = np.clip(short.test_auc.to_numpy() + errors, 0, 1)
            best = int(np.argmax(aucs))
            truth = others[others.source == source].sort_values("validation_auc").test_auc.tail(4).mean()
            found = Result(str(source), 0, float(aucs[best]), float(short.test_auc.iloc[best]), 0.01, images, 2)
            raw = {part: scores.loc[(target, source), part] for part in ("feature_quality", "logme")}
            rows.append({"source": source, **raw, "result": found, "truth": truth})
        yield str(target), pd.DataFrame(rows)


def print_benchmarks(pools: int) -> None:
    """Mean loss over the targets of both benchmarks, and of `choose` against the others, for several validation samples."""
    for per_class in (None, 25, 200):
        lost: dict[str, dict[tuple[str, str], list[float]]] = {}
        for name in ("open", "open_regnet"):
            for target, table in of_benchmark(name, per_class):
                for way, values in losses(table, 8, pools, (3, 5)).items():
                    lost.setdefault(way, {}).setdefault((name, target), []).append(float(np.mean(values)))
        means = {way: pd.Series({place: float(np.mean(values)) for place, values in of.items()}) for way, of in lost.items()}
        print("validation AUCs as measured" if per_class is None else f"{per_class} validation images per class, drawn")
        for way, of_target in means.items():
            print(f"  {way}: {_with_interval(of_target)}")
        for way, other in itertools.product(("choose among 3", "choose among 5"), means):
            if not other.startswith("choose"):
                gain = means[other] - means[way]
                print(
                    f"  {way} loses less than {other} by {_with_interval(gain)}, on {(gain > 0).sum()} of {len(gain)} targets"
                )


def _with_interval(of_target: pd.Series) -> str:
    """The mean over targets, with its interval of 90 % from drawing their datasets anew, which both benchmarks share."""
    rng = np.random.default_rng(0)
    of_dataset = of_target.groupby(level=1).mean().to_numpy()
    means = of_dataset[rng.integers(len(of_dataset), size=(4000, len(of_dataset)))].mean(axis=1)
    low, high = np.quantile(means, [0.05, 0.95])
    return f"{of_target.mean():.4f} ({low:.4f} to {high:.4f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, nargs="?")
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--benchmarks", action="store_true")
    parser.add_argument("--pools", type=int, default=10, help="of each target and seed")
    parser.add_argument("--targets", nargs="+", default=["pneumonia_cxr"])
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    if options.benchmarks:
        print_benchmarks(options.pools)
        return
    names = sorted(folder.name for folder in options.datasets.iterdir())
    sources = {name: pretrained(options.datasets / name, options.work / "sources" / name, options.steps) for name in names}
    tables = {}
    for target in options.targets:
        others = {name: folder for name, folder in sources.items() if name != target}
        tables[target] = measured(options.datasets / target, others, options.work / target)
        print(f"measured: {target}", flush=True)
    for size, (target, table) in itertools.product((8, len(names) - 1), tables.items()):
        found = losses(table, size, options.pools, (3, 5))
        shown = "; ".join(f"{way} {np.mean(values):.4f}" for way, values in found.items())
        print(f"{target}, pools of {size}: mean loss of test AUC: {shown}")


if __name__ == "__main__":
    main()
