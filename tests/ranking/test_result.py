"""A ranking as Python shows it."""

from helpers.rankings import ranking_of

from hf_transferability.ranking.result import Ranking


def a_ranking(**changes) -> Ranking:
    document = ranking_of(3, 1)
    kept = {name: document[name] for name in ("rows", "dataset", "scenario", "metric", "notes")}
    return Ranking(**(kept | {"advice": {"text": ["first: <b>a</b>.", f"next: run {'x' * 200}"]}} | changes))


def test_a_ranking_is_shown_as_its_table_with_what_to_do():
    shown = repr(a_ranking())
    assert str(a_ranking()) == shown
    lines = shown.splitlines()
    assert lines[0] == "ranked by transferability, scenario source_dataset"
    assert [title for title in ("rank", "checkpoint", "score", "qual", "ratio") if title not in lines[2].split()] == []
    assert max(map(len, lines[:-1])) <= 100
    assert any(line.startswith("failed: broken/<b>0: model") for line in lines)
    assert lines[-2:] == ["first: <b>a</b>.", f"next: run {'x' * 200}"]  # a command stays in one piece
    assert "{" not in shown
    assert "flags: " not in shown


def test_the_flags_are_named_and_how_to_read_them():
    ranking = a_ranking()
    ranking.rows[0]["flags"] = ["n<=d", "alone"]
    assert "flags: n<=d, alone (`hf-transferability explain FLAG` says what to do about one)." in repr(ranking)


def test_a_notebook_shows_the_table_with_all_names_escaped():
    page = a_ranking()._repr_html_()
    assert page.count("<tr") == 5
    assert "broken/&lt;b&gt;0" in page.replace("<wbr>", "")
    assert "First: &lt;b&gt;a&lt;/b&gt;." in page
    assert "<script" not in page
    assert "<b>" not in page


def test_paths_of_a_notebook_are_private():
    ranking = a_ranking()
    ranking.rows[0]["checkpoint"] = "/home/someone/nets/mine"
    assert "someone" not in ranking._repr_html_()


def test_a_ranking_of_nothing_is_shown_too():
    assert repr(a_ranking(rows=[])) == "a ranking of no candidates"
    assert "no candidates" in a_ranking(rows=[])._repr_html_()
