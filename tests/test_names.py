"""Names of checkpoints in tables, without private paths."""

import pytest

from hf_transferability import names
from hf_transferability.data import sampling
from hf_transferability.names import DRAWS, plain_name, to_paste, without_folders


def test_the_choices_of_the_command_line_are_those_of_the_package():
    assert sampling.DRAWS == DRAWS


def test_a_folder_has_its_own_name_even_if_it_was_removed(tmp_path):
    (tmp_path / "net").mkdir()
    assert plain_name(tmp_path / "net") == "net"
    assert plain_name(tmp_path / "gone") == "gone"
    assert plain_name("owner/net") == "owner/net"
    assert to_paste("owner/net") == "owner/net"
    assert to_paste(tmp_path / "net") == "PATH/TO/net"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{folder} has no model.safetensors", "my net has no model.safetensors"),
        ("OSError: '/home/me/.cache/hub/a.json' is cut", "OSError: 'a.json' is cut"),
        ("see https://huggingface.co/owner/net", "see https://huggingface.co/owner/net"),
        ("4/5 of owner/net/config.json", "4/5 of owner/net/config.json"),
        ("look into ~/data/x.png", "look into x.png"),
    ],
)
def test_notes_contain_no_private_paths(tmp_path, text, expected):
    folder = tmp_path / "my net"
    folder.mkdir()
    assert without_folders(text.format(folder=folder), folder) == expected


def test_names_are_cut_in_the_middle_and_never_look_alike():
    assert names.shortened(["owner/a", "owner/b"], 20) == ["owner/a", "owner/b"]
    assert names.shortened(["microsoft/swin-tiny-patch4-window7-224"], 20) == ["microsof…window7-224"]
    pair = ["timm/vit_base_patch16_224.augreg_in21k", "timm/vit_base_patch32_224.augreg_in21k"]
    assert names.shortened(pair, 16) == ["timm/…ch16_224.…", "timm/…ch32_224.…"]
    many = [f"{'x' * 30}{number}{'y' * 30}" for number in range(120)]
    assert len(set(names.shortened(many, 12))) == 120
    assert names.shortened(["owner/name@" + "0123456789" * 4], 40) == ["owner/name@01234567"]
    assert names.shortened([], 5) == []


def test_names_that_cannot_be_told_apart_in_so_few_letters_get_more():
    alike = [f"{a}{'-' * 20}{b}{'-' * 20}{c}" for a in "ab" for b in "cd" for c in "ef"]
    cut = names.shortened(alike, 6)
    assert len(set(cut)) == 8
    assert max(map(len, cut)) > 6


def test_a_shared_folder_is_left_out_of_paths_but_not_of_hub_ids():
    assert names.without_shared_folder(["/data/pool/a/one", "/data/pool/b/two"]) == (["a/one", "b/two"], "/data/pool")
    assert names.without_shared_folder(["timm/a", "timm/b"]) == (["timm/a", "timm/b"], "")
    assert names.without_shared_folder(["/data/a"]) == (["/data/a"], "")


def test_ids_are_folded_where_a_reader_would():
    fold = names.fold_id
    assert fold("microsoft/resnet-18", 24) == "microsoft/resnet-18"
    assert fold("microsoft/resnet-18", 12) == "microsoft/\nresnet-18"
    assert fold("/data/some where/checkpoints/a", 20) == "/data/some where/\ncheckpoints/a"
    assert fold("owner/name@" + "0123456789" * 4, 24) == "owner/name@01234567"
    assert fold("owner/name@refs/pr/1", 12) == "owner/name\n@refs/pr/1"
    assert fold("owner/a-long-name_of-it", 10) == "owner/\na-long-\nname_of-it"
    assert fold("abcdefgh", 3) == "abc\ndef\ngh"
    assert fold("", 3) == ""


def test_names_of_one_place_are_one(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    written = ["digits", "digits/", "./digits", tmp_path / "digits", "lab/digits", "lab/digits", "lab/other"]
    assert names.first_of_each(written) == [0, 4, 6]
