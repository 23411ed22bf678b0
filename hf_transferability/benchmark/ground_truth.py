"""From fine-tuning runs to ground truth: which figure of many runs counts, and how far it can be trusted.

Juodelyte et al. 2024 take the test AUC of the run with the lowest validation loss. One run is a noisy pick: the mean of the
best few, by the same loss, is less so. The test split never chooses a run.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_transferability import agreement
from hf_transferability.benchmark.newest import newest
from hf_transferability.benchmark.tables import MEASURES
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = "lowest_validation_loss"
# How the figure of a published study was taken, where there are no runs to take it from; {} is its measure.
_STUDIES = {
    "as_published": "{} after fine-tuning, as the cited study published it",
    "frozen_as_published": "{} of another kind of training in the cited study, which looks like that of a frozen network",
    "best_validation_run": "{} of the fine-tuning setting with the best validation figure, as the cited study published it",
    "mean_of_3_seeds": "mean {} of 3 fine-tuning seeds, as the cited study published it",
}
SELECTIONS = (PUBLISHED, "mean_of_best_5", *_STUDIES)  # those that the bundled tables have
_DEFAULTS = (PUBLISHED, "as_published")  # of several selections
PAIR = ["benchmark", "scenario", "source", "target"]
RUN = ["batch_size", "learning_rate", "momentum", "weight_decay", "epochs", "seed"]  # what runs of one pair differ in

# The paper's ResNet among the architectures is the ImageNet source of the other scenario; its runs are listed there only.
_SHARED = {("paper", "architecture", "resnet"): ("paper", "source_dataset", "imagenet")}


def runs_of(selection: str) -> int:
    """How many of a pair's runs a selection averages: 1 for lowest_validation_loss, K for mean_of_best_K.

    Raises:
        UsageError: it is neither.
    """
    if selection == PUBLISHED:
        return 1
    if match := re.fullmatch(r"mean_of_best_([1-9]\d*)", selection):
        return int(match[1])
    raise UsageError(f"`selection` must be {PUBLISHED} or mean_of_best_K, for example mean_of_best_5; got {selection!r}.")


def choose(
    ground_truth: "pd.DataFrame | None",
    runs: "pd.DataFrame | None",
    selection: str | None,
    measure: str | None = None,
) -> tuple["pd.DataFrame", list[str]]:
    """The ground truth of one benchmark and one selection, from the table or else from the runs; and what it is, in words.

    Raises:
        UsageError: neither has it, or there are several and none is named; or as `one_measure`.
    """
    there = [] if ground_truth is None else sorted(ground_truth.selection.unique())
    if selection is None:
        selection = there[0] if len(there) == 1 else next((name for name in _DEFAULTS if name in there or not there), None)
        if selection is None:
            raise UsageError(f"the ground truth has the selections {', '.join(there)}. Choose one with --selection.")
    missing: set[tuple[str, str, str]] = set()
    if ground_truth is not None and selection in there:
        chosen = ground_truth[ground_truth.selection == selection]
    elif runs is not None:
        chosen = from_runs(runs, selection)
        names = ["scenario", "source", "target"]
        if ground_truth is not None:
            missing = set(ground_truth[names].itertuples(index=False, name=None))
            missing -= set(chosen[names].itertuples(index=False, name=None))
    else:
        raise UsageError(
            f"there is no ground truth of selection {selection}; got {', '.join(there) or 'none'}. Choose one of these with "
            "--selection, or give the fine-tuning runs with --runs."
        )
    benchmarks = sorted(chosen.benchmark.unique())
    if len(benchmarks) != 1:
        raise UsageError(f"the ground truth must be of one benchmark; got {', '.join(benchmarks) or 'no rows'}. Keep one.")
    chosen = one_measure(chosen, measure)
    single = newest(chosen, PAIR)
    notes = [f"ground truth: {in_words(selection, single.n_runs.dropna().tolist(), single.measure.unique())}."]
    if passed := len(chosen) - len(single):
        notes.append(
            f"ground truth: of several figures of one source and target (other checkpoints or samples) the newest counts; "
            f"{passed} older ones were ignored."
        )
    chosen = single
    if missing:
        listed = ", ".join(f"{source} on {target}" for _, source, target in sorted(missing))
        notes.append(f"left out, because none of their runs finished: {listed}.")
    return chosen, notes


def one_measure(ground_truth: "pd.DataFrame", measure: str | None = None) -> "pd.DataFrame":
    """The rows of one measure for each pair and selection: AUC where there are several and none is named.

    Raises:
        UsageError: there is no row of this measure, or none is named and a pair with several lacks AUC.
    """
    there = sorted(ground_truth.measure.unique())
    if measure is not None:
        if measure not in there:
            raise UsageError(f"`measure` must be one that the ground truth has: {', '.join(there)}; got {measure!r}.")
        return ground_truth[ground_truth.measure == measure]
    several = ground_truth.groupby([*PAIR, "selection"])["measure"].transform("nunique") > 1
    chosen = ground_truth[~several | (ground_truth.measure == "auc")]
    if set(map(tuple, ground_truth[PAIR].to_numpy())) != set(map(tuple, chosen[PAIR].to_numpy())):
        raise UsageError(f"the ground truth has the measures {', '.join(there)}. Choose one with --measure.")
    return chosen


def unit(measures: Iterable[str]) -> str:
    """What a performance, or a regret, in these measures is called."""
    there = set(measures)
    return " or ".join(name for measure, name in MEASURES.items() if measure in there)


def in_words(selection: str, finished: Sequence[int] = (), measures: Iterable[str] = ("auc",)) -> str:
    """What a selection means, in words; where fewer runs than it takes have finished, with how many it really averages."""
    if selection in _STUDIES:
        return _STUDIES[selection].format(unit(measures))
    if selection == PUBLISHED:
        return "test AUC of the fine-tuning run with the lowest validation loss, as the paper takes it"
    try:
        most = runs_of(selection)
    except UsageError:
        return selection
    taken = sorted({min(most, n) for n in finished}) or [most]
    least, largest = taken[0], taken[-1]
    if largest == 1:
        return "test AUC of the only fine-tuning run that finished"
    if largest < most:
        number = f"{least} to {largest}" if least < largest else f"{least}"
        return f"mean test AUC of all finished fine-tuning runs, {number} per source and target (de-noised)"
    fewer = f", or of all where fewer finished, at least {least}" if least < most else ""
    return f"mean test AUC of the {most} fine-tuning runs with the lowest validation loss{fewer} (de-noised)"


def from_runs(runs: "pd.DataFrame", selection: str = PUBLISHED) -> "pd.DataFrame":
    """The ground truth of every pair with a finished run.

    Args:
        runs: a table of that name.
        selection: "lowest_validation_loss" for the test AUC of that run, or "mean_of_best_K" for the mean test AUC of the K
            runs of lowest validation loss (of all, where there are fewer). Runs of equal loss count in the order of their
            number.

    Returns:
        A table of ground_truth; n_runs is the number of finished runs. Pairs whose runs all failed are not in it.

    Raises:
        UsageError: another selection.
    """
    best = runs_of(selection)
    finished = _finished(runs)
    pairs = finished.groupby(PAIR, sort=False)
    chosen = pairs.head(best).groupby(PAIR, sort=False).test_auc.mean().rename("performance")
    truth = chosen.reset_index().assign(selection=selection, measure="auc", n_runs=pairs.size().to_numpy())
    return truth[[*PAIR, "selection", "measure", "performance", "n_runs"]].astype({"n_runs": "Int64"})


def one_draw(runs: "pd.DataFrame") -> bool:
    """Whether all runs of a pair share one draw of training images: as in the paper, and where the runs do not say it."""
    columns = [name for name in ("sample_seed", "dataset_fingerprint") if name in runs]
    return bool((runs.groupby(PAIR)[columns].nunique() < 2).all(axis=None)) if columns else True


def with_shared_runs(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The runs, and under its own name those of a source that the paper lists in its other scenario only."""
    import pandas as pd

    parts = [runs]
    names = ["benchmark", "scenario", "source"]
    for missing, listed in _SHARED.items():
        if not (runs[names] == list(missing)).all(axis=1).any():
            copy = runs[(runs[names] == list(listed)).all(axis=1)].copy()
            copy[names] = list(missing)
            targets = runs[runs.scenario == missing[1]].target.unique()
            parts.append(copy[copy.target.isin(targets)])
    return pd.concat(parts, ignore_index=True)


