"""Which plain rule should be the default order? Every rule is judged on benchmarks that it was not chosen on.

A rule: the mean rank within the pool by at most three members, and where networks differ in size a share of the rank of the
number of parameters. Whole benchmarks are left out in turn: the best rule on the others is judged on the one left out, against
the present default (feature quality and LogME, size one half), target by target.

Usage: python tests/costs/default_order_study.py [--resamples 2000] [--seed 0]     (some seconds)
"""

import argparse
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hf_transferability.agreement import weighted_tau
from hf_transferability.benchmark import leaderboard
from hf_transferability.benchmark.pools import Pool
from hf_transferability.errors import UndefinedAgreement
from hf_transferability.metrics._pool import rank_shares
from hf_transferability.metrics.consensus import SAME_SIZE

MEMBERS = ("feature_quality", "logme", "nleep", "h_score", "linear_probe", "knn", "sfda", "etran")
SIZE_WEIGHTS = (0.0, 1 / 3, 1 / 2, 2 / 3)
# Columns of the table over all benchmarks that are left out together: they share targets, networks or images.
FOLDS = {
    "paper": ("paper_data", "paper_arch"),
    "open": ("open", "open_regnet", "open_both"),
    "chaves2024": ("chaves_med", "chaves_nat"),
    "medmnistplus": ("medmnist+",),
}


@dataclass(frozen=True)
class Rule:
    """Members whose ranks are averaged, and the weight of the rank of size beside that mean."""

    members: tuple[str, ...]
    size_weight: float

    def __str__(self) -> str:
        weight = {0.0: "0", 1 / 3: "1/3", 1 / 2: "1/2", 2 / 3: "2/3"}[self.size_weight]
        return f"{' + '.join(self.members)}, size {weight}"


DEFAULT = Rule(("feature_quality", "logme"), 1 / 2)


def shares(values: pd.Series) -> pd.Series:
    """`rank_shares` of one pool."""
    return pd.Series(rank_shares(values.to_numpy(dtype=float)), index=values.index)


def rule_scores(rule: Rule, pool: Pool, parameters: "pd.Series | None") -> "pd.Series | None":
    """Scores of a pool's candidates by a rule; None where the benchmark has none of its members."""
    columns = dict(zip(pool.scores.columns.get_level_values("metric"), pool.scores.columns, strict=True))
    present = [
        pool.scores[columns[name]] for name in rule.members if name in columns and pool.scores[columns[name]].notna().any()
    ]
    if not present:
        return None
    evidence = pd.concat([shares(values) for values in present], axis=1).mean(axis=1)
    if parameters is None or rule.size_weight == 0:
        return evidence.round(12)
    sizes = parameters.reindex(evidence.index).where(evidence.notna())
    if sizes[evidence.notna()].isna().any() or not sizes.max() > SAME_SIZE * sizes.min():
        return evidence.round(12)
    return ((1 - rule.size_weight) * evidence + rule.size_weight * shares(sizes)).round(12)


def judged(rules: Sequence[Rule]) -> pd.DataFrame:
    """Weighted tau and regret of the first for every rule, column and target; rows without a value are left out."""
    rows = []
    for column in leaderboard.COLUMNS:
        if column.name not in itertools.chain(*FOLDS.values()):
            continue
        found, _, sources, _, _ = leaderboard.pools_of(column)
        parameters = sources.drop_duplicates("source").set_index("source")["parameters"] if "parameters" in sources else None
        for pool, rule in itertools.product(found, rules):
            scores = rule_scores(rule, pool, parameters)
            if scores is None:
                continue
            scores = scores.dropna()
            truth = pool.performance[scores.index]
            try:
                tau = weighted_tau(scores, truth)
            except UndefinedAgreement:
                continue
            # Candidates that tie for the first place: what is lost on average by taking one of them.
            regret = float(pool.performance.max() - truth[scores == scores.max()].mean())
            rows.append({"rule": rule, "column": column.name, "target": pool.target, "tau": tau, "regret": regret})
    return pd.DataFrame(rows)


def chosen_on(table: pd.DataFrame, columns: Sequence[str], criterion: str) -> Rule:
    """The best rule on these columns, by the mean or the worst column, among those with a value in as many as the default."""
    means = table[table.column.isin(columns)].groupby(["rule", "column"], sort=False).tau.mean().unstack()
    covered = means.notna().sum(axis=1)
    means = means[covered >= covered[DEFAULT]]
    figure = means.mean(axis=1) if criterion == "mean" else means.min(axis=1)
    return figure.idxmax()


def paired(table: pd.DataFrame, rule: Rule, columns: Sequence[str]) -> pd.DataFrame:
    """Difference of a rule and the default for every target on which both have a value."""
    wide = table[table.column.isin(columns)].set_index(["column", "target"])
    one, other = (wide[wide.rule == each] for each in (rule, DEFAULT))
    both = one.join(other, lsuffix="_rule", rsuffix="_default", how="inner")
    return pd.DataFrame({"tau": both.tau_rule - both.tau_default, "regret": both.regret_rule - both.regret_default})


