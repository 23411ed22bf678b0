"""The program's start, before anything that takes time is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hf_transferability

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


INTERRUPTED = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
after, number = 0, int(sys.argv[1])
def hook(event, arguments):
    global after
    if event == "import" and (after or arguments[0] == "hf_transferability.cli"):
        after += 1
        if after == number:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
sys.argv = ["hf-transferability", "metrics"]
runpy.run_module("hf_transferability", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", [1, 2, 20, 200])
def test_an_interrupt_while_the_program_is_imported(number):
    """The signal comes at the import of that number after the first that takes time."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, str(number)], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.startswith("hf-transferability: interrupted.") and done.stderr.count("\n") == 1


def test_little_is_imported_before_the_program_handles_signals():
    """Until then Python itself answers Ctrl-C, with a traceback."""
    script = "import sys; import hf_transferability.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, env=environment())
    loaded = set(done.stdout.split())
    assert "hf_transferability.signals" in loaded
    assert loaded.isdisjoint({"argparse", "json", "pathlib", "re", "typing"})


def environment():
    """Without the start-up files of the interpreter, the package is found by its path."""
    return os.environ | {"PYTHONPATH": str(Path(hf_transferability.__file__).parents[1])}
