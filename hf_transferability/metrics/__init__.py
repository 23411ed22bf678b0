"""Metrics: arrays in, numbers out. No Hub, no files, no models. One file per metric, named after it."""

from hf_transferability.metrics._flags import FLAGS, ScoreWarning, collect_flags, describe
from hf_transferability.metrics._registry import Metric, all_metrics, get_metric, score

__all__ = ["FLAGS", "Metric", "ScoreWarning", "all_metrics", "collect_flags", "describe", "get_metric", "score"]
