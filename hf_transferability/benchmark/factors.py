"""What goes with good transfer: facts of the sources, and properties of their features, against fine-tuned performance.

Within every target the sources are ordered by a factor and by their fine-tuned performance (Spearman's correlation); the mean
over the targets is what counts. The intervals come from resampled sources: they say what other sources would show, and with
some ten of them they are wide. Targets share their sources, so that more targets do not make up for few sources.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability import agreement, provenance
from hf_transferability.benchmark.composites import PAPER_PARTS
from hf_transferability.benchmark.newest import newest
from hf_transferability.benchmark.pools import Pool, latest, pools
from hf_transferability.errors import UndefinedAgreement, UsageError

if TYPE_CHECKING:
    import pandas as pd

SIZE, CLASSES, RANK = "train_images", "classes", "effective_rank"
FACTORS = (
    SIZE, CLASSES, "same_modality", "same_colour", "feature_width", "parameters", *PAPER_PARTS, RANK,
)  # fmt: skip
RESAMPLES = 2000
_FILLERS = {"and", "of", "the"}


@dataclass(frozen=True)
class Factors:
    """What goes with good transfer.

    Attributes:
        benchmark: the ground truth's.
        selection: how the ground truth was taken from the fine-tuning runs.
        rows: one dict per scenario and factor: the mean correlation, its interval, on how many targets and (at most) sources
            of each it rests, and a verdict: more is better, more is worse, cannot tell, or undefined (and why).
        claims: one dict per claim of the paper: its text, a verdict (supported, not supported, cannot tell) and the numbers.
        notes: what the reader should know.
        seed, resamples: of the intervals.
    """

    benchmark: str
    selection: str
    rows: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    notes: list[str]
    seed: int
    resamples: int
    versions: dict[str, str] = field(default_factory=provenance.package_versions)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "benchmark": self.benchmark,
            "selection": self.selection,
            "seed": self.seed,
            "resamples": self.resamples,
            "interval_level": agreement.LEVEL,
            "rows": self.rows,
            "claims": self.claims,
            "notes": self.notes,
            "versions": self.versions,
        }


@dataclass(frozen=True)
class _Finding:
    """A factor in one scenario: its mean correlation, and the same in every resample of the sources."""

    factor: str
    value: float | None
    spread: np.ndarray | None
    n_sources: int  # of a target, at most; without its own
    n_targets: int
    reason: str | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        return agreement.interval(self.spread) if self.spread is not None else None


def effective_rank(features: Any) -> float:
    """Effective rank of a set of features: over how many directions they spread, 1 to min(n_samples, n_features).

    The exponential of the entropy of the singular values, scaled to a sum of 1 (Roy and Vetterli 2007, EUSIPCO), of the centred
    features: a constant part of all images says nothing about their diversity.

    Args:
        features: [n_samples, n_features], float.

    Raises:
        ValueError: not a finite matrix of two or more rows, or all rows are equal.

    Example:
        >>> round(effective_rank([[1, 0], [-1, 0], [0, 1], [0, -1]]), 3)
        2.0
    """
    x = np.asarray(features, dtype=float)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"`features` must be finite numbers [n_samples, n_features] of two samples or more; got {x.shape}.")
    singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    if singular[0] <= np.finfo(float).eps * max(x.shape) * np.abs(x).max():
        raise ValueError("`features` must differ between samples; all rows are equal. Check how they were extracted.")
    shares = singular[singular > 0] / singular.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def effective_rank_of_file(path: str) -> float:
    """Effective rank of the features in a file of arrays, .npz or .safetensors.

    Raises:
        UsageError: a file that cannot be read, without features, or with features that have no effective rank.
    """
    from hf_transferability.data.array_files import read_arrays

    arrays = read_arrays(path)
    if "features" not in arrays:
        raise UsageError(f"{path} must hold an array called features; got {', '.join(arrays)}. Add it.")
    try:
        return effective_rank(arrays["features"])
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def factors(
    ground_truth: "pd.DataFrame",
    scores: "pd.DataFrame",
    sources: "pd.DataFrame",
    *,
    effective_ranks: Mapping[str, float] | None = None,
    scenarios: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Factors:
    """Correlate facts and features of the sources with fine-tuned performance, and check the paper's two claims.

    Args:
        ground_truth: a table of that name, of one benchmark and selection; all its targets count, also those without scores.
        scores: a table of that name, for feature quality and feature update ratio (the published form, else the default).
        sources: a table of that name; a target's modality and colour are those of the source of the same name.
        effective_ranks: effective rank of a source's features, by source.
        scenarios: only these; default all.
        resamples: bootstrap samples of the sources.
        seed: decides the samples.
    """
    import pandas as pd

    facts = sources.drop_duplicates("source").set_index("source")
    ranks = pd.Series(dict(effective_ranks or {}), dtype=float)
    scores, notes = latest(scores)
    truth = newest(ground_truth[ground_truth.source != ground_truth.target], ["scenario", "source", "target"])
    scored = {(pool.scenario, pool.target): pool for pool in pools(truth, scores)}
    rows: list[dict[str, Any]] = []
    findings: dict[str, dict[str, _Finding]] = {}
    for scenario in scenarios or truth.scenario.unique():
        scenario_pools = _pools(truth, str(scenario), scored)
        names = list(dict.fromkeys(source for pool in scenario_pools for source in pool.performance.index))
        counts = agreement.draws(len(names), resamples, seed)
        findings[scenario] = {
            factor: _finding(factor, scenario_pools, names, counts, lambda pool, f=factor: _values(f, pool, facts, ranks))
            for factor in FACTORS
            if factor != RANK or effective_ranks
        }
        rows += [_row(str(scenario), finding) for finding in findings[scenario].values()]
        notes += _undecided(str(scenario), findings[scenario].values())
        notes += _unknown(str(scenario), scenario_pools, facts, ranks, findings[scenario])
    if unknown := sorted(set(ranks.index) - set(truth.source)):
        notes.append(f"features of {', '.join(unknown)} are not used: the ground truth has no source of that name.")
    claims = [_diversity(findings.get("source_dataset", {})), _turned_round(findings)]
    if set(truth.benchmark) == {"paper"}:
        notes.append("the claims were made on these very figures: that they fit here is no independent evidence.")
    benchmark, selection = (str(truth[column].iloc[0]) for column in ("benchmark", "selection"))
    return Factors(benchmark, selection, rows, claims, notes, seed, resamples)


def _pools(truth: "pd.DataFrame", scenario: str, scored: Mapping[tuple[str, str], Pool]) -> list[Pool]:
    """All targets of a scenario, those without scores too."""
    import pandas as pd

    return [
        scored.get((scenario, str(target))) or Pool(scenario, str(target), rows.set_index("source").performance, pd.DataFrame())
        for target, rows in truth[truth.scenario == scenario].groupby("target", sort=False)
    ]


def _values(factor: str, pool: Pool, facts: "pd.DataFrame", ranks: "pd.Series") -> "pd.Series":
    """A factor of a pool's sources, without those for which it is unknown."""
    import pandas as pd

    known = facts.reindex(pool.performance.index)
    if factor in PAPER_PARTS:
        variant = next((form for form in ("published", "default") if (factor, form) in pool.scores), None)
        values = pool.scores[factor, variant] if variant else pd.Series(dtype=float)
    elif factor == RANK:
        values = ranks.reindex(pool.performance.index)
    elif factor == "same_modality":
        target_fact = facts.modality.get(pool.target)
        wanted = _words(target_fact) if isinstance(target_fact, str) else set()
        described = known.modality.dropna() if wanted else pd.Series(dtype=object)
        values = described.map(lambda text: float(bool(_words(text) & wanted)))
    elif factor == "same_colour":
        target_fact = facts.channels.get(pool.target)
        values = (
            (known.channels.dropna() == target_fact).astype(float)
            if target_fact is not None and target_fact == target_fact
            else pd.Series(dtype=float)
        )
    else:
        values = known[factor]
    return values.dropna().astype(float)


