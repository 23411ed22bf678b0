"""Levels of folders beside those of classes and splits."""

from hf_transferability.data.folder_parts import joined, labelled_levels, levels_of, listed, may_be_test


def test_levels_that_hold_several_folders_or_images_beside_one():
    folders = [("x", "a", "p1"), ("x", "a", "p2"), ("x", "b")]
    assert levels_of(folders) == {2: ({"a", "b"}, False), 3: ({"p1", "p2"}, True)}
    assert levels_of(folders, [2]) == {3: ({"p1", "p2"}, True)}
    assert levels_of([("a", "p"), ("b", "p")], [1, None]) == {}
    assert joined({}) == ("", "")


def test_levels_that_are_the_labels():
    assert labelled_levels([("a", "x"), ("b", "x")], [0, 1]) == {1}
    assert labelled_levels([("a", "x"), ("b", "x"), ("a", "y")], [0, 1, 1]) == set()
    assert labelled_levels([("p1",), ("p2",), ("p3",)], [0, 0, 1]) == set()


def test_names_that_may_be_of_test_images():
    assert all(map(may_be_test, (["x", "my_test"], ["a_train", "a_val"], ["external", "p1"], ["train", "p1"])))
    assert not any(map(may_be_test, (["contest", "a"], ["val_disere", "a"], ["external_ear", "a"], [])))


def test_a_list_of_names_is_short_and_printable():
    assert listed([*"fedcba", "\n"]) == "\\n, a, b, c, d and 2 more"
