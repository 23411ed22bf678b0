"""Metrics: arrays in, numbers out. No Hub, no files, no models. One file per metric, named after it."""

from hf_transferability.metrics._flags import FLAGS, ScoreWarning, collect_flags, describe
from hf_transferability.metrics._metric import SCENARIOS, Metric
from hf_transferability.metrics._registry import all_metrics, can_score, get_metric, parts_for, score

__all__ = [
    "FLAGS",
    "SCENARIOS",
    "Metric",
    "ScoreWarning",
    "all_metrics",
    "can_score",
    "collect_flags",
    "describe",
    "get_metric",
    "parts_for",
    "score",
]
