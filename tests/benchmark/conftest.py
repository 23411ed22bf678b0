"""What the tests of the benchmark share."""

import pytest

from hf_transferability.cli import main


@pytest.fixture
def command(capsys):
    """command(*words) -> status, stdout, stderr of `benchmark`."""

    def run(*words):
        try:
            status = main(["benchmark", *map(str, words)])
        except SystemExit as end:  # argparse
            status = end.code
        return (status, *capsys.readouterr())

    return run
