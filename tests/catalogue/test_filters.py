"""Filters over the catalogue."""

import pytest

from hf_transferability.catalogue.entries import MEDICAL, Entry, bundled, merged
from hf_transferability.catalogue.filters import Filters, count, in_short, select
from hf_transferability.errors import UsageError

ENTRIES = [
    Entry("a/small", "timm", "general", "image-classification", 5_000_000, licence="mit"),
    Entry("a/large", "timm", "general", "image-classification", 300_000_000, licence="apache-2.0"),
    Entry("b/slides", "curated", "pathology", "image-feature-extraction", licence="mit"),
    Entry("c/mystery", "transfergraph"),
]


@pytest.mark.parametrize(
    ("filters", "ids", "unknown"),
    [
        (Filters(), ["a/small", "a/large", "b/slides", "c/mystery"], 0),
        (Filters("medical"), ["b/slides"], 1),
        (Filters("general"), ["a/small", "a/large"], 1),
        (Filters(max_params=5_000_000), ["a/small"], 2),
        (Filters(licences=["MIT"]), ["a/small", "b/slides"], 1),
        (Filters(licences=["mit", "apache-2.0"], source="timm"), ["a/small", "a/large"], 0),
        (Filters(search="SLIDES b/"), ["b/slides"], 0),
        (Filters(task="image-classification", max_params=10_000_000), ["a/small"], 1),
    ],
)
def test_what_passes_and_what_lacks_a_fact(filters, ids, unknown):
    selected = select(ENTRIES, filters)
    assert ([entry.id for entry in selected.entries], selected.unknown) == (ids, unknown)


def test_the_filter_that_removes_most_is_named():
    with pytest.raises(UsageError, match=r"--max-params 1k removes most, 4 of 4, 2 of them as it is unknown\. Relax"):
        select(ENTRIES, Filters(max_params=1000, licences=["mit"]))
    with pytest.raises(UsageError, match=r"--search zzz removes most, 4 of 4\. Relax"):
        select(ENTRIES, Filters(search="zzz"))


def test_an_unknown_audience_is_wrong_usage():
    with pytest.raises(UsageError, match="Did you mean pathology"):
        select(ENTRIES, Filters("patology"))


@pytest.mark.parametrize(("text", "number"), [("50M", 50_000_000), ("1.2b", 1_200_000_000), ("300000", 300_000), ("3k", 3000)])
def test_numbers_of_parameters(text, number):
    assert count(text) == number
    assert count(in_short(number)) == number


@pytest.mark.parametrize("text", ["", "M", "-5M", "0", "1e9", "5T", "9" * 400, "५M"])
def test_what_is_no_number_of_parameters(text):
    with pytest.raises(ValueError, match="must be a number of parameters"):
        count(text)


def test_what_the_first_entry_of_an_id_lacks_comes_from_the_later_one():
    (entry,) = merged([Entry("A/b", "curated", licence="mit"), Entry("a/B", "timm", parameters=7, licence="other")])
    assert (entry.id, entry.source, entry.licence, entry.parameters) == ("A/b", "curated", "mit", 7)


def test_every_bundled_entry_has_an_id_a_domain_that_exists_and_says_what_was_verified():
    entries = bundled()
    assert len(entries) > 1400
    assert len({entry.id.lower() for entry in entries}) == len(entries)
    assert all(entry.id.count("/") == 1 and entry.verified for entry in entries)
    assert {entry.domain for entry in entries} <= {*MEDICAL, "general", None}
    assert all(entry.imagenet_top1 and entry.parameters for entry in entries if entry.source == "timm")


def test_parameters_are_counted_without_the_head():
    by_id = {entry.id: entry for entry in bundled()}
    assert by_id["timm/resnet18.tv_in1k"].parameters == 11_176_512
