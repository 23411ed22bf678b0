"""What fine-tuning elsewhere says of the candidates of a run: where it is read from, and what the rows get."""

import hashlib
import json
import os
import shutil
import threading

import pandas as pd
import pytest
from helpers import tables as small
from helpers.loopback_hub import LoopbackHub

from hf_transferability import UsageError, rank
from hf_transferability.benchmark import bundled, tables
from hf_transferability.hub import retries
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.known import read_known, with_known

VGG = "timm/vgg16.tv_in1k"
COLUMNS = ["known_elsewhere", "known_targets", "known_medical", "known_studies"]


def add_known(found, results, dataset):
    """Put what is known into rows of checkpoint and revision; the citations."""
    candidates = [Candidate(row["checkpoint"], row["revision"]) for row in found]
    described, cited = with_known(candidates, results, dataset)
    for row, candidate in zip(found, described, strict=True):
        row |= candidate.facts
    return cited


def own(**columns):
    """Ground truth of two checkpoints on one target."""
    table = small.ground_truth({"scans": {VGG: 0.9, "owner/mine": 0.8}}, scenario="architecture")
    return table.assign(**columns)


def rows(*names, revision="0" * 40):
    return [{"checkpoint": str(name), "revision": revision} for name in names]


def test_rows_of_hub_ids():
    found = rows(f"{VGG}@main", "owner/nobody", "Facebook/DeiT-small-patch16-224")
    cited = add_known(found, read_known(), {"id": "owner/scans"})
    assert 0 < found[0]["known_elsewhere"] < 1
    assert [found[0][name] for name in COLUMNS[1:]] == [12, 12, ["medmnistplus"]]
    assert [found[1][name] for name in COLUMNS] == [None, None, None, []]
    assert found[2]["known_studies"] == ["sfda_emms", "transfergraph", "transfergraph_vtab1k"]
    assert list(cited["studies"]) == ["medmnistplus", "sfda_emms", "transfergraph", "transfergraph_vtab1k"]
    assert "arXiv 2404.15786" in cited["studies"]["medmnistplus"]
    assert cited["left_out"] == []


@pytest.mark.parametrize(
    "dataset", [{"id": "owner/blood_mnist"}, {"id": "owner/medmnist", "config": "bloodmnist"}, {"id": "data/BloodMNIST_64/"}]
)
def test_studies_that_hold_the_target_are_left_out(dataset):
    found = rows(VGG)
    cited = add_known(found, read_known(), dataset)
    assert [found[0][name] for name in COLUMNS] == [None, None, None, []]
    assert cited == {"studies": {}, "left_out": ["medmnistplus", "paper"]}


def test_the_name_of_a_local_folder_counts(tmp_path, monkeypatch):
    (tmp_path / "bloodmnist").mkdir()
    monkeypatch.chdir(tmp_path / "bloodmnist")
    assert add_known(rows(VGG), read_known(), {"id": "."})["left_out"] == ["medmnistplus", "paper"]


def test_a_local_folder_is_no_hub_id(tmp_path, monkeypatch):
    """A folder timm/vgg16.tv_in1k may hold anything."""
    (tmp_path / VGG).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = rows(VGG)
    add_known(found, read_known(), {"id": "owner/scans"})
    assert found[0]["known_elsewhere"] is None


def test_a_copy_in_the_cache_of_the_hub_is_found(tmp_path):
    folder = tmp_path / "models--timm--vgg16.tv_in1k" / "snapshots" / "0123"
    folder.mkdir(parents=True)
    found = rows(folder)
    add_known(found, read_known(), {"id": "owner/scans"})
    assert found[0]["known_targets"] == 12


