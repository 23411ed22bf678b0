"""A ranking as a table for people."""

import io

from helpers.rankings import ranking_of

from hf_transferability.reporting import terminal


def printed(document: dict, **options) -> str:
    stream = io.StringIO()
    rows = [{"n_features": None, **row} for row in document["rows"]]
    terminal.print_table(document | {"rows": rows}, stream, **options)
    return stream.getvalue()


def test_columns_that_are_empty_are_left_out():
    document = ranking_of(3)
    titles = printed(document).splitlines()[2]
    assert "feature quality" in titles
    assert "flags" not in titles
    for row in document["rows"]:
        row |= {"feature_quality": None, "licence": None, "interval": None}
    document["rows"][0]["flags"] = ["n<=d"]
    titles = printed(document).splitlines()[2]
    assert not [title for title in ("feature quality", "licence", "interval") if title in titles]
    assert [title for title in ("rank", "checkpoint", "score", "update ratio", "flags") if title not in titles] == []


def test_a_failure_that_its_reader_has_seen_is_not_told_again():
    document = ranking_of(2, 2)
    document["rows"][2]["n_features"] = None  # it could not be read; the other gave features, and failed in its metric
    assert printed(document).count("is gated") == 2
    assert printed(document, failures_shown=True).count("is gated") == 1
    assert "failed: broken/<b>1: model" in printed(document, failures_shown=True)


def test_an_alarm_about_the_labels_stands_above_the_table():
    document = ranking_of(2) | {"label_check": {"p_value": 0.4, "alarm": "check the labels: they look shuffled."}}
    text = printed(document)
    assert text.index("check the labels") < text.index("checkpoint")
    assert "check the labels" not in printed(document, failures_shown=True)


def test_one_reason_of_many_metrics_is_one_line():
    document = ranking_of(3)
    broken, poor, _ = document["rows"]
    broken |= {"error": "logme is undefined: a row is NaN.", "undefined": {"knn": "knn is undefined: a row is NaN."}}
    poor["undefined"] = {name: f"{name} is undefined: one class." for name in ("knn", "parc")} | {"leep": "leep needs a head"}
    text = printed(document)
    assert text.count("a row is NaN") == 1  # its error says so
    assert f"{poor['checkpoint']}: knn, parc are undefined: one class." in text
    assert f"{poor['checkpoint']}: leep needs a head" in text


def test_one_candidate_is_not_called_ranked():
    assert "ranked by transferability, scenario source_dataset" in printed(ranking_of(2, 1))
    assert "ranked by" not in printed(ranking_of(1, 2))
    assert "ranked by" not in printed(ranking_of(0, 2))


def test_a_pool_without_scores_is_not_called_ranked():
    document = ranking_of(2)
    for row in document["rows"]:
        row |= {"score": None, "rank": None}  # as of two equal checkpoints
    assert "ranked by" not in printed(document)


def test_what_is_known_elsewhere_is_a_column_with_the_number_of_targets():
    document = ranking_of(2)
    assert "known elsewhere" not in printed(document)
    document["rows"][0] |= {"known_elsewhere": 0.6623, "known_targets": 12}
    document["rows"][1] |= {"known_elsewhere": None, "known_targets": None}
    lines = printed(document).splitlines()
    assert "known elsewhere (targets)" in lines[2]
    assert "0.66 (12)" in lines[3]
    assert "(" not in lines[4]


def test_numbers_behind_a_flag_name_their_checkpoint_where_they_differ():
    rows = [
        {"checkpoint": "a", "flags": ["unstable"], "flag_details": {"unstable": "rank 1 to 4"}},
        {"checkpoint": "b", "flags": ["unstable", "n<=d"], "flag_details": {"unstable": "rank 2 to 5", "n<=d": "5 images"}},
    ]
    meanings = dict(terminal.flag_meanings(rows))
    assert meanings["unstable"].endswith("(a: rank 1 to 4; b: rank 2 to 5)")
    assert meanings["n<=d"].endswith("(5 images)")


def test_of_many_numbers_behind_a_flag_the_metrics_are_named():
    details = [f"logme: rank {i} to 9 of 12; nleep: standard deviation 0.{i}; gain 2" for i in range(1, 5)]
    rows = [{"checkpoint": detail, "flags": ["unstable"], "flag_details": {"unstable": detail}} for detail in details]
    assert dict(terminal.flag_meanings(rows))["unstable"].endswith("(logme, nleep)")


def test_a_paper_score_of_0_is_explained_where_there_is_one():
    document = ranking_of(3)
    assert "transferability 0:" not in printed(document)
    document["rows"][2]["transferability"] = 0.0
    assert "transferability 0: last of this pool in one of its two parts" in printed(document)
