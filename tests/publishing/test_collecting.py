"""Rankings and files as tables to publish."""

import copy
import json

import pytest
from helpers.saved_ranking import RANKING
from helpers.score_rows import scores

from hf_transferability import UsageError
from hf_transferability.errors import PublishError
from hf_transferability.publishing.collecting import publish_ranking, tables_in_files


def ranking(**changes) -> dict:
    return copy.deepcopy(RANKING) | changes


def test_a_publication_that_fails_leaves_the_ranking_complete():
    twice = ranking(rows=[RANKING["rows"][0]] * 2)
    with pytest.raises(PublishError, match=r"the ranking is complete, but not published: .*is there twice"):
        publish_ranking(twice, "lab/x")


def test_a_ranking_without_scores_publishes_nothing():
    published = publish_ranking(ranking(rows=RANKING["rows"][2:]), "lab/x")
    assert published.notes == ["not published, as they failed: owner/failed"]
    assert (published.merged, published.address) == ({}, "")


def test_a_file_is_a_table_by_its_name_or_a_ranking(tmp_path):
    (tmp_path / "scores-first.json").write_text(json.dumps(RANKING))  # a ranking whatever its name
    scores("a").to_json(tmp_path / "scores-mine.json", orient="records")
    found = tables_in_files([str(tmp_path / name) for name in ("scores-first.json", "scores-mine.json")], None, "repository")
    assert list(found) == ["scores"]
    assert {"one", "two@dddddddd"} <= {source.split("/")[-1].removesuffix("@v1") for source in found["scores"]["source"]}
    # The ranking joins the benchmark of the table beside it, unless another is named.
    assert set(found["scores"]["benchmark"]) == set(scores("a")["benchmark"])
    (alone,) = tables_in_files([str(tmp_path / "scores-first.json")], None, "repository").values()
    assert set(alone["benchmark"]) == {"repository"}
    with pytest.raises(UsageError, match=r"mine.csv must be a ranking saved as .json, or a table whose file name begins"):
        tables_in_files(["mine.csv"], None, "repository")