def interval(differences: pd.Series, resamples: int, seed: int) -> tuple[float, float, float]:
    """Mean over columns of their mean over targets, with a 90 % interval from resampled targets.

    A target is drawn with all its columns: the columns of a fold share their targets, so they are not independent.

    Args:
        differences: indexed by (column, target).
    """
    rng = np.random.default_rng(seed)
    wide = differences.unstack("column")
    folds = [wide[[name for name in columns if name in wide]].dropna(how="all") for columns in FOLDS.values()]
    drawn = np.zeros(resamples)
    for fold in folds:
        values = fold.to_numpy()  # [n_targets, n_columns], NaN where a column lacks the target
        if not values.size:
            continue
        counts = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples).astype(float)
        present = counts @ ~np.isnan(values)
        # A resample that drew none of a column's targets takes the column's mean.
        means = np.where(present > 0, counts @ np.nan_to_num(values) / np.maximum(present, 1), np.nanmean(values, axis=0))
        drawn += means.sum(axis=1)
    n_columns = wide.shape[1]
    low, high = np.quantile(drawn / n_columns, [0.05, 0.95]).tolist()
    return float(wide.mean().mean()), low, high


def print_best(table: pd.DataFrame, n: int = 12) -> None:
    """The rules with the best worst column on everything: not a fair judgement, but what was there to choose from."""
    means = table.groupby(["rule", "column"], sort=False).tau.mean().unstack()
    means = means[[name for name in itertools.chain(*FOLDS.values()) if name in means]]
    regrets = table.groupby(["rule", "column"], sort=False).regret.mean().unstack().mean(axis=1)
    shown = means.assign(worst=means.min(axis=1), mean=means.mean(axis=1), regret=regrets, has=means.notna().sum(axis=1))
    shown = shown[shown.has >= shown.has[DEFAULT]]
    top = shown.sort_values("worst", ascending=False).head(n)
    named = pd.concat([top, shown.loc[[rule for rule in extra_rules() if rule not in top.index and rule in shown.index]]])
    named.index = [f"{'* ' if rule == DEFAULT else '  '}{rule}" for rule in named.index]
    print(named.drop(columns="has").to_string(float_format=lambda value: f"{value:.2f}", na_rep="-"))


def print_firsts() -> None:
    """The first candidate of every target of the home-made benchmarks, by the former default and by the new one."""
    print("\nfirst candidate and its regret in AUC, by the former default (transferability) and the new one (consensus):")
    for column in leaderboard.COLUMNS:
        if column.name not in FOLDS["open"]:
            continue
        found, _, _, _, _ = leaderboard.pools_of(column)
        totals = []
        for pool in found:
            lines = []
            for metric in ("transferability", "consensus"):
                scores, truth = pool.scored(metric, "default")
                best = scores.index[scores == scores.max()]
                regret = float(pool.performance.max() - truth[best].mean())
                lines.append((regret, f"{' = '.join(best)} {regret:.3f}"))
            totals.append([regret for regret, _ in lines])
            print(f"  {column.name:12s} {pool.target:22s} {lines[0][1]:40s} {lines[1][1]}")
        print(f"  {column.name:12s} {'mean regret':22s} {np.mean(totals, axis=0)[0]:<40.3f} {np.mean(totals, axis=0)[1]:.3f}")


def extra_rules() -> list[Rule]:
    """The default and its neighbours, which are shown in any case."""
    return [Rule(DEFAULT.members, weight) for weight in SIZE_WEIGHTS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # constant scores are left out below
    subsets = [subset for size in (1, 2, 3) for subset in itertools.combinations(MEMBERS, size)]
    rules = [Rule(members, weight) for members in subsets for weight in SIZE_WEIGHTS]
    table = judged(rules)
    print(f"{len(rules)} rules; mean weighted tau over targets; * the default; best worst column first\n")
    print_best(table)
    print_firsts()
    for criterion in ("worst", "mean"):
        print(f"\nchosen by the {criterion} column of the other benchmarks, judged on the one left out (rule - default):")
        judged_on = []
        for fold, columns in FOLDS.items():
            others = [name for each in FOLDS.values() for name in each if name not in columns]
            rule = chosen_on(table, others, criterion)
            differences = paired(table, rule, columns)
            if differences.empty:
                own = table[(table.rule == rule) & table.column.isin(columns)]
                reached = f"; the chosen rule reaches {own.tau.mean():.2f}" if len(own) else ""
                print(f"  {fold:13s} {rule}: the default has no value there{reached}")
                continue
            judged_on.append(differences)
            tau = interval(differences.tau, options.resamples, options.seed)
            print(f"  {fold:13s} {rule}: tau {tau[0]:+.3f} ({tau[1]:+.3f} to {tau[2]:+.3f}), {len(differences)} targets")
        every = pd.concat(judged_on)
        tau = interval(every.tau, options.resamples, options.seed)
        regret = interval(every.regret, options.resamples, options.seed)
        print(f"  all           tau {tau[0]:+.3f} ({tau[1]:+.3f} to {tau[2]:+.3f}), ", end="")
        print(f"regret {regret[0]:+.4f} ({regret[1]:+.4f} to {regret[2]:+.4f})")
        decision = "take another rule" if tau[1] > 0 else "keep the default: no rule is better by more than the noise"
        print(f"  decision: {decision}")


if __name__ == "__main__":
    main()
