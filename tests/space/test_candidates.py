"""The search box for checkpoints, its bounds, and the examples that fill the form."""

from hf_transferability.catalogue.entries import bundled
from hf_transferability.space import candidates, limits
from hf_transferability.space.examples import EXAMPLES


def test_choices_show_size_and_licence_of_all_that_can_be_ranked_here():
    texts = {identifier: text for text, identifier in candidates.choices()}
    assert texts["timm/resnet50.a1_in1k"] == "timm/resnet50.a1_in1k (23.5M, apache-2.0)"
    assert "licence unknown" in texts["microsoft/rad-dino"]
    refused = {entry.id for entry in bundled() if candidates.problems("", [entry.id])}
    assert {"owkin/phikon-v2"} < refused
    assert set(texts) == {entry.id for entry in bundled()} - refused


def test_what_is_known_best_comes_first():
    entries = {entry.id: entry for entry in bundled()}
    places = [
        (-(entries[identifier].downloads or 0), entries[identifier].licence is None) for _, identifier in candidates.choices()
    ]
    assert places == sorted(places)
    assert not places[0][1] and places[-1][1]  # there are licences that nobody knows, and these are last


def test_typed_and_pasted_ids_are_taken_apart_and_named_once():
    assert candidates.ids(["a/b", "c/d,e/f\n a/b", " "]) == ["a/b", "c/d", "e/f"]


def test_bounds_are_told_before_the_hub_is_asked():
    assert candidates.problems("", []) == []
    assert "At most 6 checkpoints, of 100M parameters each." in candidates.total([])
    fine = ["timm/resnet50.a1_in1k", "timm/resnet18.a1_in1k@main", "nobody/unknown"]
    assert candidates.problems("a/b", fine) == []
    assert (
        candidates.total(fine)
        == "3 of at most 6 checkpoints, 34.7M parameters together; the size of 1 is looked up when you rank."
    )
    (many,) = candidates.problems("a/b", [f"a/{i}" for i in range(7)])
    assert many.startswith("This page ranks at most 6 checkpoints at once; got 7.")
    dataset, path = candidates.problems("/etc", ["../x"])
    assert dataset.startswith("`dataset` must be a Hub id") and path.startswith("`checkpoint` must be a Hub id")
    (large,) = candidates.problems("a/b", ["OWKIN/phikon-v2"])
    assert "at most 100M parameters; owkin/phikon-v2 has 303M." in large
    (together,) = candidates.problems("a/b", ["microsoft/rad-dino", "owkin/phikon", "google/vit-base-patch16-224"])
    assert "at most 1000 MB of checkpoints; these have 1033 MB" in together


def test_examples_are_within_the_bounds_and_known_to_the_catalogue():
    known = {entry.id for entry in bundled()}
    for example in EXAMPLES:
        assert set(example.checkpoints) <= known
        assert limits.is_id(example.dataset)
        assert candidates.problems(example.dataset, example.checkpoints) == []
