"""A process knows its accelerator once something has asked for its device, and asking for that imports nothing."""

import subprocess
import sys
from types import SimpleNamespace

import torch

from hf_transferability.extraction.processes import Processes

WITHOUT = """
import sys
from hf_transferability.extraction.processes import Processes

assert Processes().accelerator is None
assert "torch" not in sys.modules, "torch was imported"
"""


def test_nobody_has_asked_for_the_device():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_processor_is_no_accelerator():
    state = Processes()
    assert state.device.type in ("cpu", "cuda")
    assert state.accelerator == (None if state.device.type == "cpu" else state.device)


def test_a_card_is_one():
    state = Processes()
    vars(state)["_state"] = SimpleNamespace(device=torch.device("cuda", 0))
    assert state.accelerator == torch.device("cuda", 0)
