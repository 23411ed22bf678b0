"""Do results of a checkpoint in one study predict those in another? Each study is left out and ranked by the others.

Priors: mean percentile in the other studies of the same weights (`checkpoint`), of the same network whatever its weights
(`architecture`), of its `family`, or of the first of these that is known (`nearest`); for comparison, of the network itself on
the other targets of its own study (`same study`). Studies of the same authors are left out together, unless --related is given,
and so is every study that holds the target. Agreement is the weighted Kendall tau with fine-tuned performance, mean over
targets; intervals are 90 %, from bootstraps over targets.

    .venv/bin/python tests/costs/known_elsewhere_study.py [--related] [--seed 0]
"""

import argparse

import numpy as np
import pandas as pd
from scipy.stats import weightedtau

from hf_transferability.benchmark import bundled, known

LEVELS = ("checkpoint", "architecture", "family", "nearest", "same study")
RELATED = ({"chaves2023", "chaves2024"}, {"transfergraph", "transfergraph_vtab1k"})
# The evidence that a study publishes: the metrics whose mean rank it is.
EVIDENCE = {"paper": ("feature_quality", "logme"), "chaves2024": ("logme",), "medmnistplus": ("linear_probe",)}
FEWEST = 4  # candidates that must be known on a target
REPEATS = 4000
PAIR = ["study", "group", "target"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--related", action="store_true", help="count studies of the same authors as other studies")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstraps")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    results = facts()
    left_out = studies_left_out(results, options.related)
    for level in LEVELS:
        rows = pd.DataFrame(
            [row for pair, pool in results.groupby(PAIR) if (row := judged(pair, pool, results, left_out, level))]
        )
        print(f"\n## Prior: {level}\n\nOn the candidates that are known (at least {FEWEST}):\n")
        if rows.empty:
            print("no target has enough candidates that are known")
            continue
        print_table(rows, ["prior", "size", "imagenet", "evidence"], rng)
        print_differences(rows, [("prior", "size"), ("prior", "imagenet"), ("prior", "evidence")], rng)
        half = rows[rows.known >= 0.5]
        if not half.empty:
            print("\nOn all candidates, where at least half are known (an unknown one gets the middle rank):\n")
            print_table(half, ["prior alone", "size alone", "evidence alone", "evidence + size", "evidence + prior"], rng)
            print_differences(half, [("prior alone", "size alone"), ("evidence + prior", "evidence + size")], rng)


def facts() -> pd.DataFrame:
    """Results with percentile, value, architecture, family, parameters, ImageNet top-1 accuracy and evidence (NaN: unknown)."""
    mapping = pd.read_csv(known.FOLDER / "checkpoints.csv", dtype=str, keep_default_na=False)
    raw = pd.read_parquet(known.FOLDER / "results.parquet")
    results = known.bundled().percentiles.merge(raw, on=[*PAIR, "name"])
    results = results.merge(mapping[["study", "name", "architecture", "family"]], on=["study", "name"])
    sources = pd.concat([bundled.load("sources", study) for study in set(bundled.benchmarks()) & set(results.study)])
    sources = sources.rename(columns={"benchmark": "study", "source": "name"})[["study", "name", "parameters", "imagenet_top1"]]
    results = results.merge(sources, on=["study", "name"], how="left")
    # What one study does not say of the same weights or network, another may.
    for column, same in (("parameters", "architecture"), ("imagenet_top1", "checkpoint")):
        results[column] = results[column].astype(float)
        results.loc[results[same] != "", column] = results[column].fillna(results.groupby(same)[column].transform("median"))
    return results.merge(evidence(), on=["study", "target", "name"], how="left")


def evidence() -> pd.DataFrame:
    """Mean rank by the published metrics, for the studies that have some."""
    frames = []
    for study, metrics in EVIDENCE.items():
        scores = bundled.load("scores", study)
        chosen = scores.metric.isin(metrics) & (scores.variant == "published")
        chosen &= scores.scenario == "architecture"
        ranks = scores[chosen].assign(evidence=scores.groupby(["target", "metric"]).score.rank())
        mean = ranks.groupby(["target", "source"]).evidence.mean().reset_index().assign(study=study)
        frames.append(mean.rename(columns={"source": "name"}))
    return pd.concat(frames)


def studies_left_out(results: pd.DataFrame, related: bool) -> dict[tuple[str, str], set[str]]:
    """(study, target) -> the studies that must not be used: itself, those of its authors, and all that hold the target."""
    table = known.bundled()
    holders = {name: set(table.without([name, *table.other_names.get(name, ())])[1]) for name in results.target.unique()}
    own = {
        study: next((group for group in RELATED if study in group and not related), {study}) for study in results.study.unique()
    }
    pairs = results[["study", "target"]].drop_duplicates().itertuples(index=False)
    return {(study, target): own[study] | holders[target] for study, target in pairs}


