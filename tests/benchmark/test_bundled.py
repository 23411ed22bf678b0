"""The bundled results: the paper's, and those on open datasets."""

import pytest

from hf_transferability import UsageError
from hf_transferability.benchmark import bundled, tables
from hf_transferability.benchmark.comparison_notes import RELIABLE
from hf_transferability.benchmark.ground_truth import from_runs, reliability

ROWS = {"ground_truth": 267, "scores": 2090, "runs": 28205, "sources": 24, "targets": 12, "agreement": 198}
# Benchmarks on open datasets, one architecture each.
OPEN = {
    "open": {"ground_truth": 144, "runs": 864, "scores": 1584, "sources": 13, "targets": 6},
    "open_regnet": {"ground_truth": 144, "runs": 576, "scores": 1584, "sources": 13, "targets": 6},
}
# Published studies.
STUDIES = {
    "chaves2024": {"ground_truth": 220, "scores": 1427, "sources": 10, "targets": 11},
    "medmnistplus": {"ground_truth": 240, "scores": 240, "sources": 10, "targets": 12},
    "sfda_emms": {"ground_truth": 396, "sources": 36, "targets": 11},
    "transfergraph": {"ground_truth": 2253, "sources": 180, "targets": 13},
}


def test_they_are_all_there():
    assert bundled.benchmarks() == sorted(["paper", *OPEN, *STUDIES])
    assert bundled.with_table("scores") == ["chaves2024", "medmnistplus", "open", "open_regnet", "paper"]
    assert {name: len(bundled.load(name)) for name in ROWS} == ROWS
    assert sum(path.stat().st_size for path in (bundled.DATA / "paper").iterdir()) < 1.5e6


def test_each_ground_truth_is_the_run_of_lowest_validation_loss():
    runs, truth = bundled.load("runs"), bundled.load("ground_truth")
    pair = ["scenario", "source", "target"]
    done = runs[runs["status"] == "ok"]
    best = done.loc[done.groupby(pair)["validation_loss"].idxmin(), [*pair, "test_auc"]]
    both = truth.merge(best, on=pair)
    assert len(both) == truth["n_runs"].notna().sum() == 256
    assert (both["performance"] - both["test_auc"]).abs().max() < 1e-9
    # The runs of ResNet among the architectures are those of ImageNet among the source datasets.
    one = truth[truth["scenario"].eq("architecture") & truth["source"].eq("resnet")].set_index("target")["performance"]
    other = truth[truth["scenario"].eq("source_dataset") & truth["source"].eq("imagenet")].set_index("target")["performance"]
    assert len(one) == 11
    assert (one - other[one.index]).abs().max() < 1e-9


def test_a_published_row_names_its_source():
    found = bundled.with_provenance()
    assert {name: len(frame) for name, frame in found.items()} == ROWS
    for name, frame in found.items():
        checked = tables.check_provenance(frame, name)
        assert checked["citation"].str.contains("arXiv 2412.20172").all()
        assert checked["citation"].str.contains("torchvision").any() == (name == "sources")
        bare = bundled.load(name)
        lacking = int((bare["status"] != "failed").sum()) if name == "runs" else len(bare)  # failed runs need not be whole
        with pytest.raises(UsageError, match=f"{lacking} of {ROWS[name]} rows"):
            tables.check_provenance(bare, name)
    notice = (bundled.DATA / "paper" / "README.md").read_text()
    assert "2412.20172" in notice
    assert all(author in notice for author in ("Juodelyte", "Ferrante", "Lu", "Singh", "Vanschoren", "Cheplygina"))
    assert all(f"{rows:,}" in notice for rows in ROWS.values())