def _words(text: str) -> set[str]:
    """The words of a modality: two modalities are the same if they share one, such as CT in "abdominal CT (axial)"."""
    return set(re.findall(r"[a-z0-9-]+", text.lower())) - _FILLERS


def _finding(factor: str, scenario_pools: Sequence[Pool], names: Sequence[str], counts: np.ndarray, values_of: Any) -> _Finding:
    place = {name: i for i, name in enumerate(names)}
    taken, spreads, reasons, n_sources = [], [], {}, 0
    for pool in scenario_pools:
        values = values_of(pool)
        performance = pool.performance[values.index]
        try:
            taken.append(agreement.spearman(values, performance))
        except UndefinedAgreement as error:
            reasons[pool.target] = _why(str(error))
            continue
        n_sources = max(n_sources, len(values))
        drawn = counts[:, [place[name] for name in values.index]]
        if len(values) >= agreement.FEWEST:
            spreads.append(agreement.resampled("spearman", values, performance, drawn))
    if not taken:
        reason = next(iter(reasons.values())) if len(set(reasons.values())) == 1 else "the same for all sources, or unknown"
        return _Finding(factor, None, None, 0, 0, reason)
    spread = agreement.means(spreads) if len(spreads) == len(taken) else None
    return _Finding(factor, float(np.mean(taken)), spread, n_sources, len(taken))


def _why(error: str) -> str:
    return "unknown" if error.startswith("there must be") else error.replace("the score is the same", "it is the same")


def _row(scenario: str, finding: _Finding) -> dict[str, Any]:
    low, high = finding.interval or (None, None)
    return {
        "scenario": scenario,
        "factor": finding.factor,
        "correlation": finding.value,
        "low": low,
        "high": high,
        "n_sources": finding.n_sources,
        "n_targets": finding.n_targets,
        "verdict": _verdict(finding),
        "undefined": finding.reason,
    }


