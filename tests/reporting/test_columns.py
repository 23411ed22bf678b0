"""The columns of a ranking: which there are, and the digits of their numbers."""

import pytest
from helpers.rankings import ranking_of

from hf_transferability.metrics import FLAGS
from hf_transferability.reporting.columns import columns, count, decimals, licence
from hf_transferability.reporting.explanations import FLAG_WORDS


def cells(document: dict, title: str, **options) -> list[str]:
    return next(column.cells for column in columns(document["rows"], document["metric"], **options) if column.title == title)


def test_the_digits_are_those_that_the_interval_allows():
    assert decimals([0.91667], [[0.868, 0.917]]) == 3
    assert decimals([0.41667], [[0.107, 0.726]]) == 2
    assert decimals([-212.3], [[-240.0, -180.0]]) == 0
    assert decimals([0.5, 0.6], [None, [0.4, 0.9]]) == 2  # one without interval follows the others
    assert decimals([0.5], [[0.5, 0.5]]) == 3  # an interval without width says nothing
    assert decimals([0.91667, 12.3], [None, None]) == 1  # three digits of the largest
    assert decimals([0.0], [None]) == 2
    assert decimals([2e-9], [None]) is None
    document = ranking_of(2)
    document["rows"][0] |= {"score": 0.70666, "interval": [0.5, 0.9]}
    document["rows"][1] |= {"score": -0.0001, "interval": [-0.2, 0.2]}
    assert cells(document, "score") == ["0.71", "0.00"]
    assert cells(document, "90% interval") == ["0.50..0.90", "-0.20..0.20"]


def test_the_paper_s_columns_licence_and_size_are_there_by_default_and_the_rest_by_wide():
    document = ranking_of(3)
    for row in document["rows"]:
        row |= {"logme": 0.1, "consensus": row["score"], "first_share": 0.5}
    titles = [column.title for column in columns(document["rows"], "consensus")]
    assert titles == [
        "rank", "checkpoint", "score", "90% interval", "tie group", "first share", "transferability", "feature quality",
        "update ratio", "logme", "parameters", "licence",
    ]  # fmt: skip
    wide = [column.title for column in columns(document["rows"], "consensus", wide=True)]
    assert [title for title in wide if title not in titles] == ["features", "commit", "seconds"]


def test_what_a_network_does_not_say_is_unknown_and_a_failed_one_has_nothing():
    document = ranking_of(2, 1)
    document["rows"][0] |= {"licence": None, "parameters": None}
    document["rows"][2] |= {"licence": None}
    assert cells(document, "licence") == ["?", "mit", "-"]
    assert cells(document, "parameters")[::2] == ["?", "-"]
    assert cells(document, "score")[2] == "failed"


def test_flags_are_short_words_and_one_that_all_have_is_in_no_row():
    document = ranking_of(3, 1)
    for row in document["rows"][:3]:
        row["flags"] = ["n<=d"]
    document["rows"][1]["flags"] = ["trained_on_target", "n<=d", "unstable"]
    assert cells(document, "flags") == ["", "seen data, unstable", "", ""]
    document["rows"][0]["flags"] = []
    assert cells(document, "flags") == ["", "seen data, n<=d, unstable", "n<=d", ""]


def test_every_flag_has_a_short_word_of_its_own():
    assert set(FLAG_WORDS) == set(FLAGS)
    assert len(set(FLAG_WORDS.values())) == len(FLAGS)
    assert max(map(len, FLAG_WORDS.values())) <= 12
    assert not [word for flag, word in FLAG_WORDS.items() if word != flag and word in FLAGS]


@pytest.mark.parametrize(
    ("number", "text"),
    [(11_689_512, "11.7M"), (303_301_632, "303M"), (99_960_000, "100M"), (1_210_000_000, "1.2B"), (4_400, "4.4k"), (12, "12")],
)
def test_sizes_have_three_digits(number, text):
    assert count(number) == text


def test_a_long_licence_loses_its_version():
    names = ["apache-2.0", "cc-by-nc-sa-4.0", "bsd-3-clause", "creativeml-openrail-m", "mit"]
    assert [licence(name) for name in names] == ["apache-2.0", "cc-by-nc-sa", "bsd-3-clau…", "creativeml…", "mit"]
