"""Where the page's benchmarks come from: the package, one parquet, a folder, a dataset of the Hub."""

import shutil

import pandas as pd
import pytest

from hf_transferability import UsageError
from hf_transferability.benchmark import bundled
from hf_transferability.hub import retries
from hf_transferability.space import benchmarks, lookup


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    benchmarks._read.cache_clear()
    yield
    benchmarks._read.cache_clear()


@pytest.fixture
def own(tmp_path):
    """A folder in the layout of `benchmark publish`: the paper's figures of one scenario, without runs and sources."""
    for name in ("ground_truth", "scores"):
        frame = bundled.load(name)
        place = tmp_path / "own" / "data" / name
        place.mkdir(parents=True)
        frame[frame["scenario"] == "architecture"].assign(benchmark="mine").to_parquet(place / "0.parquet")
    return tmp_path / "own"


@pytest.fixture
def ask_for(monkeypatch):
    return lambda origin: monkeypatch.setenv(benchmarks.VARIABLE, str(origin))


def test_every_bundled_benchmark_is_shown_the_papers_first(monkeypatch):
    monkeypatch.delenv(benchmarks.VARIABLE, raising=False)
    found, notice = benchmarks.shown()
    assert notice == ""
    assert next(iter(found)) == "paper"
    assert set(found) == set(bundled.with_table("scores"))
    for name, each in found.items():
        rows = lookup.agreement_table(each, each.selections[-1], each.scenarios[0])
        assert "baseline" in set(rows["kind"])
        text = lookup.benchmark_summary(each, each.selections[-1], each.scenarios[0])
        assert bundled.title(name) in text
        if name in bundled.with_table("runs"):
            assert each.selections[0] == (bundled.selection(name) or "lowest_validation_loss")
            assert 0 < rows.loc[rows["kind"] == "ceiling", "weighted tau"].item() <= 1
            assert "Noise ceiling 0." in text
        else:
            assert "no noise ceiling" in text


def test_another_folder_of_tables_is_another_benchmark(own, tmp_path, monkeypatch):
    data = tmp_path / "bundled"
    shutil.copytree(bundled.DATA / "paper", data / "zeta", ignore=shutil.ignore_patterns("agreement.parquet", "runs.parquet"))
    monkeypatch.setattr(bundled, "DATA", data)
    monkeypatch.delenv(benchmarks.VARIABLE, raising=False)
    benchmarks._bundled.cache_clear()
    try:
        (name,) = benchmarks.shown()[0]
        assert name == "zeta"
    finally:
        benchmarks._bundled.cache_clear()


def test_the_bundled_agreement_is_what_the_program_works_out():
    """After a change of a metric, a baseline or a benchmark: python tools/refresh_leaderboard.py."""
    keys = ["benchmark", "scenario", "selection", "metric", "variant", "target", "statistic"]
    stored, anew = (
        frame.set_index(keys).sort_index() for frame in (pd.read_parquet(benchmarks.AGREEMENT), benchmarks.worked_out())
    )
    pd.testing.assert_frame_equal(stored, anew, atol=0.005, check_dtype=False)


def test_one_parquet_holds_all_that_the_page_shows(tmp_path, ask_for, monkeypatch):
    monkeypatch.delenv(benchmarks.VARIABLE, raising=False)
    before, _ = benchmarks.shown()
    benchmarks.write(tmp_path / "a.parquet")
    ask_for(tmp_path / "a.parquet")
    monkeypatch.setattr("hf_transferability.benchmark.compare.compare", lambda *tables, **more: pytest.fail("worked out again"))
    after, notice = benchmarks.shown()
    assert notice == ""
    assert list(after) == list(before)
    for name, each in after.items():
        assert each.selections == before[name].selections
        for selection in each.selections:
            for scenario in each.scenarios:
                for target in lookup.choices(each, selection, scenario)[1]:
                    one, other = (lookup.agreement_table(which[name], selection, scenario, target) for which in (after, before))
                    assert one.reset_index(drop=True).equals(other.reset_index(drop=True))


def test_a_folder_is_read(own, ask_for):
    ask_for(own)
    found, notice = benchmarks.shown()
    assert (list(found), notice) == (["mine"], "")
    assert found["mine"].scenarios == ["architecture"]
    selection = found["mine"].selections[0]
    assert lookup.choices(found["mine"], selection, "architecture")[1][0] == "bloodmnist"
    assert "no noise ceiling" in lookup.benchmark_summary(found["mine"], selection, "architecture")
    with pytest.raises(UsageError, match=r"mine has no scenario source_dataset\. It has: architecture"):
        lookup.choices(found["mine"], selection, "source_dataset")


def test_a_dataset_of_the_hub_is_read_and_looked_at_again_later(own, ask_for, at_hub, monkeypatch):
    at_hub.commit("dataset", "alice/benchmark", own)
    ask_for("alice/benchmark")
    found, notice = benchmarks.shown()
    assert (list(found), notice) == (["mine"], "")
    assert len(lookup.lookup_benchmark("architecture", "leep")["pairs"]) == 99
    at_hub.requests.clear()
    assert benchmarks.shown()[0] is found
    assert at_hub.requests == []
    monkeypatch.setattr(benchmarks, "FRESH", 1e-6)
    assert benchmarks.shown()[0] is found  # nothing has changed there
    frame = bundled.load("scores").query("scenario == 'architecture'").assign(benchmark="mine", score=0.5)
    frame.to_parquet(own / "data/scores/0.parquet")
    at_hub.commit("dataset", "alice/benchmark", own)
    later = benchmarks.shown()[0]
    assert (later["mine"].scores["score"] == 0.5).all()


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        ("alice/nowhere", "alice/nowhere"),
        ("alice/data", "alice/data must have the tables ground_truth, scores"),
        (__file__, "is not a parquet file made by"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_bundled_shown(ask_for, at_hub, origin, text):
    ask_for(origin)
    found, notice = benchmarks.shown()
    assert next(iter(found)) == "paper"
    assert text in notice
    assert "You see those that come with the package" in notice
    assert notice in lookup.benchmark_summary(found["paper"], "lowest_validation_loss", "source_dataset")
    answer = lookup.lookup_benchmark("source_dataset")
    assert (answer["notice"], answer["benchmark"]) == (notice, "paper")
    with pytest.raises(UsageError, match=r"`benchmark` must be one of paper, .*; got 'mine'\..*cannot be read"):
        lookup.lookup_benchmark("source_dataset", name="mine")


def test_a_hub_that_does_not_answer_is_said(ask_for, at_hub, monkeypatch):
    monkeypatch.setattr(retries.time, "sleep", lambda seconds: None)
    at_hub.commit("dataset", "alice/away", {"README.md": b""})
    at_hub.faults.add("/api/datasets/alice/away", status=503)
    ask_for("alice/away")
    found, notice = benchmarks.shown()
    assert "paper" in found
    assert "alice/away" in notice


def test_a_folder_without_scores_is_refused(own, ask_for):
    shutil.rmtree(own / "data/scores")
    ask_for(own)
    assert "must have the tables scores" in benchmarks.shown()[1]
