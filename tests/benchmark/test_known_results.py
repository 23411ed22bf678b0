"""The bundled table of published fine-tuning results: whole, consistent, and as its sources have it."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hf_transferability.benchmark import bundled, known

ROOT = Path(__file__).resolve().parents[2]
EXTERNAL = ROOT.parent / "shared" / "external"


def table(name):
    return pd.read_csv(known.FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def tool():
    """The script that makes the table; it is not part of the package."""
    path = ROOT / "tools" / "known_results.py"
    if not path.is_file():
        pytest.skip("the scripts of the repository are not beside the tests")
    specification = importlib.util.spec_from_file_location("known_results_tool", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results():
    return pd.read_parquet(known.FOLDER / "results.parquet")


def test_every_result_is_a_share_and_stands_once(results):
    assert results.value.between(0, 1).all()
    assert not results.duplicated(["study", "group", "target", "name"]).any()
    assert not results.isna().any(axis=None)


def test_every_name_target_and_study_is_described_once(results):
    checkpoints = table("checkpoints")
    assert not checkpoints.duplicated(["study", "name"]).any()
    described = set(zip(checkpoints.study, checkpoints.name, strict=True))
    assert set(zip(results.study, results.name, strict=True)) == described
    assert sorted(table("targets").target) == sorted(results.target.unique())
    assert sorted(table("studies").study) == sorted(results.study.unique())
    assert table("studies").replace("", pd.NA).notna().all(axis=None)


def test_every_mapping_states_its_grounds():
    for name in ("checkpoints", "same_weights"):
        assert (table(name).grounds.str.len() > 15).all()
    checkpoints = table("checkpoints")
    assert (checkpoints.certain.isin(["yes", "no"]) == (checkpoints.checkpoint != "")).all()
    assert checkpoints.checkpoint[checkpoints.checkpoint != ""].str.fullmatch(r"[\w.-]+/[\w.-]+").all()
    assert table("targets").medical.isin(["yes", "no"]).all()


def test_copies_lead_to_one_id_each():
    twins = table("same_weights")
    copies, kept = set(twins.checkpoint.str.lower()), set(twins.same_weights_as.str.lower())
    assert len(copies) == len(twins)
    assert not copies & kept


def test_timm_holds_the_ids_of_its_own():
    """An id of timm in the mapping is one that timm loads from; the transformers twins lead there, too."""
    timm = pytest.importorskip("timm")
    configurations = timm.models._registry._model_pretrained_cfgs.values()
    there = {configuration.hf_hub_id for configuration in configurations if configuration.hf_hub_id}
    ids = set(table("checkpoints").checkpoint) | set(table("same_weights").same_weights_as)
    named = {name for name in ids if name.startswith("timm/")}
    # Only as a study gives it: a repository of before timm's tags.
    assert named - there == {"timm/vit_huge_patch14_224_in21k"}


def test_the_readme_gives_the_numbers_of_rows(results):
    text = (known.FOLDER / "README.md").read_text("utf-8")
    assert f"| `results.parquet` | {len(results):,} |" in text
    for name in ("checkpoints", "same_weights", "targets", "studies"):
        assert f"| `{name}.csv` | {len(table(name))} |" in text


@pytest.mark.skipif(not EXTERNAL.is_dir(), reason="the studies' own files are not beside the project")
def test_the_table_is_as_its_sources_have_it(results, tool):
    pd.testing.assert_frame_equal(tool.results(EXTERNAL), results, check_dtype=False)


def test_a_study_that_is_a_benchmark_as_well_has_the_same_figures(results, tool):
    studies = set(bundled.benchmarks()) & set(results.study)
    assert "paper" in studies
    for study in studies:
        truth = bundled.load("ground_truth", study).rename(columns={"source": "name"})
        own = results[results.study == study]
        both = own.merge(truth.assign(target=truth.target.replace(tool.TARGETS)), on=["name", "target", "measure"])
        same = both[np.isclose(both.value, both.performance, rtol=0, atol=1e-9)]
        assert len(same.drop_duplicates(["name", "target"])) == len(own), study
