"""The tables of a grid's folder."""

import pandas as pd
import pytest
from helpers.grids import SMALL_GRID

from hf_transferability import TargetError, UsageError
from hf_transferability.benchmark import tables
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.training import one_run
from hf_transferability.training.grids import run_grid
from hf_transferability.training.run_tables import collect

pytestmark = pytest.mark.usefixtures("one_thread")


def test_rows_are_tables_with_provenance_and_can_be_reproduced(target, checkpoint, grid, tmp_path):
    frames = []
    for name in ("first", "second"):
        run_grid(target, [checkpoint], tmp_path / name, grid=grid(0.05, 1e25), **SMALL_GRID)
        frames.append(tables.check_provenance(tables.read(tmp_path / name / "runs.parquet", "runs"), "runs"))
    runs = frames[0]
    assert runs["status"].tolist() == ["ok", "diverged"]
    assert runs["test_auc"].isna().tolist() == [False, True]
    assert runs["checkpoint_revision"].unique().tolist() == [resolve(str(checkpoint)).revision]
    changing = ["seconds", "date"]
    first, second = (frame.drop(columns=changing) for frame in frames)
    # Networks that are loaded separately may differ in the last bits, and training enlarges that.
    pd.testing.assert_frame_equal(first, second, check_exact=False, rtol=1e-2, atol=1e-2)
    truth = tables.check_provenance(tables.read(tmp_path / "first" / "ground_truth.parquet", "ground_truth"), "ground_truth")
    assert set(truth["selection"]) == {"lowest_validation_loss", "mean_of_best_5"}
    assert truth["performance"].tolist() == [runs["test_auc"][0]] * 2 and truth["n_runs"].tolist() == [1, 1]


def test_runs_before_an_error_are_in_the_tables(target, checkpoint, grid, tmp_path, monkeypatch, instant_runs):
    end = one_run.fine_tune

    def second_fails(checkpoint, draw, setting, **options):
        if setting.learning_rate == 0.1:
            raise TargetError("row 3 cannot be decoded")
        return end(checkpoint, draw, setting, **options)

    monkeypatch.setattr(one_run, "fine_tune", second_fails)
    with pytest.raises(TargetError, match="row 3"):
        run_grid(target, [checkpoint], tmp_path / "out", grid=grid(0.05, 0.1), **SMALL_GRID)
    assert tables.read(tmp_path / "out" / "runs.parquet", "runs")["run"].tolist() == [0]
    assert len(tables.read(tmp_path / "out" / "ground_truth.parquet", "ground_truth")) == 2


def test_a_folder_without_runs_has_no_tables(tmp_path):
    with pytest.raises(UsageError, match=r"no run in .* has ended\. Wait for"):
        collect(tmp_path)
