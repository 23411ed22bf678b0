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
print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("10000", "None")),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ("None", "ACTIVE")),
        ({"GOMP_SPINCOUNT": "7"}, ("7", "None")),
    ],
)
def test_threads_of_openmp_wait_shortly_unless_the_user_says_otherwise(settings, expected):
    environment = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment | settings, capture_output=True, text=True, check=True
    )
    assert tuple(done.stdout.split()[-2:]) == expected
