"""What the tests of the command line share: a folder with checkpoints and a target, and commands in it."""

import shutil
from types import SimpleNamespace

import pytest
from helpers.inputs import resnet_config

from hf_transferability.cli import main


@pytest.fixture(scope="package")
def made(tmp_path_factory, make_target, make_checkpoint):
    """A folder with `target` and checkpoints a, b and c (of another architecture), and a folder of cached arrays."""
    folder = tmp_path_factory.mktemp("cli")
    shutil.copytree(make_target(), folder / "target")
    for seed, name in enumerate("ab"):
        shutil.copytree(make_checkpoint(seed=seed), folder / name)
    shutil.copytree(make_checkpoint(resnet_config(width=4), seed=2), folder / "c")
    return folder


@pytest.fixture
def run(made, monkeypatch, capsys):
    """run(*words) -> status, out and err of a command in that folder, with its own cache of arrays."""
    monkeypatch.chdir(made)

    def command(*words: str) -> SimpleNamespace:
        if words[:1] == ("rank",):
            words = (*words, "--cache-dir", "arrays")
        try:
            status = main(words)
        except SystemExit as end:  # argparse
            status = end.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return SimpleNamespace(status=status, out=out, err=err)

    return command
