"""Seeded blocks leave the global generators as they were."""

import random

import numpy as np
import torch

from hf_transferability.training.seeding import seeded


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_a_block_repeats_its_draws_and_restores_the_generators():
    with seeded(1):
        outside = draw()
        following = draw()
    with seeded(1):
        assert draw() == outside
        with seeded(2):
            inside = draw()
        assert draw() == following
    with seeded(2):
        assert draw() == inside != outside


def test_an_error_restores_the_generators_too():
    state = random.getstate()
    try:
        with seeded(3):
            random.random()
            raise KeyError
    except KeyError:
        pass
    assert random.getstate() == state
