"""The README beside the tables of the open benchmark: how they were made and what they are worth; open_benchmark.py uses it."""

from collections.abc import Mapping, Sequence

import pandas as pd

from hf_transferability.benchmark.compare import compare
from hf_transferability.benchmark.grids import BEST
from hf_transferability.benchmark.ground_truth import PUBLISHED, reliability

MEAN = f"mean_of_best_{BEST}"
INFORMATIVE = 0.5  # agreement between halves of the runs below which a target is marked
TEMPLATE = """# A small benchmark on open data

{targets} targets, {sources} kinds of sources, {runs} fine-tuning runs of a small ResNet ({size} px, {parameters:,} parameters
without its head). Only numbers are here: no images, no weights. A second opinion beside the paper's results, too small to
overturn them.

Made from a folder of eleven open datasets in Hub layout (28 to 64 px) by

```sh
python tests/benchmarks/open_benchmark.py FOLDER --datasets DATASETS --seeds {fewest}
```

- **Sources**: each dataset alone (its training split; AdamW, 300 steps of 64 images and one more per 50 images of the dataset),
  the union of all datasets but the target (`all_but_target`, another checkpoint for each target, about 800 steps), and
  `random_weights`. No source has seen its target.
- **Fine-tuning**: SGD with Nesterov momentum {momentum:g}, batches of {batch_size}, weight decay {weight_decay:g}, learning
  rates {rates}, {seeds} seeds (see below; each draws its own samples), {epochs} epochs with a cosine, the best epoch by
  validation AUC; {train_per_class} x classes training and {validation_per_class} x classes
  validation images, the whole test split, used once per run. The paper takes 100 x classes and up to 200 epochs.
- **Scores**: `rank --metric all`, default and published variants, 100 x classes training images, seed 0.
- **A pilot came first** (2 targets, 3 to 5 sources, 4 or 8 runs each). With 30 x classes images and rates up to 0.1 the seeds
  moved the AUC as much as the sources did, and breast ultrasound lay between 0.42 and 0.76. With 100 x classes images and a
  rate of 0.01 two seeds of one source differed by 0.00 to 0.10 there, and the sources by 0.16; but a run cost twice as much.
  Hence 60 x classes images, lower rates, and the mean of the best runs as the figure to compare with.
- **Hardware**: {hardware}, one thread; {hours:.1f} hours of fine-tuning on a busy machine. Versions, dates, seeds and
  fingerprints of the samples stand in every row.

## How far the ground truth can be trusted

Weighted Kendall tau between the orders from two halves of the runs (mean over 50 divisions of the settings), and the range of
the sources' test AUC by `{mean}`. A target under {informative} by `{mean}` is **uninformative**: its order is mostly
noise, and agreement with it means little.

{halves}

## What the metrics foresee here

Mean weighted Kendall tau with the ground truth (`{mean}`) and its 90 % interval over resampled sources; best first.
Baselines look at no image of the target; `split_half` is the ceiling that noise leaves.

{agreement}

{verdict}

The columns are described in `hf_transferability/benchmark/tables.py`.
"""


def readme(found: Mapping[str, pd.DataFrame], size: int, protocol: Mapping[str, int]) -> str:
    """The text, with figures from the tables `runs`, `ground_truth`, `scores` and `sources`."""
    runs = found["runs"]
    targets = list(dict.fromkeys(runs["target"]))
    seeds = runs.groupby("target")["seed"].nunique()
    halves = {selection: reliability(runs, selection).set_index("target")["value"] for selection in (PUBLISHED, MEAN)}
    good = [target for target in targets if halves[MEAN][target] >= INFORMATIVE]
    truth = found["ground_truth"]
    aucs = truth[truth["selection"] == MEAN].groupby("target")["test_auc"].agg(["min", "max"])
    lines = [
        [
            target,
            str(seeds[target]),
            *(f"{values[target]:.2f}" for values in halves.values()),
            f"{aucs['min'][target]:.3f} to {aucs['max'][target]:.3f}",
            "" if target in good else "uninformative",
        ]
        for target in targets
    ]
    first = runs.iloc[0]
    agreement, verdict = _agreement(found, targets, good)
    return TEMPLATE.format(
        targets=len(targets),
        sources=found["sources"]["source"].nunique(),
        runs=len(runs),
        size=size,
        parameters=found["sources"]["parameters"].iloc[0],
        fewest=seeds.min(),
        seeds=f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} or {seeds.max()}",
        momentum=first["momentum"],
        batch_size=first["batch_size"],
        weight_decay=first["weight_decay"],
        rates=", ".join(f"{rate:g}" for rate in sorted(runs["learning_rate"].unique())),
        **protocol,
        hardware=first["hardware"],
        hours=runs["seconds"].sum() / 3600,
        mean=MEAN,
        informative=INFORMATIVE,
        halves=_table(["target", "seeds", PUBLISHED, MEAN, "test AUC", ""], lines),
        agreement=agreement,
        verdict=verdict,
    )


def _agreement(found: Mapping[str, pd.DataFrame], targets: Sequence[str], good: Sequence[str]) -> tuple[str, str]:
    """The table of all methods, over all targets and over the informative ones, and what is better than the paper's metric."""
    everywhere, informative = (_means(found, chosen) for chosen in (targets, good))
    ordered = everywhere.sort_values("value", ascending=False)
    lines = [
        [*key, *(_cell(table.loc[key]) if key in table.index else "" for table in (everywhere, informative))]
        for key in ordered.index
    ]
    own = everywhere["value"][("transferability", "default")]
    above = [
        f"{name} ({variant})" for (name, variant), value in ordered["value"].items() if value > own and name != "split_half"
    ]
    verdict = f"The paper's metric (`transferability`, {own:.2f} over all targets) is below {', '.join(above) or 'no other'}."
    return _table(["metric", "variant", f"all {len(targets)} targets", f"the {len(good)} informative"], lines), verdict


def _means(found: Mapping[str, pd.DataFrame], targets: Sequence[str]) -> pd.DataFrame:
    rows = compare(
        found["ground_truth"],
        found["scores"],
        sources=found["sources"],
        runs=found["runs"],
        selection=MEAN,
        targets=targets,
    ).rows
    rows = rows[(rows["statistic"] == "weighted_tau") & (rows["target"] == "mean") & rows["value"].notna()]
    return rows.set_index(["metric", "variant"])[["value", "low", "high"]]


def _cell(row: pd.Series) -> str:
    return f"{row['value']:.2f}" + (f" ({row['low']:.2f} to {row['high']:.2f})" if pd.notna(row["low"]) else "")


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [titles, ["---"] * len(titles), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
