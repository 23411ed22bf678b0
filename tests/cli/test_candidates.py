"""`hf-transferability candidates`."""

import json

import pytest

from hf_transferability.cli import main


def test_a_table_shows_what_is_unknown(capsys):
    assert main(["candidates", "--for", "medical", "--limit", "5"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split()[:2] == ["id", "for"]
    assert any("?" in line for line in lines)
    assert "more: raise --limit" in captured.err


def test_ids_can_be_piped_into_rank(capsys):
    assert main(["candidates", "--max-params", "30M", "--search", "resnet", "--format", "ids", "--limit", "3"]) == 0
    ids = capsys.readouterr().out.split()
    assert len(ids) == 3
    assert all("resnet" in name.lower() for name in ids)


def test_json_has_null_for_the_unknown(capsys):
    assert main(["candidates", "--search", "phikon", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["licence"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--for", "radiolgy"], "Did you mean radiology?"),
        (["--max-params", "1k"], "removes most"),
        (["--licence", "none-such", "--search", "resnet"], "--licence none-such removes most"),
    ],
)
def test_nothing_found_is_wrong_usage_with_the_reason(words, message, capsys):
    assert main(["candidates", *words]) == 2
    assert message in capsys.readouterr().err


def test_rank_without_candidates_says_how_to_name_a_pool(tmp_path, capsys):
    assert main(["rank", str(tmp_path)]) == 2
    assert "--candidates medical" in capsys.readouterr().err
