"""Names of checkpoints in tables, without private paths."""

import pytest

from hf_transferability.data import sampling
from hf_transferability.names import DRAWS, plain_name, without_folders


def test_the_choices_of_the_command_line_are_those_of_the_package():
    assert sampling.DRAWS == DRAWS


def test_a_folder_has_its_own_name_even_if_it_was_removed(tmp_path):
    (tmp_path / "net").mkdir()
    assert plain_name(tmp_path / "net") == "net"
    assert plain_name(tmp_path / "gone") == "gone"
    assert plain_name("owner/net") == "owner/net"


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
