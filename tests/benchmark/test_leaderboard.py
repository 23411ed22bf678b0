"""The table over all bundled benchmarks."""

import csv
import io
import json

import pandas as pd
import pytest

from hf_transferability import UsageError
from hf_transferability.agreement import regret_at, weighted_tau
from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.compare import compare
from hf_transferability.benchmark.leaderboard import COLUMNS, Column, bundled_leaderboard, leaderboard
from hf_transferability.cli import main

SCORED = [column.name for column in COLUMNS if column.benchmarks[0] in bundled.with_table("scores")]


@pytest.fixture(scope="module")
def board():
    return leaderboard(resamples=20)


def test_every_benchmark_has_a_column(board):
    assert {name for column in board.columns for name in column["benchmarks"]} == set(bundled.benchmarks())
    assert [column["name"] for column in board.columns if column["scored"]] == SCORED
    described = {column["name"]: column for column in board.columns}
    assert (described["open_both"]["n_targets"], described["open_both"]["n_sources"]) == (6, 24)
    assert described["open_both"]["scenario"] == "architecture"
    assert [described[name]["n_targets"] for name in ("chaves_med", "chaves_nat", "medmnist+")] == [3, 8, 12]
    assert described["chaves_med"]["unit"] == "balanced accuracy"
    assert described["sfda_cnn"]["measure"] == "mixed"
    assert [described[name]["n_sources"] for name in ("sfda_cnn", "sfda_ssl", "emms_vit")] == [11, 12, 13]


def test_a_cell_is_what_the_comparison_of_that_benchmark_says(board):
    medical = ["brain_tumor_kaggle", "breakhis", "skin_splits"]
    for name, benchmark, scenario, targets in [
        ("chaves_med", "chaves2024", "architecture", medical),
        ("open", "open", "source_dataset", ()),
        ("paper_data", "paper", "source_dataset", ()),
    ]:
        rows = compare(
            bundled.load("ground_truth", benchmark),
            bundled.load("scores", benchmark),
            sources=bundled.load("sources", benchmark),
            selection=bundled.selection(benchmark),
            scenarios=[scenario],
            targets=targets,
            orientation="natural",
            resamples=1,
        ).rows
        means = rows[rows.target == "mean"].set_index(["metric", "variant", "statistic"]).value
        cells = [row for row in board.rows if row["column"] == name and row["kind"] != "ceiling"]
        assert len(cells) >= 12
        for row in cells:
            assert row["weighted_tau"] == pytest.approx(means[row["metric"], row["variant"], "weighted_tau"])
            assert row["regret"] == pytest.approx(means[row["metric"], row["variant"], "regret_at_1"])


def test_the_default_form_counts_where_there_is_one(board):
    variants = {(row["metric"], row["column"]): row["variant"] for row in board.rows}
    assert variants["logme", "open"] == variants["h_score", "chaves_med"] == "default"
    assert variants["logme", "paper_data"] == variants["logme", "chaves_nat"] == "published"
    assert len(variants) == len(board.rows)


def test_two_benchmarks_as_one_pool(board):
    """Feature quality times update ratio and consensus are formed over all 24; scores scaled over 12 are left out."""
    cells = {row["metric"]: row for row in board.rows if row["column"] == "open_both"}
    assert "ncti" not in cells and "open" in board.cells("ncti")
    parts = []
    for name in ("open", "open_regnet"):
        truth = bundled.load("ground_truth", name).query("selection == 'mean_of_best_5'")
        scores = bundled.load("scores", name).query("variant == 'default'")
        wide = scores.pivot(index=["source", "target"], columns="metric", values="score")
        sizes = bundled.load("sources", name).set_index("source").parameters.astype(float)
        wide = wide.join(truth.set_index(["source", "target"]).performance, how="inner").reset_index()
        parts.append(wide.assign(size=sizes[wide.source].tolist()))
    taus, consensus, regrets = [], [], []
    for _, pool in pd.concat(parts).groupby("target"):
        scaled = [(pool[part] - pool[part].min()) / (pool[part].max() - pool[part].min())
                  for part in ("feature_quality", "feature_update_ratio")]  # fmt: skip
        taus.append(weighted_tau((1 - scaled[0]) * (1 - scaled[1]), pool.performance))
        evidence = (pool.feature_quality.rank() + pool.logme.rank()) / 2
        both = evidence + pool["size"].rank()
        consensus.append(weighted_tau(both, pool.performance))
        regrets.append(regret_at(both, pool.performance, 1))
    assert cells["transferability"]["weighted_tau"] == pytest.approx(sum(taus) / 6)
    assert cells["consensus"]["weighted_tau"] == pytest.approx(sum(consensus) / 6)
    assert cells["consensus"]["regret"] == pytest.approx(sum(regrets) / 6)


