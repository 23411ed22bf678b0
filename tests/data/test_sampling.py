"""Which images are drawn: permutations, shares and reservoirs, by property. Statistics have fixed seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_transferability.data.sampling import Reservoir, draw_sample, sample_size
from hf_transferability.errors import UsageError

QUICK = settings(max_examples=60, deadline=None, derandomize=True)

CODES = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(np.array)
SEEDS = st.integers(0, 2**32 - 1)


@QUICK
@given(codes=CODES, seed=SEEDS, draw=st.sampled_from(["random", "stratified"]))
def test_all_is_a_permutation(codes, seed, draw):
    assert sorted(draw_sample(codes, "all", draw, seed)) == list(range(len(codes)))


@QUICK
@given(codes=CODES, seed=SEEDS, size=st.integers(1, 100))
def test_random_draw_is_of_that_size_without_repeats(codes, seed, size):
    drawn = draw_sample(codes, size, "random", seed)
    assert len(drawn) == min(size, len(codes))
    assert len(set(drawn.tolist())) == len(drawn)
    assert set(drawn.tolist()) <= set(range(len(codes)))


@QUICK
@given(codes=CODES, seed=SEEDS, draw=st.sampled_from(["random", "stratified"]), size=st.sampled_from([None, "all", 7, 40]))
def test_one_seed_gives_one_draw(codes, seed, draw, size):
    if draw == "stratified" and isinstance(size, int) and size < len(set(codes.tolist())):
        return
    before = codes.copy()
    first, second = draw_sample(codes, size, draw, seed), draw_sample(codes, size, draw, seed)
    assert first.tolist() == second.tolist()
    assert codes.tolist() == before.tolist()


@pytest.mark.parametrize("draw", ["random", "stratified"])
@pytest.mark.parametrize("size", [30, "all"])
def test_other_seeds_give_other_draws(draw, size):
    codes = np.arange(90) % 3
    draws = {tuple(draw_sample(codes, size, draw, seed)) for seed in range(20)}
    assert len(draws) == 20


def largest_remainder(counts: np.ndarray, size: int) -> np.ndarray:
    """Hamilton's method as in a textbook, where no class is so small that the rule of at least one each matters."""
    exact = counts * size / counts.sum()
    shares = np.floor(exact).astype(int)
    for i in np.argsort(shares - exact, kind="stable")[: size - shares.sum()]:
        shares[i] += 1
    return shares


@QUICK
@given(counts=st.lists(st.integers(10, 60), min_size=2, max_size=6), fraction=st.floats(0.2, 0.99), seed=SEEDS)
def test_stratified_shares_by_largest_remainder(counts, fraction, seed):
    counts = np.array(counts)
    size = int(fraction * counts.sum())
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    drawn = draw_sample(codes, size, "stratified", seed)
    got = np.bincount(codes[drawn], minlength=len(counts))
    exact = counts * size / counts.sum()
    if exact.min() < 1:
        return
    want = largest_remainder(counts, size)
    # Equal remainders may be settled either way.
    assert sorted((exact - got).round(9)) == sorted((exact - want).round(9))
    assert len(set(drawn.tolist())) == size


@QUICK
@given(counts=st.lists(st.integers(1, 200), min_size=1, max_size=8), extra=st.integers(0, 60), seed=SEEDS)
def test_stratified_draw_has_every_class_and_the_size_asked_for(counts, extra, seed):
    codes = np.repeat(np.arange(len(counts)) * 3, counts)  # codes with gaps
    size = len(counts) + extra
    got = codes[draw_sample(codes, size, "stratified", seed)]
    assert len(got) == min(size, len(codes))
    assert set(got.tolist()) == set(codes.tolist())


def test_rare_classes_take_their_place_from_the_largest():
    codes = np.repeat([0, 1, 2], [1, 1, 998])
    got = np.bincount(codes[draw_sample(codes, 20, "stratified", 0)])
    assert got.tolist() == [1, 1, 18]


def test_stratified_draw_within_a_class_is_random():
    codes = np.repeat([0, 1], 50)
    draws = np.concatenate([draw_sample(codes, 20, "stratified", seed) for seed in range(200)])
    times = np.bincount(draws, minlength=100)  # each expected 40 times, standard deviation 5.7
    assert times.min() > 15 and times.max() < 65


@pytest.mark.parametrize("draw", ["random", "stratified"])
def test_a_class_sorted_target_is_drawn_in_mixed_order(draw):
    codes = np.repeat([0, 1, 2], 100)
    drawn = codes[draw_sample(codes, 240, draw, 0)]
    for part in np.split(drawn, 6):
        assert np.bincount(part, minlength=3).min() >= 5


def test_size_defaults_to_a_hundred_times_the_classes():
    codes = np.arange(1000) % 4 * 7
    assert len(draw_sample(codes, None, "random", 0)) == 400
    assert len(draw_sample(codes[:300], None, "random", 0)) == 300
    assert sample_size(None, 3) == 300
    assert sample_size("all", 3) is None
    assert sample_size(17, 3) == 17


@pytest.mark.parametrize("size", [0, -3, 2.5, "some", True, "10"])
def test_wrong_sizes_are_refused(size):
    with pytest.raises(UsageError, match=r"`sample_size` must be a positive integer or 'all'; got .*100 x classes"):
        draw_sample(np.arange(20) % 2, size, "random", 0)


def test_numpy_integers_are_sizes():
    assert len(draw_sample(np.arange(20) % 2, np.int64(5), "random", 0)) == 5


def test_wrong_draws_are_refused():
    with pytest.raises(UsageError, match="`draw` must be one of random, stratified; got 'balanced'"):
        draw_sample(np.arange(20) % 2, 4, "balanced", 0)
    with pytest.raises(UsageError, match="at least the number of classes for a stratified draw; got 4 for 5"):
        draw_sample(np.arange(20) % 5, 4, "stratified", 0)


@QUICK
@given(n=st.integers(0, 60), size=st.integers(1, 30), seed=SEEDS)
def test_reservoir_holds_distinct_items_up_to_its_size(n, size, seed):
    reservoir = Reservoir(size, seed)
    reservoir.extend(iter(range(n)))
    items = reservoir.shuffled()
    assert reservoir.seen == n
    assert len(items) == len(set(items)) == min(n, size)
    assert set(items) <= set(range(n))


def test_reservoir_is_the_same_for_one_seed_however_the_stream_is_cut():
    whole, pieces = Reservoir(10, 5), Reservoir(10, 5)
    whole.extend(range(300))
    for start in range(0, 300, 50):
        pieces.extend(range(start, start + 50))
    assert whole.shuffled() == pieces.shuffled()
    other = Reservoir(10, 6)
    other.extend(range(300))
    assert other.shuffled() != whole.shuffled()


def test_reservoir_is_uniform_in_items_and_in_order():
    chosen, first = np.zeros(40), np.zeros(40)
    for seed in range(4000):
        reservoir = Reservoir(10, seed)
        reservoir.extend(range(40))
        items = reservoir.shuffled()
        chosen[items] += 1
        first[items[0]] += 1
    # Chosen: 1000 +- 27.4 each; in first place: 100 +- 9.9 each. Five standard deviations, at seeds that do not change.
    assert np.abs(chosen - 1000).max() < 137
    assert np.abs(first - 100).max() < 50
    assert ((first - 100) ** 2 / 100).sum() < 39 + 5 * np.sqrt(2 * 39)
