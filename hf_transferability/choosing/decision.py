"""From short runs and a ranking to one recommendation, and what it may cost against the best candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hf_transferability.choosing.contenders import Contender

_AGREEMENT = 0.4  # correlation of the ranking's score with fine-tuned performance that is assumed (docs/choosing.md)
_LEAST = 0.1  # of the variance by chance: contenders differ by so much at least
_DRAWS = 4000  # of what the contenders may really reach
_SEED = 0


@dataclass(frozen=True)
class Result:
    """What the short runs of one contender reached.

    Attributes:
        name: of the contender.
        rank: in the ranking.
        validation_auc: of the better of its runs; None where none finished.
        test_auc: of that run; it takes no part in the decision.
        learning_rate: of that run.
        validation_images: that its AUC was measured on.
        runs: finished runs.
        seconds: of all its runs.
        note: why there is no figure.
    """

    name: str
    rank: int
    validation_auc: float | None = None
    test_auc: float | None = None
    learning_rate: float | None = None
    validation_images: int | None = None
    runs: int = 0
    seconds: float = 0.0
    note: str | None = None


@dataclass(frozen=True)
class Decision:
    """One recommendation.

    Attributes:
        recommended, runner_up: names; None where there is nothing to choose from.
        by: "fine-tuning" or "ranking": what decided.
        expected_loss: what the recommended one is expected to lose against the best of the pool, in test AUC (of the
            benchmarks' measures where the ranking decides); None where nothing is known about it.
        results: of the contenders, in rank order.
    """

    recommended: str | None
    runner_up: str | None
    by: str
    expected_loss: float | None
    results: list[Result] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)


def decide(
    contenders: Sequence[Contender],
    results: Sequence[Result],
    evidence: Mapping[str, Any] | None,
    n_candidates: int | None = None,
) -> Decision:
    """The contender that is expected to be best after its short runs; the first of the ranking without two to compare.

    A validation AUC is known up to its standard error. As far as the contenders differ by more than that, their own figures
    count, and as far as they do not, what the ranking expects of them.

    Args:
        contenders: in rank order.
        results: of those that were fine-tuned.
        evidence: what the benchmarks say of such a ranking; see `benchmark.advice.chances`.
        n_candidates: of the ranking, where these may be more than the pools of the evidence have.
    """
    compared = sorted((result for result in results if result.validation_auc is not None), key=lambda result: result.rank)
    if len(compared) < 2:
        names = [contender.name for contender in contenders]
        loss = None if evidence is None else evidence["regret"]
        return Decision(names[0] if names else None, names[1] if len(names) > 1 else None, "ranking", loss, list(results))
    scores = {contender.name: contender.score for contender in contenders}
    expected, spread = _expected(compared, [scores[result.name] for result in compared])
    order = np.argsort(-expected, kind="stable")
    inside, outside = _loss_inside(expected[order], spread), _loss_outside(len(compared), evidence, n_candidates)
    total = None if outside is None else round(inside + outside, 4)
    first, second = (compared[place].name for place in order[:2].tolist())
    return Decision(first, second, "fine-tuning", total, list(results))


def _expected(compared: Sequence[Result], scores: Sequence[float]) -> tuple[np.ndarray, float]:
    """What each contender is expected to reach beside the others, and the standard deviation of that."""
    aucs = np.array([float(result.validation_auc or 0.0) for result in compared])
    n_images = min(result.validation_images or 1 for result in compared)
    noise = float(np.mean([standard_error(auc, n_images) ** 2 for auc in aucs]))
    true = max(float(aucs.var(ddof=1)) - noise, _LEAST * noise)
    distances = np.array(scores) - np.mean(scores)
    width = float(distances.std())
    ranked = _AGREEMENT * np.sqrt(true) * distances / width if width > 0 else np.zeros(len(aucs))
    left = true * (1 - _AGREEMENT**2) if width > 0 else true
    share = left / (left + noise)
    return ranked + share * (aucs - aucs.mean() - ranked), float(np.sqrt(share * noise))


def standard_error(auc: float, n_images: int) -> float:
    """Standard error of an AUC that was measured on so many images, half of them positive (Hanley and McNeil 1982).

    Example:
        >>> round(standard_error(0.8, 100), 3)
        0.045
    """
    auc = min(max(auc, 0.5), 0.99)
    half = max(n_images / 2, 1)
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return float(np.sqrt((auc * (1 - auc) + (half - 1) * (first + second - 2 * auc**2)) / half**2))


def _loss_inside(expected: np.ndarray, spread: float) -> float:
    """What the first is expected to lose against the best of these."""
    drawn = np.random.default_rng(_SEED).normal(expected, spread, (_DRAWS, len(expected)))
    return float(np.mean(drawn.max(axis=1) - drawn[:, 0]))


def _loss_outside(n_compared: int, evidence: Mapping[str, Any] | None, n_candidates: int | None) -> float | None:
    """What is lost because the best may not be among those that were compared.

    The share of the benchmarks' pools in which it is not among so many of the first, times what the first loses there on
    average where it is not the best itself. Of a pool that is larger than those, the same share of the pool counts.
    """
    if evidence is None:
        return None
    chances = evidence["chance_of_best"]
    place = n_compared * min(1.0, len(chances) / (n_candidates or len(chances)))
    missed = 1 - float(np.interp(place, range(len(chances) + 1), [0.0, *chances]))
    first_missed = 1 - chances[0]
    return float(missed * evidence["regret"] / first_missed) if first_missed > 0 else 0.0