def test_the_worst_column_of_each_row(board):
    for metric, (column, value) in board.worst.items():
        cells = board.cells(metric)
        assert value == cells[column]["weighted_tau"] == min(cells[name]["weighted_tau"] for name in SCORED if name in cells)
    assert "split_half" not in board.worst
    metrics = [metric for metric in board.metrics() if next(iter(board.cells(metric).values()))["kind"] == "metric"]
    half = [metric for metric in metrics if 2 * len(board.cells(metric)) >= len(SCORED)]
    assert metrics[: len(half)] == half
    for own in (half, metrics[len(half) :]):
        values = [board.worst[metric][1] for metric in own]
        assert values == sorted(values, reverse=True)


def test_what_a_benchmark_lacks_has_no_row(board):
    assert "medmnist+" not in board.cells("logme")
    assert "open" not in board.cells("parameter_count")  # one architecture
    assert set(board.cells("pactran")) == {"chaves_med", "chaves_nat"}
    assert not {row["metric"] for row in board.rows if row["column"] == "transfergraph"} - {
        "mean_rank_elsewhere", "parameter_count", "feature_width", "random"
    }  # fmt: skip


def test_what_the_reader_must_know_is_said(board):
    assert any("transfergraph: without food101" in note for note in board.notes)
    assert "medmnist+: imagenet_top1 is unknown for 3 of 10 sources." in board.notes


def test_columns_and_metrics_of_ones_choice():
    column = Column("mine", ("chaves2024",), "architecture", "frozen networks", selection="frozen_as_published")
    found = leaderboard([column], metrics=["leep"], resamples=5)
    assert {row["metric"] for row in found.rows if row["kind"] == "metric"} == {"leep"}
    assert found.columns[0]["selection"] == "frozen_as_published" and found.columns[0]["n_targets"] == 11
    turned = leaderboard([COLUMNS[1]], metrics=["leep"], orientation="published", resamples=5)
    natural = leaderboard([COLUMNS[1]], metrics=["leep"], resamples=5)
    assert turned.worst["leep"][1] == pytest.approx(0.280, abs=5e-4)  # of the paper
    assert natural.worst["leep"][1] < 0


@pytest.fixture
def shown(monkeypatch, capsys, board):
    monkeypatch.setattr("hf_transferability.benchmark.leaderboard.leaderboard", lambda **given: board)

    def run(*words):
        status = main(["benchmark", "compare", "--benchmark", "all", *words])
        return status, *capsys.readouterr()

    return run


def test_the_command(shown, board):
    status, text, _ = shown()
    assert status == 0
    table = text.partition("columns\n")[0]
    assert max(map(len, table.splitlines())) <= 120
    line = next(line.split() for line in text.splitlines() if line.startswith("consensus"))
    assert len(line) == 1 + len(SCORED) + 1
    assert line[-1] == line[1 + SCORED.index("open_regnet")].rstrip("*")
    assert sum(cell.endswith("*") for cell in line) == 1
    assert "balanced accuracy" in text


def test_the_command_in_other_forms(shown, board, tmp_path):
    document = json.loads(shown("--format", "json")[1])
    assert document["worst"]["consensus"]["column"] == board.worst["consensus"][0]
    assert document["rows"] == board.rows
    rows = list(csv.DictReader(io.StringIO(shown("--format", "csv", "--output", str(tmp_path / "all.parquet"))[1])))
    assert len(rows) == len(board.rows) == len(pd.read_parquet(tmp_path / "all.parquet"))
    assert shown("--format", "markdown")[1].count("\n| consensus |") == 1


@pytest.mark.parametrize("option", ["--target", "--selection", "--scores"])
def test_what_does_not_go_with_all(option, capsys):
    assert main(["benchmark", "compare", "--benchmark", "all", option, "x"]) == 2
    assert f"`--benchmark all` cannot be limited by {option}" in capsys.readouterr().err


def test_no_such_metric():
    with pytest.raises(UsageError, match="`metrics` must be among those that the benchmarks have; got logmee"):
        leaderboard(COLUMNS[2:3], metrics=["logmee"], resamples=5)


def test_the_bundled_table_is_what_the_program_works_out(board):
    """After a change of a metric, a baseline or a benchmark: python tools/refresh_leaderboard.py."""
    stored = {(row["metric"], row["column"]): row for row in bundled_leaderboard()["rows"]}
    assert set(stored) == {(row["metric"], row["column"]) for row in board.rows}
    for row in board.rows:
        for statistic in ("weighted_tau", "regret"):
            assert row[statistic] == pytest.approx(stored[row["metric"], row["column"]][statistic], abs=0.005)
