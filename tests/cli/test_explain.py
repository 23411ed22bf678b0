"""`hf-transferability explain`."""

from hf_transferability.cli import main
from hf_transferability.metrics import FLAGS, all_metrics


def test_a_name_of_several_words(capsys):
    assert main(["explain", "tie", "group"]) == 0
    assert capsys.readouterr().out.startswith("tie_group (column)\n\n")


def test_an_unknown_name_is_wrong_usage(capsys):
    assert main(["explain", "logmee"]) == 2
    assert "got 'logmee'. Did you mean logme?" in capsys.readouterr().err


def test_everything_is_listed(capsys):
    assert main(["explain"]) == 0
    listed = capsys.readouterr().out
    assert [name for name in (*FLAGS, *all_metrics(), "architecture", "tie_group") if name not in listed] == []
