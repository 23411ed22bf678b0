"""A ranking's table on terminals of different widths."""

import io
import re

import pytest
from helpers.rankings import ranking_of

from hf_transferability.reporting import terminal

HUB = [
    "microsoft/resnet-18", "timm/vit_base_patch16_224.augreg_in21k", "timm/vit_base_patch32_224.augreg_in21k",
    "timm/resnet50.a1_in1k", "facebook/convnext-tiny-224", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
]  # fmt: skip
SHORT = "rank checkpoint score interval tie first paper qual ratio logme size licence flags"


def hub_ranking(names=HUB) -> dict:
    """A ranking by consensus with every column of a real one."""
    document = ranking_of(len(names), 1)
    document["metric"] = "consensus"
    for row, name in zip(document["rows"], names, strict=False):
        row |= {"checkpoint": name, "consensus": row["score"], "first_share": 0.1, "logme": -0.4, "licence": "cc-by-nc-sa-4.0"}
        row |= {"intervals": {"feature_quality": [0.5, 0.56], "logme": [-0.42, -0.36]}}
    document["rows"][-1] |= {"consensus": None, "logme": None, "checkpoint": "broken/one"}
    document["rows"][1]["flags"] = ["few_images_per_class", "unstable"]
    return document


def printed(document: dict, width: int | None) -> str:
    stream = io.StringIO()
    terminal.print_table(document, stream, width=width)
    return stream.getvalue()


def test_at_100_columns_everything_is_in_one_table():
    text = printed(hub_ranking(), 100)
    assert max(map(len, text.splitlines())) <= 100
    assert text.splitlines()[2].split() == SHORT.split()
    assert "paper: transferability" in text
    names = [line.split()[1] for line in text.splitlines()[3:] if re.match(r" +\d ", line)]
    assert len(names) == len(set(names)) == len(HUB)
    assert all("…" in name for name, full in zip(names, HUB, strict=True) if name != full)
    assert "few images (few_images_per_class): a class has" in text


def test_at_80_columns_there_are_blocks_that_all_name_the_candidates():
    text = printed(hub_ranking(), 80)
    assert max(map(len, text.splitlines())) <= 80
    heads = [line for line in text.splitlines() if line.startswith("rank ")]
    assert len(heads) == 2
    assert [title for head in heads for title in head.split() if title not in ("rank", "checkpoint")] == SHORT.split()[2:]
    blocks = [re.findall(r"^ +\d (\S+)", block, re.MULTILINE) for block in text.split("rank checkpoint")[1:]]
    assert blocks[0] == blocks[1]
    assert len(set(blocks[0])) == len(HUB)


def test_in_a_file_names_and_titles_are_whole():
    text = printed(hub_ranking(), None)
    assert all(name in text for name in HUB)
    assert "feature quality" in text
    assert "…" not in text.split("flags:")[0]


def test_a_folder_that_all_share_is_told_once():
    document = hub_ranking([f"pools/demo/{name}" for name in ("digits", "shapes")])
    document["rows"] = document["rows"][:2]
    text = printed(document, 120)
    assert re.search(r"^ +1 +digits ", text, re.MULTILINE)
    assert "The checkpoints are in pools/demo." in text
    assert "pools/demo/digits" in printed(document, None)


def test_what_is_known_elsewhere_stays_and_the_licence_needs_room_beside_it():
    document = hub_ranking()
    document["rows"][0] |= {"known_elsewhere": 0.7, "known_targets": 12}
    assert "0.70 (12)" in printed(document, 200)
    text = printed(document, 100)
    assert "0.70 (12)" in text
    assert "No room for: licence; add --wide." in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("width", [20, 40, 60])
def test_on_a_very_narrow_terminal_nothing_fails(width):
    assert "rank" in printed(hub_ranking(), width)