def _verdict(finding: _Finding) -> str:
    if finding.value is None:
        return "undefined"
    low, high = finding.interval or (-1, 1)
    return "more is better" if low > 0 else "more is worse" if high < 0 else "cannot tell"


def _undecided(scenario: str, findings: Iterable[_Finding]) -> list[str]:
    """Which factors remain open, in words, and why."""
    open_ones: dict[str, list[str]] = {}
    for finding in findings:
        if finding.value is None:
            open_ones.setdefault(f"undefined: {finding.reason}", []).append(finding.factor)
        elif _verdict(finding) == "cannot tell":
            reason = f"cannot tell: {finding.n_sources} sources are too few for a correlation of this size"
            open_ones.setdefault(reason, []).append(finding.factor)
    return [f"{scenario}: {', '.join(names)} {reason}." for reason, names in open_ones.items()]


def _unknown(
    scenario: str, scenario_pools: Sequence[Pool], facts: "pd.DataFrame", ranks: "pd.Series", findings: Mapping[str, _Finding]
) -> list[str]:
    """The sources for which a factor is unknown, in words."""
    notes: dict[str, list[str]] = {}
    for factor, finding in findings.items():
        if finding.value is None:
            continue
        lacking = {
            source
            for pool in scenario_pools
            if len(values := _values(factor, pool, facts, ranks)) > 0
            for source in pool.performance.index.difference(values.index)
        }
        if lacking:
            notes.setdefault(", ".join(sorted(lacking)), []).append(factor)
    return [f"{scenario}: {', '.join(names)} unknown for {sources}." for sources, names in notes.items()]


def _diversity(findings: Mapping[str, _Finding]) -> dict[str, Any]:
    """The claim that the diversity of a source counts for more than its size."""
    claim = "the diversity of a source counts for more than its size"
    measured = RANK in findings and findings[RANK].value is not None
    diversity, size = findings.get(RANK if measured else CLASSES), findings.get(SIZE)
    how = "effective rank of its features" if measured else "number of classes, a stand-in for diversity"
    if diversity is None or size is None or diversity.spread is None or size.spread is None:
        return _claim(claim, None, None, f"needs {how} and number of images of several sources in scenario source_dataset")
    assert diversity.value is not None and size.value is not None
    numbers = f"correlation {diversity.value:.2f} for {how}, {size.value:.2f} for the number of images"
    return _claim(claim, diversity.value - size.value, agreement.interval(diversity.spread - size.spread), numbers, diversity)


def _turned_round(findings: Mapping[str, Mapping[str, _Finding]]) -> dict[str, Any]:
    """The claim that feature quality and update ratio predict the opposite across architectures."""
    claim = "the order turns round between the scenarios"
    both = []
    for scenario in ("source_dataset", "architecture"):
        pair = [findings.get(scenario, {}).get(part) for part in PAPER_PARTS]
        values = [finding.value for finding in pair if finding and finding.value is not None]
        spreads = [finding.spread for finding in pair if finding and finding.spread is not None]
        if len(values) < len(PAPER_PARTS):
            return _claim(claim, None, None, "needs feature quality and update ratio in both scenarios")
        both.append((float(np.mean(values)), np.mean(spreads, axis=0)))
    first, second = both
    inside, across = agreement.interval(first[1]), agreement.interval(second[1])
    numbers = "; ".join(
        f"{scenario} {value:.2f} ({_span(span)})"
        for scenario, value, span in (("source_dataset", first[0], inside), ("architecture", second[0], across))
    )
    verdict = "cannot tell"
    if inside and across:
        if inside[0] > 0 and across[1] < 0:
            verdict = "supported"
        elif across[0] > 0 or inside[1] < 0:
            verdict = "not supported"
    text = f"mean correlation of the two components: {numbers}"
    return {"claim": claim, "verdict": verdict, "difference": first[0] - second[0], "low": None, "high": None, "numbers": text}


def _claim(
    claim: str, difference: float | None, span: tuple[float, float] | None, numbers: str, finding: _Finding | None = None
) -> dict[str, Any]:
    low, high = span or (None, None)
    verdict = "cannot tell"
    if low is not None and high is not None:
        verdict = "supported" if low > 0 else "not supported" if high < 0 else "cannot tell"
    if difference is not None:
        numbers += f"; difference {difference:.2f} ({_span(span)})"
    if finding is not None and verdict == "cannot tell":
        numbers += f"; {finding.n_sources} sources are too few to tell"
    return {"claim": claim, "verdict": verdict, "difference": difference, "low": low, "high": high, "numbers": numbers}


def _span(span: tuple[float, float] | None) -> str:
    return f"{span[0]:.2f} to {span[1]:.2f}" if span else "no interval"
