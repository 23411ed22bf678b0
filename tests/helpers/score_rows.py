"""Invented rows of the table `scores`, with provenance."""

import pandas as pd

PROVENANCE = {
    "checkpoint": "owner/checkpoint",
    "checkpoint_revision": "a" * 40,
    "dataset": "owner/target",
    "dataset_revision": "b" * 40,
    "split": "train",
    "sample_size": 300,
    "sample_seed": 0,
    "preprocessing": "ViTImageProcessor (pil)",
    "metric_version": 1,
    "versions": "numpy 2; torch 2",
    "hardware": "a processor (cpu)",
    "date": "2025-06-01T12:00:00+00:00",
}


def scores(*sources: str, score: float = 0.5, **changes) -> pd.DataFrame:
    """One row of logme per source."""
    pair = {"benchmark": "made", "scenario": "architecture", "target": "owner/target", "metric": "logme", "variant": "default"}
    return pd.DataFrame([{**pair, "source": source, "score": score, **PROVENANCE, **changes} for source in sources])
