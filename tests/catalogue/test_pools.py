"""Pools of candidates by name."""

import json

import pytest

from hf_transferability.catalogue.entries import bundled
from hf_transferability.catalogue.pools import candidates, pool
from hf_transferability.errors import UsageError


def test_an_expression_takes_the_most_accurate_below_a_size():
    ids = pool("timm:params<30M,top=12")
    by_id = {entry.id: entry for entry in bundled()}
    assert len(ids) == 12
    assert all(by_id[name].parameters <= 30_000_000 for name in ids)
    others = [e.imagenet_top1 for e in bundled() if e.source == "timm" and e.parameters <= 30_000_000 and e.id not in ids]
    assert max(others) <= min(by_id[name].imagenet_top1 for name in ids)


def test_a_group_holds_the_curated_checkpoints_of_its_domain():
    assert "microsoft/rad-dino" in pool("medical")
    assert "microsoft/rad-dino" not in pool("pathology")
    assert not any(name.startswith("timm/") for name in pool("general"))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("# mine\na/b\n\nc/d@refs/pr/4  # newer\na/b\n", ["a/b", "c/d@refs/pr/4"]),
        (json.dumps(["a/b", "c/d"]), ["a/b", "c/d"]),
        (json.dumps([{"id": "a/b", "licence": None}]), ["a/b"]),
        (json.dumps({"rows": [{"checkpoint": "a/b", "rank": 1}]}), ["a/b"]),
    ],
)
def test_files_of_ids(tmp_path, text, ids):
    (tmp_path / "list").write_text(text)
    assert pool(str(tmp_path / "list")) == ids


def test_a_file_may_name_folders_with_spaces(tmp_path):
    (tmp_path / "my net").mkdir()
    (tmp_path / "list").write_text(f"{tmp_path}/my net\n")
    assert pool(str(tmp_path / "list")) == [f"{tmp_path}/my net"]


def test_ids_and_pools_mix_and_each_is_taken_once(tmp_path):
    (tmp_path / "list").write_text("a/b\nc/d\n")
    assert candidates(["c/d", "e/f"], [str(tmp_path / "list")]) == ["c/d", "e/f", "a/b"]
    assert candidates(["c/d", "c/d"], [str(tmp_path / "list")] * 2) == ["c/d", "c/d", "a/b"]  # `rank` says so


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "is no file, no group"),
        ("hub:params<30M", "is no file"),
        ("timm:params=30M", "has the condition 'params=30M'"),
        ("timm:tops=3", "Did you mean top"),
        ("timm:top=0", "top must be 1 or more"),
        ("timm:top=many", "top must be 1 or more; got 'many'"),
        ("medcal", "Did you mean medical\\?"),
        ("tim:top=3", "Did you mean timm:\\?"),
        ("timm:params<lots", "must be a number of parameters"),
        ("timm:params<1k", "filters: params<1k removes most"),
        ("timm:top=3, licence=gpl-9", "filters: licence=gpl-9 removes most"),
        ("timm:for=nobody", "--for"),
        ("curated:params<1k", r"params<1k removes most, (\d+) of \1,"),  # of its own, not of the whole catalogue
        ("timm:params<30M,params<60M", "more than one condition for params: leave one\\.$"),
        ("timm:licence=mit,licence=apache-2.0", r"more than one condition for licence: .* licence=mit\|apache-2.0"),
    ],
)
def test_bad_names_of_pools(name, message):
    with pytest.raises(UsageError, match=message):
        pool(name)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe\x00", b"[1, 2]", b'{"rows": 3}', b"[" * 100_000, b"{}"])
def test_bad_files_of_ids(tmp_path, content):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(UsageError, match="--candidates"):
        pool(str(tmp_path / "list"))


def test_no_candidates_at_all():
    with pytest.raises(UsageError, match="No candidates"):
        candidates([], [])
