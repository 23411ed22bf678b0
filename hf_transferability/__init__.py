"""Rank pretrained checkpoints for a labelled image dataset, without fine-tuning them.

The public names are loaded when they are first used, so that importing the package stays fast.
"""

from importlib import import_module

__version__ = "0.1.0"
TYPE_CHECKING = False  # `typing` would keep the program, which is imported below this file, from handling Ctrl-C

if TYPE_CHECKING:
    from typing import Any

    from hf_transferability.choosing.choose import Choice, choose
    from hf_transferability.errors import CheckpointError, JobError, PublishError, TargetError, TransferabilityError, UsageError
    from hf_transferability.metrics import ScoreWarning, all_metrics, score
    from hf_transferability.metrics.transferability import combine
    from hf_transferability.ranking.arrays import rank_features
    from hf_transferability.ranking.result import Ranking
    from hf_transferability.ranking.run import rank
    from hf_transferability.registration import METRIC_PATH, register

_HOMES = {
    "METRIC_PATH": "registration",
    "CheckpointError": "errors",
    "Choice": "choosing.choose",
    "JobError": "errors",
    "PublishError": "errors",
    "Ranking": "ranking.result",
    "ScoreWarning": "metrics",
    "TargetError": "errors",
    "TransferabilityError": "errors",
    "UsageError": "errors",
    "all_metrics": "metrics",
    "choose": "choosing.choose",
    "combine": "metrics.transferability",
    "rank": "ranking.run",
    "rank_features": "ranking.arrays",
    "register": "registration",
    "score": "metrics",
}

__all__ = [
    "METRIC_PATH",
    "CheckpointError",
    "Choice",
    "JobError",
    "PublishError",
    "Ranking",
    "ScoreWarning",
    "TargetError",
    "TransferabilityError",
    "UsageError",
    "all_metrics",
    "choose",
    "combine",
    "rank",
    "rank_features",
    "register",
    "score",
]


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
