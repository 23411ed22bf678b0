"""Scored candidates as JSON, and one pool of the parts of several machines."""

import copy
import json
from dataclasses import replace

import pytest

from hf_transferability.errors import TransferabilityError
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.leaks import unnamed_sources
from hf_transferability.ranking.parts import Part, from_dict, merged
from hf_transferability.ranking.scoring import Scores

DATASET = {"id": "owner/target", "fingerprint": "f00", "account": {"rows": {"train": 40}}}


def part(*names: str) -> Part:
    """A part of scored candidates whose cards name no source dataset, after a leak check; the last has failed."""
    scores = Scores({"logme": 0.1 + 0.2, "ncti": {"a": 1 / 3}}, {"logme": [0.1, None]}, flags={"n<=d": "40 <= 64"})
    candidates = [Candidate(name, "a" * 40, {"n_features": 64}, scores) for name in names[:-1]]
    candidates.append(Candidate(names[-1], error="not found"))
    notes = ["leak check: x cannot be compared: no.", *unnamed_sources(candidates)]
    return Part(candidates, DATASET, "single_label", ["logme"], ("logme", "ncti"), notes, label_p_values={names[0]: 0.01})


def test_a_part_comes_back_from_json_unchanged():
    first = part("a", "b", "c")
    assert from_dict(json.loads(json.dumps(first.to_dict()))) == first


@pytest.mark.parametrize(
    "damage",
    [("format",), ("candidates", 0, "facts"), ("candidates", 0, "name"), ("dataset", "account"), ("metrics",), ("keys",)],
)
def test_another_document_is_refused(damage):
    document = copy.deepcopy(json.loads(json.dumps(part("a", "b").to_dict())))
    *path, last = damage
    place = document
    for step in path:
        place = place[step]
    place[last] = 5
    with pytest.raises(ValueError):
        from_dict(document)
    with pytest.raises(ValueError):
        from_dict([document])


def test_parts_are_merged_in_the_order_of_the_pool():
    whole = merged([part("c", "d"), part("a", "b", "x")], ["a", "b", "c", "d", "x"])
    assert [candidate.name for candidate in whole.candidates] == ["a", "b", "c", "d", "x"]
    # What both say is said once, and what counts candidates is counted over all.
    assert whole.notes == [
        "leak check: x cannot be compared: no.",
        "leak check: 3 model cards name no source dataset, for example that of a.",
    ]
    assert whole.label_p_values == {"a": 0.01, "c": 0.01}


def test_parts_of_different_samples_or_versions_are_refused():
    first, second = part("a", "b"), part("c", "d")
    with pytest.raises(TransferabilityError, match="of different samples"):
        merged([first, replace(second, dataset=DATASET | {"fingerprint": "f01"})], ["a"])
    with pytest.raises(TransferabilityError, match="different versions of this package"):
        merged([first, replace(second, versions={"hf-transferability": "0"})], ["a"])