@pytest.mark.parametrize("name", OPEN)
def test_an_open_benchmark_is_complete_and_says_where_it_comes_from(name):
    benchmark, found = name, bundled.with_provenance(name)
    assert {name: len(frame) for name, frame in found.items()} == OPEN[benchmark]
    assert all(set(frame["benchmark"]) == {benchmark} for frame in found.values())
    for name, frame in found.items():
        assert tables.check_provenance(frame, name)["citation"].isna().all()
    runs, truth, scores = found["runs"], found["ground_truth"], found["scores"]
    assert (runs["status"] == "ok").all()
    pairs = set(truth[["source", "target"]].itertuples(index=False, name=None))
    assert len(pairs) == 72
    assert pairs == set(scores[["source", "target"]].itertuples(index=False, name=None))
    assert all(source != target for source, target in pairs)
    assert {source for source, _ in pairs} == set(found["sources"]["source"])
    again = from_runs(runs, "mean_of_best_5").set_index(["source", "target"])["performance"]
    denoised = truth[truth["selection"] == "mean_of_best_5"].set_index(["source", "target"])["performance"]
    assert (again - denoised).abs().max() < 1e-12
    # All runs of a target saw the same images.
    assert (runs.groupby("target")["dataset_fingerprint"].nunique() == 1).all()
    notice = (bundled.DATA / benchmark / "README.md").read_text()
    assert all(f"{rows:,}" in notice for rows in OPEN[benchmark].values())


@pytest.mark.parametrize("name", STUDIES)
def test_a_published_study_is_complete_and_cited(name):
    benchmark, found = name, bundled.with_provenance(name)
    assert {name: len(frame) for name, frame in found.items()} == STUDIES[benchmark]
    for name, frame in found.items():
        checked = tables.check_provenance(frame, name)
        assert set(checked["benchmark"]) == {benchmark}
        assert checked["citation"].str.contains(r"arXiv \d{4}\.\d{5}").all() and checked["date"].notna().all()
    truth, sources, targets = found["ground_truth"], found["sources"], found["targets"]
    assert set(truth["source"]) == set(sources["source"]) and set(truth["target"]) == set(targets["target"])
    assert sources["parameters"].notna().sum() >= len(sources) - 1  # TransferGraph gives no count for one checkpoint
    assert sources["checkpoint"].dropna().str.fullmatch(r"[\w.-]+/[\w.-]+").all()
    if "scores" in found:
        assert set(found["scores"]["source"]) == set(sources["source"])
    notice = (bundled.DATA / benchmark / "README.md").read_text()
    assert all(f"{rows:,}" in notice for rows in STUDIES[benchmark].values())
    for word in ("Licence", "arXiv", "cite", "How far it can be trusted", "What was changed"):
        assert word in notice


@pytest.mark.parametrize("name", OPEN)
def test_what_its_notice_says_of_the_noise_is_so(name):
    runs, notice = bundled.load("runs", name), (bundled.DATA / name / "README.md").read_text()
    told = {row[0]: row[1:] for line in notice.splitlines() if len(row := line.strip("| ").split(" | ")) == 3}
    for place, selection in enumerate(("mean_of_best_5", "lowest_validation_loss")):
        for row in reliability(runs, selection).itertuples():
            value, _, mark = told[row.target][place].partition(", ")
            assert float(value) == pytest.approx(row.value, abs=0.006)
            assert (mark == "uninformative") == (row.value < RELIABLE)


def test_the_caller_may_change_what_it_gets():
    mine = bundled.load("sources")
    mine["source"] = "x"
    assert "imagenet" in bundled.load("sources")["source"].tolist()


def test_what_is_not_bundled():
    for ask in (lambda: bundled.load("none"), lambda: bundled.load("scores", "mine"), lambda: bundled.load("../paper")):
        with pytest.raises(UsageError, match="paper/ground_truth"):
            ask()
    with pytest.raises(UsageError, match=r"benchmark sfda_emms has no scores\. Benchmarks that have: .*paper"):
        bundled.load("scores", "sfda_emms")
    with pytest.raises(UsageError, match=r"no bundled benchmark mine\. There are: .*paper"):
        bundled.with_provenance("mine")