def halves(
    runs: "pd.DataFrame",
    scenario: str,
    target: str,
    selection: str = PUBLISHED,
    *,
    repeats: int = 50,
    seed: int = 0,
    one_division: bool = True,
) -> tuple["pd.Index", np.ndarray, np.ndarray]:
    """The ground truth of a target from one random half of its fine-tuning grid, and from the other half.

    Args:
        runs: a table of that name.
        scenario, target: of the pairs.
        selection: how a figure is taken from each half; see `from_runs`.
        repeats: random divisions into halves.
        seed: decides the divisions.
        one_division: the grid is divided once for all sources, by its hyperparameters (batch size, learning rate, momentum,
            weight decay, epochs) and seeds, so that all are chosen from the same settings. False divides every source's runs
            on their own, which adds the luck of the settings to the difference.

    Returns:
        (sources, AUC of the first halves, AUC of the second), the arrays [repeats, n_sources]. Sources with fewer than two
        finished runs, and the target's own, are left out; NaN where all of a half failed.
    """
    import pandas as pd

    best = runs_of(selection)
    rng = np.random.default_rng([seed, *f"{scenario}/{target}".encode()])
    pair_runs = runs[(runs.scenario == scenario) & (runs.target == target) & (runs.source != target)]
    settings = pair_runs.groupby([name for name in RUN if name in pair_runs], sort=True, dropna=False).ngroup()
    in_first = _divisions(int(settings.max()) + 1 if len(pair_runs) else 0, repeats, rng)
    sources, first, second = [], [], []
    for source, finished in _finished(pair_runs).groupby("source", sort=False):
        if len(finished) < 2:
            continue
        aucs = finished.test_auc.to_numpy()
        mine = in_first[:, settings[finished.index]] if one_division else _divisions(len(finished), repeats, rng)
        sources.append(source)
        first.append(_mean_of_first(aucs, mine, best))
        second.append(_mean_of_first(aucs, ~mine, best))
    if not sources:
        return pd.Index([], name="source"), np.empty((repeats, 0)), np.empty((repeats, 0))
    return pd.Index(sources, name="source"), np.array(first).T, np.array(second).T


