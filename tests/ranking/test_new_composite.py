"""A composite metric is one new file: here it lies in a folder of its own, and is ranked by on files and on images."""

import importlib
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers.inputs import resnet_config

import hf_transferability.metrics
from hf_transferability import rank, rank_features
from hf_transferability.metrics import all_metrics, get_metric
from hf_transferability.metrics._registry import _METRICS
from hf_transferability.reporting import html
from hf_transferability.reporting.columns import columns

METRIC = '''
"""Made up for a test: neighbours and evidence, in equal parts, a little more for small networks."""

from hf_transferability.metrics._pool import rank_shares, scaled
from hf_transferability.metrics._registry import register
from hf_transferability.metrics.knn import knn
from hf_transferability.metrics.logme import logme


def formula(parts, *, scenario):
    small = 1 - rank_shares(parts["parameters"])
    sign = 1 if scenario == "source_dataset" else -1
    return sign * (scaled(parts["knn"]) + scaled(parts["logme"])) + small / 10


@register(
    inputs=("features", "labels"),
    range=(-2.0, 2.1),
    unit="none",
    paper="nobody 2026, https://example.org",
    comparable=False,
    published=False,
    parts=("knn", "logme"),
    facts=("parameters",),
    formula=formula,
)
def neighbours_and_evidence(*, features, labels):
    """Neighbours and evidence in equal parts."""
    return {"knn": knn(features=features, labels=labels), "logme": logme(features=features, labels=labels)}
'''
NAME = "neighbours_and_evidence"


@pytest.fixture(autouse=True)
def metric(tmp_path, monkeypatch):
    folder = tmp_path / "more_metrics"
    folder.mkdir()
    (folder / f"{NAME}.py").write_text(METRIC)
    monkeypatch.setattr(hf_transferability.metrics, "__path__", [*hf_transferability.metrics.__path__, str(folder)])
    importlib.invalidate_caches()
    yield
    _METRICS.pop(NAME, None)
    sys.modules.pop(f"hf_transferability.metrics.{NAME}", None)


@pytest.fixture
def files(tmp_path):
    labels = np.arange(60) % 3
    for seed in range(4):
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(60, 8)) + 0.4 * seed * np.eye(8)[labels]
        np.savez(tmp_path / f"{seed}.npz", features=features, labels=labels, parameters=10_000 * (seed + 1))
    return [tmp_path / f"{seed}.npz" for seed in range(4)]


def combined(rows, scenario="source_dataset"):
    parts = {name: [row[name] for row in rows] for name in ("knn", "logme", "parameters")}
    return get_metric(NAME).combine(parts, scenario=scenario)


def test_files_are_ranked_by_it(files, tmp_path):
    assert NAME in all_metrics()
    result = rank_features(files, metrics=[NAME, "knn", "logme"], scenario="source_dataset", cache_dir=tmp_path / "cache")
    scores = [row["score"] for row in result.rows]
    assert scores == sorted(scores, reverse=True)
    assert scores == combined(result.rows)
    assert [row["rank"] for row in result.rows] == [1, 2, 3, 4]
    assert all(
        low <= score <= high and low < high for score, (low, high) in ((row["score"], row["interval"]) for row in result.rows)
    )
    assert {row["tie_group"] for row in result.rows} > {1}
    turned = rank_features(files, metrics=[NAME, "knn", "logme"], scenario="architecture", cache_dir=tmp_path / "cache")
    assert [row["score"] for row in turned.rows] == combined(turned.rows, "architecture")
    assert turned.rows[0]["checkpoint"] != result.rows[0]["checkpoint"]


def test_its_intervals_come_from_halves_of_its_parts(files, tmp_path, monkeypatch):
    """Each part is computed once on a half, and the whole is formed from those: no half of the whole is computed."""

    def refuse(*, features, labels):
        raise AssertionError("the composite was computed on arrays, instead of formed from its parts")

    monkeypatch.setitem(_METRICS, NAME, replace(get_metric(NAME), function=refuse))
    result = rank_features(files, metrics=[NAME], scenario="source_dataset", cache_dir=tmp_path / "cache")
    assert all(row["interval"] for row in result.rows)
    assert set(result.metric_versions) == {NAME, "knn", "logme"}


def test_images_are_ranked_by_it_and_every_door_shows_it(make_target, make_checkpoint, tmp_path):
    pool = [make_checkpoint(resnet_config(width=width), seed=width) for width in (6, 8, 12)]
    result = rank(make_target(n=48), pool, metrics=[NAME, "knn", "logme"], cache_dir=tmp_path / "cache")
    assert result.scenario == "architecture"
    assert [row["score"] for row in result.rows] == combined(result.rows, "architecture")
    assert all(row["interval"] and row["tie_group"] for row in result.rows)
    titles = [column.title for column in columns(result.rows, result.metric)]
    assert titles[:4] == ["rank", "checkpoint", "score", "90% interval"]
    assert "knn" in titles
    assert f"ranked by {NAME}, on 48 images." in html.page(result.to_dict())
