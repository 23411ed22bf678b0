"""A target, a pool of three small networks and their ranking."""

import pytest
from helpers.inputs import resnet_config

from hf_transferability import rank


@pytest.fixture(scope="module")
def target(make_target):
    return make_target(n=48, n_classes=3, splits=("train", "test"))


@pytest.fixture(scope="module")
def pool(make_checkpoint):
    return [str(make_checkpoint(resnet_config(n_labels=4 + seed), seed=seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(target, pool, cache):
    return rank(target, pool, metrics=["transferability", "logme", "leep", "h_score"], cache_dir=cache)
