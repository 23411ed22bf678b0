"""`hf-transferability report` and `plot`: a saved ranking once more."""

import json

import pytest
from helpers.rankings import ranking_of

from hf_transferability.cli import main


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps(ranking_of(3)))
    return path


def test_a_page(saved, capsys):
    assert main(["report", str(saved)]) == 0
    assert "written: " in capsys.readouterr().err
    page = saved.with_suffix(".html").read_text()
    assert all(f"resnet{number}" in page for number in (1, 2))


def test_a_picture(saved):
    assert main(["plot", str(saved), "--output", str(saved.with_name("out.svg"))]) == 0
    assert saved.with_name("out.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": []}'])
def test_what_is_not_a_ranking_is_refused(tmp_path, capsys, content):
    (tmp_path / "x.json").write_text(content)
    assert main(["report", str(tmp_path / "x.json")]) == 2
    assert "Save" in capsys.readouterr().err
    assert main(["plot", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_an_ending_that_cannot_be_written_is_refused(saved, capsys):
    assert main(["plot", str(saved), "--output", "x.pdf"]) == 2
    assert "must end in .png or .svg" in capsys.readouterr().err
