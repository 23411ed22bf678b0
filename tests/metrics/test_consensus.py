import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from hf_transferability.metrics import ScoreWarning, collect_flags, get_metric, score

CONSENSUS = get_metric("consensus")


def consensus(quality, logme, parameters=None):
    parts = {"feature_quality": quality, "logme": logme}
    return CONSENSUS.combine(parts | ({} if parameters is None else {"parameters": parameters}))


def test_four_candidates_by_hand():
    """Ranks by quality 1, 2, 3, 4, by LogME 3, 1, 4, 2, by size 4, 3, 2, 1."""
    quality, logme, parameters = [0.5, 0.6, 0.7, 0.8], [-0.3, -0.5, -0.2, -0.4], [40e6, 30e6, 20e6, 10e6]
    evidence = [(0.5 + 2.5) / 8, (1.5 + 0.5) / 8, (2.5 + 3.5) / 8, (3.5 + 1.5) / 8]
    size = [3.5 / 4, 2.5 / 4, 1.5 / 4, 0.5 / 4]
    expected = [(e + s) / 2 for e, s in zip(evidence, size, strict=True)]
    assert consensus(quality, logme, parameters) == pytest.approx(expected)
    assert consensus(quality, logme, [11e6] * 4) == pytest.approx(evidence)


def test_equal_values_share_the_average_rank():
    """Ranks by quality 1.5, 1.5, 3, by LogME 1, 2.5, 2.5."""
    expected = [(1 + 0.5) / 6, (1 + 2) / 6, (2.5 + 2) / 6]
    assert consensus([0.5, 0.5, 0.7], [-0.3, -0.2, -0.2], [7, 7, 7]) == pytest.approx(expected)


def test_equal_means_of_other_ranks_tie_exactly():
    """Ranks by quality 1 to 11 and by LogME 11 to 1: every mean is 6."""
    quality = [float(i) for i in range(11)]
    assert set(consensus(quality, quality[::-1], [5] * 11)) == {0.5}
    assert set(consensus(quality, quality, [9.0 - value / 2 for value in quality])) == {0.5}


@pytest.mark.parametrize(("largest", "counts"), [(1_050_000, False), (1_050_001, True)])
def test_size_counts_from_five_per_cent(largest, counts):
    scores = consensus([0.5, 0.6, 0.7], [-0.3, -0.2, -0.1], [1_000_000, largest, 1_020_000])
    evidence = [1 / 6, 3 / 6, 5 / 6]
    size = [1 / 6, 5 / 6, 3 / 6]
    expected = [(e + s) / 2 for e, s in zip(evidence, size, strict=True)] if counts else evidence
    assert scores == pytest.approx(expected)


def test_a_candidate_counts_with_the_members_that_it_has():
    """Quality is known of three, LogME of three: each rank is among those."""
    scores = consensus([0.5, 0.6, None, 0.7, None], [-0.3, None, -0.2, -0.1, None], [5, 5, 5, 5, 900])
    assert scores[:4] == pytest.approx([(1 / 6 + 1 / 6) / 2, 3 / 6, 3 / 6, (5 / 6 + 5 / 6) / 2])
    assert scores[4] is None  # neither: no score, and its size does not make the others differ


def test_a_missing_size_leaves_size_out_for_all_and_says_so():
    quality, logme = [0.5, 0.6, 0.7], [-0.1, -0.2, -0.3]
    with pytest.warns(ScoreWarning, match=r"^size_unknown: .* \(known for 2 of 3 candidates\)$"):
        assert consensus(quality, logme, [1e6, None, 9e6]) == [0.5, 0.5, 0.5]
    with pytest.warns(ScoreWarning, match=r"^size_unknown: .* \(known for 0 of 3 candidates\)$"):
        assert consensus(quality, logme) == [0.5, 0.5, 0.5]
    with collect_flags() as flags:
        consensus([*quality, None], [*logme, None], [1e6, 2e6, 3e6, None])  # of one without a score it does not matter
    assert not flags


def test_logme_alone_where_labels_are_no_classes():
    assert CONSENSUS.combine({"logme": [-0.3, -0.1, -0.2], "parameters": [5, 5, 5]}) == pytest.approx([1 / 6, 5 / 6, 3 / 6])


def test_one_candidate_has_no_pool():
    with pytest.warns(ScoreWarning, match=r"^pool_of_one: .* \(1 of 2 candidates have feature_quality or logme\)$"):
        assert consensus([0.5, None], [-0.3, None], [5, 900]) == [None, None]


def test_a_member_that_is_the_same_for_all_is_named():
    with pytest.warns(ScoreWarning, match=r"^constant_over_pool: .* \(feature_quality\)$"):
        scores = consensus([1.0, 1.0, 1.0], [-0.3, -0.2, -0.1], [5, 5, 5])
    assert scores == pytest.approx([(0.5 + 1 / 6) / 2, 0.5, (0.5 + 5 / 6) / 2])


values = st.one_of(st.none(), st.integers(0, 6).map(float))


@given(st.lists(st.tuples(values, values, st.sampled_from([10.0, 10.4, 11.0, 30.0])), min_size=2, max_size=9))
def test_equals_the_definition_written_out(pool):
    """With SciPy's ranks, candidate by candidate."""
    rows = [list(row) for row in pool]
    scored = [row for row in rows if row[0] is not None or row[1] is not None]

    def share(own, among):
        among = [value for value in among if value is not None]
        return (rankdata(among)[among.index(own)] - 0.5) / len(among)

    expected = []
    for row in rows:
        shares = [share(row[m], [other[m] for other in rows]) for m in (0, 1) if row[m] is not None]
        if not shares or len(scored) < 2:
            expected.append(None)
            continue
        sizes = [other[2] for other in scored]
        e = sum(shares) / len(shares)
        expected.append(e / 2 + share(row[2], sizes) / 2 if max(sizes) > 1.05 * min(sizes) else e)
    with collect_flags():
        assert consensus(*map(list, zip(*rows, strict=True))) == pytest.approx(expected)


def test_parts_are_those_of_their_own_metrics(make_arrays, scored):
    arrays = make_arrays()
    parts, _ = scored("consensus", arrays)
    assert parts.tolist() == [scored(name, arrays)[0][0] for name in ("feature_quality", "logme")]
    numbers = {**arrays, "labels": np.linspace(0, 1, 60)}
    assert score("consensus", features=numbers["features"], labels=numbers["labels"]) == {
        "logme": scored("logme", numbers)[0][0]
    }
