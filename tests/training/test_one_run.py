"""One run of a grid: its errors and notes are in its row."""

import shutil

import pytest
from helpers.grids import SMALL_GRID

from hf_transferability import CheckpointError, TargetError
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.training import one_run
from hf_transferability.training.grids import run_grid

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_checkpoint_that_is_missing_is_an_error_in_its_rows(tmp_path):
    error = one_run.load_checkpoint(str(tmp_path / "missing"), LoadOptions())
    assert isinstance(error, CheckpointError)


@pytest.mark.parametrize(
    ("error", "note"),
    [(KeyError("pooler"), "KeyError: 'pooler'"), (ValueError("a\nb"), "ValueError: a"), (OSError(), "OSError")],
)
def test_an_unexpected_error_fails_that_run_only(target, checkpoint, grid, tmp_path, monkeypatch, error, note):
    own = one_run.fine_tune

    def first_fails(checkpoint, draw, setting, **options):
        if setting.learning_rate == 0.05:
            raise error
        return own(checkpoint, draw, setting, **options)

    monkeypatch.setattr(one_run, "fine_tune", first_fails)
    runs = run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **SMALL_GRID)
    assert runs["status"].tolist() == ["failed", "ok"] and runs["note"][0] == note


def test_an_error_in_the_data_ends_the_grid(target, checkpoint, grid, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise TargetError("row 3 cannot be decoded")

    monkeypatch.setattr(one_run, "fine_tune", fails)
    with pytest.raises(TargetError, match="row 3"):
        run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)


def test_a_figure_that_cannot_be_written_fails_that_run_only(target, checkpoint, grid, tmp_path, monkeypatch, instant_runs):
    end = one_run.fine_tune

    def infinite(checkpoint, draw, setting, **options):
        return end(checkpoint, draw, setting, **options) | (
            {"test_loss": float("inf")} if setting.learning_rate == 0.05 else {}
        )

    monkeypatch.setattr(one_run, "fine_tune", infinite)
    runs = run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **SMALL_GRID)
    assert runs["status"].tolist() == ["failed", "ok"] and "ValueError" in runs["note"][0]


def test_a_checkpoint_that_was_trained_on_the_target_has_a_note(target, checkpoint, grid, tmp_path, instant_runs):
    seen = tmp_path / "seen"
    shutil.copytree(checkpoint, seen)
    (seen / "README.md").write_text(f"---\ndatasets: [owner/{target.name}]\n---\n")
    runs = run_grid(target, [seen, checkpoint], tmp_path / "out", grid=grid(0.05), **SMALL_GRID)
    notes = runs.set_index("source")["note"]
    assert notes["seen"] == f"seen was trained on owner/{target.name}, as its model card says"
    assert notes.isna()[checkpoint.name]
