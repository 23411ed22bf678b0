"""The page of a ranking: whole, self-contained, and safe whatever a checkpoint is called."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from helpers.rankings import LONG, ranking_of

from hf_transferability import UsageError
from hf_transferability.reporting import html


class Reader(HTMLParser):
    """Tags with their attributes, the text between them, and whether every tag is closed."""

    EMPTY = ("meta", "img", "source", "wbr", "link", "br")

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.script, self.open = [], "", "", []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.script += data
        elif not self.open or self.open[-1] not in ("style", "title"):
            self.text += data


@pytest.fixture(scope="module")
def page():
    document = ranking_of(5, 2)
    document["rows"][1]["flags"] = ["n<=d"]
    document["rows"][1]["flag_details"] = {"n<=d": "36 <= 512"}
    return Reader(html.page(document))


def test_it_holds_table_flags_reasons_and_what_was_run(page):
    assert page.open == []
    text = page.text
    for part in (
        LONG, "owner/resnet1.a1_in1k", "0.8", "no more images than features", "36 <= 512", "Failed", "is gated: ask for",
        "90% interval", "tie group", "0123456789abcdef0123456789abcdef01234567", "f00", "torch 2.14", "cpu", "imagenet-1k",
        "Juodelyte", "not for clinical decisions", "Scenario & more", "conv1.weight", "5 of 7 candidates ranked",
    ):  # fmt: skip
        assert part in text
    assert re.search(r"seed\s*3", text)
    rows = [tag for tag, _ in page.tags].count("tr")
    assert rows == 2 * (1 + 7)  # the ranking, and what was run


def test_what_one_decides_by_comes_before_the_metrics():
    document = ranking_of(5, 2)
    document["rows"][1]["flags"] = ["n<=d"]
    text = html.page(document)
    titles = re.findall(r"<th[^>]*>([^<]*)</th>", text)
    first = ["rank", "checkpoint", "score", "90% interval", "tie group", "flags", "parameters", "licence"]
    assert titles[: len(first)] == first
    assert "feature quality" in titles[len(first) :]


def test_code_in_a_sentence_is_code():
    document = ranking_of(2)
    document["notes"] = ["see `hf-transferability explain <b>`."]
    assert "<p>See <code>hf-transferability explain &lt;b&gt;</code>.</p>" in html.page(document)


def test_it_needs_no_network_and_its_only_script_is_its_own(page):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(image["src"].startswith("data:image/svg+xml;base64,") and image["alt"] for image in images)
    sources = [attributes for tag, attributes in page.tags if tag == "source"]
    media = ["(max-width: 40rem) and (prefers-color-scheme: dark)", "(max-width: 40rem)", "(prefers-color-scheme: dark)"]
    assert [source["media"] for source in sources] == media * len(images)
    assert len({image["src"] for image in images} | {source["srcset"] for source in sources}) == 4 * len(images)
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "b"} == set()
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(name.startswith("on") or name == "href" for _, attributes in page.tags for name in attributes)
    assert "<script>alert(0)</script>" in page.text  # as text
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'")


def test_it_opens_with_the_decision_and_folds_the_details():
    document = ranking_of(3)
    lines = [
        "first: owner/resnet1.a1_in1k.",
        "chance that the best is among the first 2: 80%.",
        "next: hf-transferability x --a b-c --d e",
    ]
    document |= {"advice": {"text": lines}, "notes": ["mind the gap.", *lines]}
    text = html.page(document)
    page = Reader(text)
    assert text.index('class="decision"') < text.index("<table") < text.index("<img") < text.index("<details")
    assert "First: owner/resnet1.a1_in1k." in page.text
    words = re.findall(r'<span class="word">(.*?)</span>', text)  # a line does not end within one of these
    assert words == ["hf-transferability", "x", "--a b-c", "--d e"]
    assert page.text.count("chance that") + page.text.count("Chance that") == 1
    assert "Mind the gap." in page.text
    assert re.findall("<summary>(.*?)</summary>", text) == ["How to read it", "What was run"]
    assert not any("open" in attributes for tag, attributes in page.tags if tag == "details")


def test_an_alarm_about_the_labels_stands_in_the_place_of_the_decision():
    document = ranking_of(3)
    name = document["rows"][0]["checkpoint"] = "/home/somebody/best"
    alarm = f"check the labels: the features of {name} fit them no better than shuffled labels."
    document |= {"advice": {"text": []}, "notes": [alarm], "label_check": {"p_value": 0.4, "alarm": alarm}}
    text = html.page(document)
    assert text.count("heck the labels") == 1 and "/home/somebody" not in text
    assert '<section class="decision" aria-label="Decision"><p>Check the labels: the features of best' in text
    assert 'class="decision"' not in html.page(document | {"label_check": None, "notes": []})


def test_the_decision_has_no_path_of_this_machine():
    document = ranking_of(2)
    document["rows"][0]["checkpoint"] = "/home/somebody/nets/one"
    document["advice"] = {"text": ["first: /home/somebody/nets/one.", "next: hf-transferability x /home/somebody/nets/one"]}
    text = html.page(document)
    assert "/home/somebody" not in text
    assert "First: one." in text


def test_score_against_size_is_left_out_where_sizes_are_the_same():
    document = ranking_of(4)
    assert "Score against number of parameters" in html.page(document)
    for number, row in enumerate(document["rows"]):
        row["parameters"] = 1000 + 10 * number
    assert "Score against number of parameters" not in html.page(document)


def test_pictures_that_need_more_than_the_rows_have_are_left_out():
    document = ranking_of(2)
    for row in document["rows"]:
        row["parameters"] = row["feature_update_ratio"] = row["feature_quality"] = None
    assert [tag for tag, _ in Reader(html.page(document)).tags].count("img") == 1


def test_a_page_of_failures_only():
    text = Reader(html.page(ranking_of(0, 2))).text
    assert "0 of 2 candidates scored" in text
    assert "scenario" not in text.split("Ranking", 2)[1]


def test_one_candidate_is_not_ranked():
    text = Reader(html.page(ranking_of(1, 2))).text
    assert "1 of 3 candidates scored by transferability, on" in text


def test_only_html_is_written(tmp_path):
    with pytest.raises(UsageError, match=r"`report` must end in .html; got"):
        html.check_page(tmp_path / "a.pdf")
    html.save(ranking_of(1), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


def test_the_studies_behind_what_is_known_elsewhere_are_cited():
    document = ranking_of(2)
    assert "Known elsewhere" not in Reader(html.page(document)).text
    studies = {"chaves2023": "Chaves <b>2023</b>, arXiv 2308.07444", "mine": ""}
    document["known"] = {"studies": studies, "left_out": ["paper", "<i>one</i>"]}
    page = Reader(html.page(document))
    assert "Known elsewhere" in page.text
    assert "Chaves <b>2023</b>, arXiv 2308.07444" in page.text  # as text
    assert "results of your own" in page.text
    assert "Left out, as they hold this target: paper, <i>one</i>." in page.text
    document["known"] = {"studies": {}, "left_out": ["paper"]}
    assert "Known elsewhere" not in Reader(html.page(document)).text
