"""The picture of a recorded session in the README, and the tool that makes it."""

import re
import sys
from xml.etree import ElementTree

from helpers.rankings import ranking_of

from hf_transferability.reporting.columns import columns
from tools.record_session import COMMAND, PICTURE, WIDTH, recorded, svg


def letters(picture: str) -> str:
    """All text of a picture, line by line."""
    texts = [node.text or "" for node in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    return "\n".join(texts).replace("\xa0", " ")


def test_a_picture_holds_the_command_and_what_it_wrote_and_needs_nothing_else():
    picture = svg("hf-transferability x", "\x1b[1mrank\x1b[0m checkpoint\n   1 <b>one</b> \x1b[38;5;197m0.9\x1b[0m\n")
    text = letters(picture)
    assert "$ hf-transferability x" in text
    assert "<b>one</b>" in text
    addresses = set(re.findall(r"https?://[^\s\"')]+", picture))
    assert addresses <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}  # what it is, and who made the frame
    assert "@font-face" not in picture


def test_a_command_is_recorded_on_a_terminal_of_that_width():
    script = "import os, sys; print(os.get_terminal_size().columns, sys.stdout.isatty()); print('gone', file=sys.stderr)"
    assert recorded([sys.executable, "-c", script]) == f"{WIDTH} True\n"


def test_the_picture_in_the_readme_shows_the_table_as_it_is_now():
    text = letters(PICTURE.read_text("utf-8"))
    assert f"$ {COMMAND}" in text
    document = ranking_of(3)
    for row in document["rows"]:
        row |= {"logme": 0.1, "consensus": row["score"], "first_share": 0.5}
    document["rows"][0]["flags"] = ["unstable"]
    titles = [column.short_title for column in columns(document["rows"], "consensus")]
    head = text.partition("scenario source_dataset)")[2].partition("   1 ")[0]
    assert sorted(re.findall(r"\w+", head)) == sorted(titles)
    assert "which order was right" in text
    readme = (PICTURE.parents[1] / "README.md").read_text("utf-8")
    assert f"![{COMMAND.removeprefix('hf-transferability ')} on a terminal" in readme  # the caption names the command, too
    assert f"](docs/{PICTURE.name})" in readme
