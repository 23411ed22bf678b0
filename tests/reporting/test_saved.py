"""What the program saves can be read again, whatever it holds."""

import json

import pytest
from helpers.rankings import ranking_of

from hf_transferability import errors
from hf_transferability.benchmark.ranking_schema import check_ranking
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.known import read_known, with_known
from hf_transferability.reporting.saved import find_ranking, read_ranking


def test_a_ranking_with_results_that_are_known_elsewhere(tmp_path):
    document = json.loads(json.dumps(ranking_of(2)))
    names = ["microsoft/resnet-18", "microsoft/resnet-50"]
    candidates, cited = with_known([Candidate(name, "0" * 40) for name in names], read_known(), {"id": "owner/scans"})
    rows = [row | each.facts | {"checkpoint": each.name} for row, each in zip(document["rows"], candidates, strict=True)]
    assert cited["studies"] and rows[0]["known_targets"]
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps({**document, "rows": rows, "known": cited}))
    assert read_ranking(path)["known"] == cited and find_ranking(tmp_path) == path


@pytest.mark.parametrize("whole", [True, False])
def test_what_does_not_fit_the_schema_is_named_by_its_place(whole):
    document = json.loads(json.dumps(ranking_of(2))) | {"known": {"studies": {"mine": 3}, "left_out": []}}
    with pytest.raises(errors.UsageError, match=r"r\.json must be a ranking saved as \.json; known\.studies\.mine is not"):
        check_ranking(document, "r.json", whole=whole)