def prior(pool: pd.DataFrame, results: pd.DataFrame, left_out: set[str], level: str) -> pd.Series:
    """Mean percentile elsewhere of every row of the pool, first over the results of a target; NaN where nothing is known."""
    study, group, target = (pool[column].iloc[0] for column in PAIR)
    if level == "same study":
        beside = (results.study == study) & (results.group == group) & (results.target != target)
        return pool.name.map(results[beside].groupby("name").percentile.mean())
    others = results[~results.study.isin(left_out)]
    if level == "nearest":
        found = [prior(pool, results, left_out, each) for each in ("checkpoint", "architecture", "family")]
        return found[0].fillna(found[1]).fillna(found[2])
    others = others[others[level] != ""]
    return pool[level].map(others.groupby([level, "target"]).percentile.mean().groupby(level=0).mean())


def judged(pair: tuple, pool: pd.DataFrame, results: pd.DataFrame, left_out: dict, level: str) -> dict | None:
    """Agreement of the prior and of what it competes with, on one target; None where too few candidates are known."""
    study, group, target = pair
    values = prior(pool, results, left_out[study, target], level)
    there = values.notna()
    if there.sum() < FEWEST or values.nunique() < 2:
        return None
    row = {"study": study, "group": group, "target": target, "known": there.mean()}
    rivals = {"prior": values, "size": pool.parameters, "imagenet": pool.imagenet_top1, "evidence": pool.evidence}
    row |= {name: agreement(rival[there], pool.value[there]) for name, rival in rivals.items()}
    first, second, third = ranks(values), ranks(pool.parameters), ranks(pool.evidence, unknown=np.nan)
    whole = {
        "prior alone": first, "size alone": second, "evidence alone": third, "evidence + size": third / 2 + second / 2,
        "evidence + prior": third / 2 + first / 2,
    }  # fmt: skip
    return row | {name: agreement(score, pool.value) if score.notna().all() else np.nan for name, score in whole.items()}


def ranks(values: pd.Series, unknown: float = 0.5) -> pd.Series:
    """Ranks within the pool, 0 to 1."""
    return ((values.rank() - 0.5) / values.notna().sum()).fillna(unknown)


def agreement(scores: pd.Series, truth: pd.Series) -> float:
    """Weighted Kendall tau on the candidates that have a score; NaN if they are too few or all the same."""
    there = scores.notna()
    if there.sum() < FEWEST or scores[there].nunique() < 2:
        return float("nan")
    return float(weightedtau(scores[there], truth[there]).statistic)


def print_table(rows: pd.DataFrame, columns: list[str], rng: np.random.Generator) -> None:
    """One line per study and group, and the mean of these."""
    print(f"| left out | targets | known | {' | '.join(columns)} |")
    print("|---" * (3 + len(columns)) + "|")
    lines = {
        f"{study} {'' if group == 'all' else group}".strip(): own for (study, group), own in rows.groupby(["study", "group"])
    }
    for name, own in lines.items():
        cells = [interval(own[column].dropna().to_numpy(), rng) for column in columns]
        print(f"| {name} | {len(own)} | {own.known.mean():.0%} | {' | '.join(cells)} |")
    means = pd.DataFrame({name: own[[*columns, "known"]].mean() for name, own in lines.items()}).T
    cells = ["-" if np.isnan(value) else f"{value:.2f}" for value in means[columns].mean()]
    print(f"| mean of these | {len(rows)} | {means.known.mean():.0%} | {' | '.join(cells)} |")


def print_differences(rows: pd.DataFrame, pairs: list[tuple[str, str]], rng: np.random.Generator) -> None:
    """Mean difference over the targets that have both."""
    print()
    for one, other in pairs:
        both = rows.dropna(subset=[one, other])
        values = (both[one] - both[other]).groupby([both.study, both.target]).mean().to_numpy()
        if len(values):
            print(f"{one} less {other}: {interval(values, rng)} over {len(values)} targets of {both.study.nunique()} studies")


def interval(values: np.ndarray, rng: np.random.Generator) -> str:
    """Mean and 90 % interval over targets, as text."""
    if not len(values):
        return "-"
    low, high = np.quantile(rng.choice(values, (REPEATS, len(values))).mean(axis=1), [0.05, 0.95])
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