def reliability(
    runs: "pd.DataFrame",
    selection: str = PUBLISHED,
    *,
    statistic: str = "weighted_tau",
    repeats: int = 50,
    seed: int = 0,
    one_division: bool = True,
) -> "pd.DataFrame":
    """How well two halves of the fine-tuning runs agree about the sources, per scenario and target: the noise ceiling.

    For the paper's runs the mean weighted tau over the 11 targets with scores is 0.65 for source datasets and 0.55 for
    architectures with one division of the grid for all sources, and 0.61 and 0.54 where every source's runs are divided on
    their own; with mean_of_best_5 it is 0.84 and 0.74.

    Args:
        runs, selection, repeats, seed, one_division: as in `halves`.
        statistic: one of agreement.STATISTICS, or spearman.

    Returns:
        Columns scenario, target, value (mean over the divisions; NaN where undefined), low, high (the middle 90% of the
        divisions), n_sources.
    """
    import pandas as pd

    rows = []
    for scenario, target in runs[["scenario", "target"]].drop_duplicates().itertuples(index=False):
        sources, first, second = halves(
            runs, scenario, target, selection, repeats=repeats, seed=seed, one_division=one_division
        )
        values = ceiling(statistic, first, second)
        low, high = agreement.interval(values) or (np.nan, np.nan)
        mean = float(np.nanmean(values)) if not np.isnan(values).all() else np.nan
        rows.append((scenario, target, mean, low, high, len(sources)))
    return pd.DataFrame(rows, columns=["scenario", "target", "value", "low", "high", "n_sources"])


def reliability_over_seeds(ground_truth: "pd.DataFrame") -> "pd.DataFrame":
    """How much of the differences between the sources of a target is more than the noise of repeated fine-tuning.

    With the standard deviations that a study gives: 1 - (mean variance of a source's mean) / (variance between the sources'
    means), at least 0; the share of the variance that another set of seeds would show again.

    Args:
        ground_truth: a table of that name with one selection and measure; rows without `performance_sd` do not count.

    Returns:
        Columns scenario, target, value, n_sources; targets with fewer than three sources are left out.
    """
    import pandas as pd

    rows = []
    known = ground_truth[ground_truth.performance_sd.notna()] if "performance_sd" in ground_truth else ground_truth.head(0)
    for (scenario, target), group in known.groupby(["scenario", "target"], sort=False):
        if len(group) < 3:
            continue
        noise = float((group.performance_sd**2 / group.n_runs.fillna(1).astype(float)).mean())
        between = float(group.performance.var())
        rows.append((scenario, target, max(0.0, 1 - noise / between) if between > 0 else 0.0, len(group)))
    return pd.DataFrame(rows, columns=["scenario", "target", "value", "n_sources"])


def ceiling(statistic: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The statistic between two halves, [repeats]; a division that leaves a source without a figure is NaN."""
    values = np.full(len(first), np.nan)
    complete = ~(np.isnan(first) | np.isnan(second)).any(axis=1)
    if first.shape[1] > 1 and complete.any():
        values[complete] = agreement.split_half(statistic, first[complete], second[complete])
    return values


def _finished(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The runs with figures, lowest validation loss first within each pair; of several of one number the newest."""
    there = (runs.status == "ok") & runs.validation_loss.notna() & runs.test_auc.notna()
    return newest(runs[there], [*PAIR, "run"]).sort_values(["validation_loss", "run"], kind="stable")


def _divisions(n: int, repeats: int, rng: np.random.Generator) -> np.ndarray:
    """Which of n things are in the first half (n // 2 of them), bool [repeats, n]."""
    return rng.permuted(np.tile(np.arange(n) < n // 2, (repeats, 1)), axis=1)


def _mean_of_first(values: np.ndarray, chosen: np.ndarray, k: int) -> np.ndarray:
    """Mean of the first k chosen values, best first, in each row of `chosen`; NaN in a row without any."""
    taken = chosen & (np.cumsum(chosen, axis=1) <= k)
    n = taken.sum(axis=1)
    return np.where(n > 0, np.where(taken, values, 0).sum(axis=1) / np.maximum(n, 1), np.nan)