def test_a_local_copy_is_found_by_the_sha256_of_its_weights(tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_text("{}")
    (copy / "model.safetensors").write_bytes(b"weights")
    own(weights_sha256=[hashlib.sha256(b"weights").hexdigest(), None]).to_parquet(tmp_path / "own.parquet")
    found = rows(copy, "owner/mine", tmp_path)
    cited = add_known(found, read_known([tmp_path / "own.parquet"]), {"id": "owner/x-rays"})
    assert [row["known_elsewhere"] for row in found] == [1, 0, None]
    assert cited["studies"] == {"mine": ""}


def test_a_local_checkpoint_is_found_by_the_revision_of_its_row(tmp_path):
    digest = "sha256:" + "cd" * 32
    own(checkpoint=["folder", "other"], checkpoint_revision=[digest, "0" * 40]).to_csv(tmp_path / "own.csv", index=False)
    found = rows(tmp_path, revision=digest)
    add_known(found, read_known([tmp_path / "own.csv"]), {"id": "owner/x-rays"})
    assert found[0]["known_elsewhere"] == 1


@pytest.mark.parametrize("dataset", [{"id": "owner/scans"}, {"id": "owner/new", "fingerprint": "ab" * 32}, {"id": "big/thing"}])
def test_own_results_on_the_target_are_left_out(tmp_path, dataset):
    own(dataset="big/thing", dataset_fingerprint="ab" * 32).to_parquet(tmp_path / "own.parquet")
    found = rows("owner/mine")
    assert add_known(found, read_known([tmp_path / "own.parquet"]), dataset)["left_out"] == ["mine"]
    assert found[0]["known_elsewhere"] is None


@pytest.mark.parametrize("place", ["ground_truth.parquet", "ground_truth.csv", "data/ground_truth/rows.parquet"])
def test_a_folder_of_tables(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "ground_truth.md").write_text("a remark")
    table = own()
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    assert read_known([tmp_path]).of("owner/mine").studies == ("mine",)


def test_medical_targets_of_a_folder(tmp_path):
    own().to_parquet(tmp_path / "ground_truth.parquet")
    pd.DataFrame({"benchmark": ["mine"], "target": ["scans"], "domain": ["medical"]}).to_csv(
        tmp_path / "targets.csv", index=False
    )
    assert read_known([tmp_path]).of("owner/mine").medical == 1


def test_a_column_of_sha256_may_be_empty(tmp_path):
    own(weights_sha256=None).to_csv(tmp_path / "own.csv", index=False)
    assert read_known([tmp_path / "own.csv"]).of("owner/mine").medical == 0


def test_a_folder_with_runs_only(tmp_path):
    runs = small.runs({(VGG, "scans"): [(0.2, 0.9)], ("owner/mine", "scans"): [(0.1, 0.8), (0.3, 0.95)]})
    runs.to_parquet(tmp_path / "runs.parquet")
    assert read_known([str(tmp_path)]).of("owner/mine").value == 0


def test_several_origins(tmp_path):
    for name in ("one", "two"):
        own(benchmark=name).to_parquet(tmp_path / f"{name}.parquet")
    assert read_known([tmp_path / "one.parquet", tmp_path / "two.parquet"]).of("owner/mine").studies == ("one", "two")


def test_a_published_copy_of_a_bundled_study_adds_nothing(tmp_path):
    bundled.with_provenance("paper")["ground_truth"].to_parquet(tmp_path / "ground_truth.parquet")
    assert len(read_known([tmp_path]).percentiles) == len(read_known().percentiles)


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        ("nowhere.parquet", "`known` must be a file, a folder or a dataset OWNER/NAME; got 'nowhere.parquet'"),
        ("./owner/name", "got './owner/name'"),
        (".", "`known` must have ground truth; got ., which has none."),
        ("broken.csv", "must have the columns"),
    ],
)
def test_refused_origins(tmp_path, monkeypatch, origin, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=text.replace("(", r"\(")):
        read_known([origin])


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub that this process talks to."""
    from huggingface_hub import constants

    patch = pytest.MonkeyPatch()
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens={}) as running:
        patch.setattr(constants, "ENDPOINT", running.url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setenv("HF_ENDPOINT", running.url)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield running
    patch.undo()


def test_a_dataset_of_results_on_the_hub(hub, tmp_path):
    """Two files, as after a merged pull request."""
    for number, table in enumerate((own(), own(target="other"))):
        path = tmp_path / tables.data_files("ground_truth").replace("*", str(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path)
    hub.commit("dataset", "alice/results", tmp_path)
    assert read_known(["alice/results"]).of("owner/mine").targets == 2
    with pytest.raises(UsageError, match="alice/nothing"):
        read_known(["alice/nothing"])


@pytest.mark.parametrize("names_it", ["configuration", "folder"])
def test_a_local_copy_has_the_results_of_the_repository_with_the_same_weights(
    hub, tmp_path, make_checkpoint, monkeypatch, names_it
):
    monkeypatch.setattr(retries, "_last_unreachable", None)  # of an earlier test without Hub
    original = tmp_path / "original"
    shutil.copytree(make_checkpoint(seed=5), original)
    hub.commit("model", VGG, original)
    copy = tmp_path / (VGG if names_it == "folder" else "mine")
    shutil.copytree(original, copy)
    if names_it == "configuration":
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"pretrained_cfg": {"hf_hub_id": VGG}}))
    found = rows(copy)
    add_known(found, read_known(), {"id": "owner/scans"})
    assert found[0]["known_targets"] == 12
    shutil.copy(make_checkpoint(seed=6) / "model.safetensors", copy)  # trained on since
    found = rows(copy)
    add_known(found, read_known(), {"id": "owner/scans"})
    assert found[0]["known_targets"] is None


def test_a_copy_whose_configuration_is_a_named_pipe_keeps_nobody_waiting(tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    os.mkfifo(copy / "config.json")
    found = rows(copy)
    work = threading.Thread(target=add_known, args=(found, read_known(), {"id": "owner/scans"}), daemon=True)
    work.start()
    work.join(60)
    assert not work.is_alive() and found[0]["known_targets"] is None


def test_rank_shows_it_and_changes_no_score(make_target, make_checkpoint, tmp_path):
    target = make_target()
    first = make_checkpoint(seed=0)
    copy = tmp_path / "models--timm--vgg16.tv_in1k" / "snapshots" / "0123"
    shutil.copytree(make_checkpoint(seed=1), copy)
    weights = hashlib.sha256((first / "model.safetensors").read_bytes()).hexdigest()
    own(source=["a", "owner/mine"], weights_sha256=[weights, None]).to_parquet(tmp_path / "own.parquet")
    options = {"intervals": False, "cache_dir": tmp_path / "cache"}
    found = rank(target, [first, copy, "./none"], known=[tmp_path / "own.parquet"], **options)
    by_name = {row["checkpoint"]: row for row in found.rows}
    assert by_name[str(first)]["known_studies"] == ["mine"]
    assert by_name[str(first)]["known_elsewhere"] == 1
    assert by_name[str(copy)]["known_targets"] == 12
    assert by_name["./none"]["known_elsewhere"] is None
    assert json.loads(json.dumps(found.to_dict()))["known"]["studies"].keys() == {"medmnistplus", "mine"}
    without = rank(target, [first, copy], **options)
    assert [row["score"] for row in without.rows] == [row["score"] for row in found.rows[:2]]
    for ending in ("json", "csv", "parquet"):
        found.save(tmp_path / f"ranking.{ending}")
    assert pd.read_parquet(tmp_path / "ranking.parquet").known_targets.notna().sum() == 2
    with pytest.raises(UsageError, match="`known` must have ground truth"):
        rank(target, [first], known=[copy], **options)
