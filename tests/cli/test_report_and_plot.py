"""`hf-transferability report` and `plot`: a saved ranking once more."""

import itertools
import json
import re

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


def test_what_is_not_a_ranking_is_refused_in_our_own_words(tmp_path, capsys):
    whole = json.loads(json.dumps(ranking_of(1)))
    lacking = {**whole, "rows": [{"checkpoint": "a"}]}
    contents = [b"{", b"[]", b'{"rows": []}', b"\xff\xfe", b"[" * 10**5, json.dumps(lacking).encode()]
    contents += [json.dumps(whole | {"dataset": 1}).encode(), json.dumps(whole | {"metric": "moon"}).encode()]
    path = tmp_path / "x.json"
    for command, content in itertools.product(("report", "plot"), contents):
        path.write_bytes(content)
        assert main([command, str(path)]) == 2
        said = capsys.readouterr().err
        assert re.search(r"x\.json must be a ranking saved as \.json; (.* is not as in one|it is no JSON)\. Save it", said)
        assert not re.search("Errno|codec|Expecting|char 0|Error", said)
    assert main(["plot", str(tmp_path / "none.json")]) == 2
    assert f"there is no file {tmp_path / 'none.json'}. Name a ranking" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "ending"), [("report", ".html"), ("plot", ".png")])
def test_a_folder_stands_for_the_ranking_in_it(saved, command, ending, capsys):
    assert main([command, str(saved.parent)]) == 0
    assert f"written: {saved.with_suffix(ending)}" in capsys.readouterr().err
    saved.unlink()
    assert main([command, str(saved.parent)]) == 2
    assert f"{saved.parent} is a folder without ranking.json. Name a ranking" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change, place",
    [
        (lambda ranking: ranking["rows"][1].update(score="0.3"), "rows[1].score"),
        (lambda ranking: ranking["rows"][0].update(interval=[0.1]), "rows[0].interval"),
        (lambda ranking: ranking["rows"][2]["flags"].append(3), "rows[2].flags[0]"),
        (lambda ranking: ranking["rows"][0].pop("error"), "rows[0].error"),
        (lambda ranking: ranking["rows"][0].update(intervals={"logme": 1}), "rows[0].intervals.logme"),
        (lambda ranking: ranking.update(notes="x"), "notes"),
        (lambda ranking: ranking.update(advice={"text": [{}]}), "advice.text[0]"),
    ],
)
def test_a_ranking_that_was_changed_by_hand_names_the_place(tmp_path, capsys, change, place):
    ranking = json.loads(json.dumps(ranking_of(3)))
    change(ranking)
    (tmp_path / "x.json").write_text(json.dumps(ranking))
    assert main(["report", str(tmp_path / "x.json")]) == 2
    assert f"must be a ranking saved as .json; {place} is not as in one." in capsys.readouterr().err


def test_an_ending_that_cannot_be_written_is_refused(saved, capsys):
    assert main(["plot", str(saved), "--output", "x.pdf"]) == 2
    assert "must end in .png or .svg" in capsys.readouterr().err
