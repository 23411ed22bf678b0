"""Grids of hyperparameters, and the options that all runs share."""

import json

import pytest

from hf_transferability import UsageError
from hf_transferability.training.settings import Protocol, RowLabels, Setting, grid_settings


def test_named_grids_and_files(tmp_path):
    assert len(grid_settings("small", 3)) == 6
    paper = grid_settings("paper", 2)
    assert len(set(paper)) == 120 and {setting.batch_size for setting in paper} == {32, 64}
    assert {setting.batch_size for setting in grid_settings("paper", 11)} == {128, 256}
    file = tmp_path / "grid.json"
    file.write_text('{"batch_size": [4, 8], "learning_rate": [0.1], "momentum": [0], "weight_decay": [0, 0.1]}')
    assert grid_settings(file, 3)[1] == Setting(4, 0.1, 0, 0.1)


@pytest.mark.parametrize("text", ["[]", "{", '[{"batch_size": 8}]', '{"batch_size": [8], "lr": [1]}', "7"])
def test_a_file_with_other_content_is_refused(tmp_path, text):
    (tmp_path / "grid.json").write_text(text)
    with pytest.raises(UsageError, match="`grid` must"):
        grid_settings(tmp_path / "grid.json", 3)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_settings_that_are_not_finite_are_refused(tmp_path, name):
    row = {"batch_size": 8, "learning_rate": 0.1, "momentum": 0, "weight_decay": 0} | {name: float("inf")}
    (tmp_path / "grid.json").write_text(json.dumps([row]))
    with pytest.raises(UsageError, match=f"{name}.*got inf.*Correct it"):
        grid_settings(tmp_path / "grid.json", 3)


@pytest.mark.parametrize("size", [1, 0, 2.5, True])
def test_batches_of_less_than_two_images_are_refused(tmp_path, size):
    row = {"batch_size": size, "learning_rate": 0.1, "momentum": 0, "weight_decay": 0}
    (tmp_path / "grid.json").write_text(json.dumps([row]))
    with pytest.raises(UsageError, match=f"batch_size must be .*, got {size}.*Correct it"):
        grid_settings(tmp_path / "grid.json", 3)
    (tmp_path / "grid.json").write_text(json.dumps([row | {"batch_size": 2}]))
    assert grid_settings(tmp_path / "grid.json", 3)[0].batch_size == 2


@pytest.mark.parametrize("dropout", [-0.1, 1, float("nan")])
def test_a_dropout_outside_its_range_is_refused(dropout):
    with pytest.raises(UsageError, match=r"`dropout` must be .*; got .*\. (Choose|Pass) another"):
        Protocol(dropout=dropout)


def test_an_unknown_scenario_is_refused():
    with pytest.raises(UsageError, match=r"`scenario` must be one of source_dataset, architecture; got 'size'"):
        RowLabels(scenario="size")
