"""What the bundled benchmarks say of each target, as plain arrays: fine-tuned performance, scores and sizes of its sources.

It is worked out once from the tables (`python tools/refresh_leaderboard.py`) and comes with the package, since every ranking
needs it and forming it takes pandas two seconds. A test compares the file with the tables.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hf_transferability.metrics import all_metrics

_FILE = Path(__file__).parent / "scored_targets.json"


@dataclass(frozen=True)
class ScoredTarget:
    """One target of a column of the leaderboard, with the sources that have scores.

    Attributes:
        target: its name.
        scenario: what differs between the sources.
        performance: fine-tuned performance [n_sources].
        scores: (metric, variant) -> [n_sources], NaN where a source has none; without composites, which have parts.
        parameters: sizes of the sources [n_sources], NaN where one is unknown; None where none is known.
    """

    target: str
    scenario: str
    performance: np.ndarray
    scores: dict[tuple[str, str], np.ndarray]
    parameters: np.ndarray | None


@lru_cache
def bundled_targets(column: str) -> tuple[ScoredTarget, ...]:
    """The targets of a column of the leaderboard, by its name; none for a column without scores."""
    return tuple(map(_from_document, _bundled().get(column, ())))


def worked_out() -> Iterator[tuple[str, list[ScoredTarget]]]:
    """The targets of every column, from the tables of the benchmarks."""
    from hf_transferability.benchmark.leaderboard import COLUMNS, pools_with_parameters

    composites = {name for name, metric in all_metrics().items() if metric.is_composite}
    for column in COLUMNS:
        targets = []
        for pool, sizes in pools_with_parameters(column):
            scores = {
                (str(form[0]), str(form[1])): pool.scores[form].to_numpy(dtype=float)
                for form in pool.scores.columns
                if form[0] not in composites and pool.scores[form].notna().any()
            }
            parameters = None
            if sizes is not None:
                parameters = sizes.reindex(pool.performance.index).to_numpy(dtype=float, na_value=np.nan)
            performance = pool.performance.to_numpy(dtype=float)
            targets.append(ScoredTarget(pool.target, pool.scenario, performance, scores, parameters))
        yield column.name, targets


def to_json() -> str:
    """What `worked_out` finds, as the bundled file holds it."""
    return json.dumps({name: [_document(target) for target in targets] for name, targets in worked_out()}) + "\n"


def write() -> None:
    """Write the bundled file anew."""
    _FILE.write_text(to_json(), "utf-8")


@lru_cache
def _bundled() -> dict[str, Any]:
    return json.loads(_FILE.read_text("utf-8"))


def _document(target: ScoredTarget) -> dict[str, Any]:
    return {
        "target": target.target,
        "scenario": target.scenario,
        "performance": _listed(target.performance),
        "scores": [[*form, _listed(values)] for form, values in target.scores.items()],
        "parameters": None if target.parameters is None else _listed(target.parameters),
    }


def _from_document(document: dict[str, Any]) -> ScoredTarget:
    return ScoredTarget(
        document["target"],
        document["scenario"],
        np.array(document["performance"], dtype=float),
        {(name, variant): np.array(values, dtype=float) for name, variant, values in document["scores"]},
        None if document["parameters"] is None else np.array(document["parameters"], dtype=float),
    )


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
