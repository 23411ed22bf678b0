"""The program's start, before anything that takes time is imported."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from hf_transferability.__main__ import main
sys.argv = ["hf-transferability", "--version"]
try:
    main()
except SystemExit:
    pass
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize("setting", [None, "ACTIVE"])
def test_threads_of_openmp_wait_without_spinning_unless_the_user_says_otherwise(setting):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment | ({"OMP_WAIT_POLICY": setting} if setting else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == (setting or "PASSIVE")
