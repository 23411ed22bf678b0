"""Text from elsewhere in every target format: nothing that a reader's program would act on comes through."""

import csv
import io
import json
import re

import pytest

from hf_transferability import files
from hf_transferability.cli import main
from hf_transferability.escaping import csv as csv_escaping
from hf_transferability.escaping import html, markdown, terminal

BAD = "\x1b[31mred\x07\r\n\u202egnp\x9b<b>|`x`"


def test_a_terminal_gets_no_control_characters_and_no_marks_of_direction():
    assert terminal.printable("a\x1b[31m\u202e\x9bé\n\tb") == "a\\x1b[31m\\u202e\\x9bé\n\tb"
    assert terminal.one_line("a\nb\tc\r") == "a\\nb\\tc\\r"
    assert terminal.printable("\udcff") == "\\udcff"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_lacks_is_still_json(encoding):
    document = {"name": "é日😀\udcff"}
    encoded = json.dumps(document, ensure_ascii=False).encode(encoding, terminal.ERRORS)
    assert json.loads(encoded.decode(encoding)) == document


def test_html_is_text():
    assert html.text('<a href="x">&\x1b\u202e') == "&lt;a href=&quot;x&quot;&gt;&amp;\\x1b\\u202e"


@pytest.mark.parametrize(
    "text",
    ["a|b", "a\nb", "`x`", "<b>", "[a](http://x)", "![a](x)", "http://x.org", "www.x.org", "a@b.org", "*a*", "~~a~~", "\\|"],
)
def test_a_markdown_cell_holds_only_text(text):
    cell = markdown.cell(text)
    assert "\n" not in cell
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`<\[*~]", cell)
    assert not re.search(r"https?:|www\.|\w@\w", cell)


def test_names_and_numbers_in_markdown_stay_as_they_are():
    for text in ("mean_rank_elsewhere", "-0.5", "0.1..0.9", "1", "-"):
        assert markdown.cell(text) == text
    assert markdown.text("# a") == "\\# a"
    assert markdown.table(["a", "b"], [["x|y", 1]]) == "| a | b |\n|---|---|\n| x\\|y | 1 |"


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@a", "\tx", "\rx", "=HYPERLINK(1)", "-1+1", "+٣", "-²"])
def test_a_csv_cell_is_no_formula(text):
    cell = csv_escaping.cell(text)
    assert cell == f"'{text}"
    assert csv_escaping.original(cell) == text


@pytest.mark.parametrize("value", [-0.5, -3, None, True, "-0.5", "+1e-3", "-inf", "a", "", "'a", "1"])
def test_numbers_and_harmless_texts_in_csv_stay_as_they_are(value):
    assert csv_escaping.cell(value) == value


def test_rows_as_csv(tmp_path):
    rows = [{"checkpoint": "=cmd()", "score": -0.5, "flags": ["-a", "b"], "facts": {"=": 1}, "bytes": "\udcff"}]
    (row,) = csv.DictReader(io.StringIO(files.to_csv(rows)))
    assert (row["checkpoint"], row["score"], row["flags"]) == ("'=cmd()", "-0.5", "'-a;b")
    for ending in ("csv", "json", "parquet"):
        files.save({"rows": rows}, tmp_path / f"o.{ending}")


def test_error_lines_of_the_program_show_no_control_characters(capsys):
    assert main(["explain", BAD]) == 2
    with pytest.raises(SystemExit):
        main(["rank\x1b[31m\u202e"])
    assert main(["rank", f"./{BAD}", "./none"]) == 2
    said = capsys.readouterr().err
    assert not set("\x1b\x07\r\u202e\x9b") & set(said)
    assert "\\x1b[31m" in said
