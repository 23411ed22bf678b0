"""Building a network need not touch the program's random numbers."""

import pytest
import timm
import torch
from torch import nn
from transformers import AutoModelForImageClassification

from hf_transferability.checkpoints.randomness import OwnRandomness

DRAWS = {
    "normal": lambda: torch.randn(3),
    "uniform": lambda: torch.rand(3),
    "integers": lambda: torch.randint(5, (3,)),
    "order": lambda: torch.randperm(6),
    "alike": lambda: torch.randn_like(torch.ones(3)),
    "in place": lambda: torch.empty(3).normal_(),
    "truncated": lambda: nn.init.trunc_normal_(torch.empty(3)),
    "layer": lambda: nn.Linear(3, 4).weight,
    "dropout": lambda: nn.functional.dropout(torch.ones(9), 0.5),
    "timm": lambda: next(timm.create_model("resnet18").parameters()),
    "meta": lambda: torch.empty(3, device="meta").normal_(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_programs_generator_stays_as_it_is(draw):
    before = torch.get_rng_state()
    with OwnRandomness():
        first = draw()
    with OwnRandomness():
        again = draw()
    assert torch.equal(torch.get_rng_state(), before)
    assert first.device.type == "meta" or torch.equal(first, again)


def test_random_numbers_are_random():
    with OwnRandomness():
        first, second = torch.randn(100), torch.randn(100)
    assert not torch.equal(first, second)
    assert first.std() > 0.5


def test_a_network_of_transformers(make_checkpoint):
    """A head of another size is drawn."""
    folder, before = make_checkpoint(), torch.get_rng_state()
    options = {"num_labels": 9, "ignore_mismatched_sizes": True}
    with OwnRandomness():
        AutoModelForImageClassification.from_pretrained(folder, **options)
    assert torch.equal(torch.get_rng_state(), before)
    AutoModelForImageClassification.from_pretrained(folder, **options)
    assert not torch.equal(torch.get_rng_state(), before), "nothing was drawn, so the test says nothing"


def test_a_generator_that_is_given_is_used():
    expected = torch.randn(3, generator=torch.Generator().manual_seed(5))
    with OwnRandomness():
        assert torch.equal(torch.randn(3, generator=torch.Generator().manual_seed(5)), expected)
