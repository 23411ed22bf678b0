"""Metrics ask for an accelerator, and without one compute as ever: no torch is imported."""

import subprocess
import sys
import threading

from hf_transferability.metrics._accelerator import lent, on_accelerator

WITHOUT = """
import sys
import numpy as np
from hf_transferability.metrics import collect_flags, score

rng = np.random.default_rng(0)
labels = np.arange(450) % 3
x = rng.standard_normal((450, 500)) + 0.2 * labels[:, None]  # large enough for a device
with collect_flags():
    for name in ("feature_quality", "knn", "linear_probe", "parc"):
        for groups in (None, np.arange(450) // 2):
            score(name, features=x, labels=labels, **({} if groups is None else {"groups": groups}))
assert "torch" not in sys.modules, "torch was imported"
"""


class Other:
    def in_place_of(self, work, own, inputs):
        return lambda: (work, own(), inputs)


def test_own_work_without_an_accelerator_and_its_in_a_block():
    assert on_accelerator("a", lambda: 1, 2)() == 1
    with lent(Other()):
        assert on_accelerator("a", lambda: 1, 2)() == ("a", 1, (2,))
        with lent(None):
            assert on_accelerator("a", lambda: 1, 2)() == 1
    assert on_accelerator("a", lambda: 1, 2)() == 1


def test_one_threads_accelerator_is_not_anothers():
    found = []
    with lent(Other()):
        thread = threading.Thread(target=lambda: found.append(on_accelerator("a", lambda: 1)()))
        thread.start()
        thread.join(20)
    assert found == [1]


def test_on_a_processor_no_torch_is_imported():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
