"""The metrics on a device: values of the processor, which takes over where something is wrong."""

import threading

import numpy as np
import pytest
import torch
from helpers.pretend_device import pretend_card

from hf_transferability.accelerated import neighbourhood_components, on_device
from hf_transferability.accelerated.on_device import WORK, OnDevice
from hf_transferability.accelerated.self_check import difference
from hf_transferability.metrics import collect_flags, score
from hf_transferability.metrics._accelerator import lent

CPU = torch.device("cpu")
# Feature quality's optimiser amplifies rounding: its docstring allows 0.03, which halves in float32 need.
TOLERANCE = {"feature_quality": 0.003, "knn": 1e-12, "linear_probe": 1e-6, "parc": 1e-7}
TOLERANCE_OF_HALVES = TOLERANCE | {"feature_quality": 0.03}
CASES = {
    "two classes": (120, 20, 2, False),
    "more features than images": (60, 150, 3, False),
    "many classes": (200, 30, 20, False),
    "images that occur twice": (120, 20, 3, True),
    "two features": (80, 2, 3, False),
}


def arrays(n, d, classes, duplicates, groups=False):
    rng = np.random.default_rng(n + d)
    labels = np.concatenate([np.tile(np.arange(classes), 3), rng.integers(0, classes, n - 3 * classes)])
    x = rng.standard_normal((n, d)) + 0.7 * rng.standard_normal((classes, d))[labels]
    if duplicates:
        x[-20:] = x[:20]
    given = {"features": x.astype(np.float32), "labels": labels}
    return given | ({"groups": rng.integers(0, n // 2, n)} if groups else {})


def both(name, given, device, **options):
    """A metric's value on the processor and with the device."""
    with collect_flags():
        here = score(name, **given, **options)
        with lent(device):
            return here, score(name, **given, **options)


@pytest.fixture
def device():
    return OnDevice(CPU, always=True)


@pytest.fixture
def counted(monkeypatch):
    """Names of the work that a device was given."""
    given, compute = [], OnDevice.compute
    monkeypatch.setattr(OnDevice, "compute", lambda self, work, inputs: given.append(work) or compute(self, work, inputs))
    return given


@pytest.mark.parametrize("half_sample", [False, True], ids=["whole", "half"])
@pytest.mark.parametrize("groups", [False, True], ids=["no groups", "groups"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", TOLERANCE)
def test_values_are_those_of_the_processor(name, case, groups, half_sample, device, counted):
    here, there = both(name, arrays(*CASES[case], groups), device, half_sample=half_sample)
    tolerance = (TOLERANCE_OF_HALVES if half_sample else TOLERANCE)[name]
    assert there == pytest.approx(here, abs=tolerance * max(abs(here), 1))
    assert counted, "the device was given nothing"
    assert device.notes() == []


def test_several_label_columns(device):
    given = arrays(*CASES["two classes"])
    given["labels"] = np.stack([given["labels"], 1 - given["labels"], np.arange(120) % 2], axis=1)
    for name in ("knn", "linear_probe"):
        here, there = both(name, given, device)
        assert there == pytest.approx(here, abs=1e-6)


def test_every_kind_of_work_passes_its_check(device):
    for work in WORK:
        assert difference(work, on_device._Strict(device, work)) is None


def test_every_kind_of_work_passes_its_check_without_mixing_devices():
    """The whole of every metric's work, with tensors that say they are on a card."""
    with pretend_card() as card:
        device = OnDevice(card, always=True)
        for work in WORK:
            assert difference(work, on_device._Strict(device, work)) is None


def test_small_work_stays_on_the_processor(counted):
    device = OnDevice(CPU)
    both("feature_quality", arrays(*CASES["two classes"]), device)
    assert counted == []
    with lent(device):
        score("feature_quality", **arrays(450, 60, 3, False))
    assert "neighbourhood components" in counted


def test_an_error_leaves_the_rest_to_the_processor(device, monkeypatch):
    """It happens in the middle of an optimisation, which goes on with the processor's values."""
    calls = []
    objective = neighbourhood_components.objective

    def failing(place, *inputs):
        evaluate = objective(place, *inputs)

        def sometimes(flat):
            calls.append(1)
            if len(calls) > 2:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            return evaluate(flat)

        return sometimes

    work = on_device.Work(failing, WORK["neighbourhood components"].multiplications, 0, 0)
    monkeypatch.setitem(WORK, "neighbourhood components", work)
    given = arrays(*CASES["two classes"])
    device.trusted["neighbourhood components"] = True
    here, there = both("feature_quality", given, device)
    assert len(calls) == 3
    assert there == pytest.approx(here, abs=0.01)
    told = "the cpu device failed at neighbourhood components (RuntimeError), so the processor computed them."
    assert device.notes() == [told]
    with lent(device):
        score("feature_quality", **given)
    assert len(calls) == 3, "it is not asked again"
    assert device.notes() == []


def test_out_of_memory_is_tried_again_another_time(device, monkeypatch):
    device.trusted["ranks of pairs"] = True
    full = [True]

    def correlation(place, *inputs):
        if full[0]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return lambda: 0.5

    monkeypatch.setitem(WORK, "ranks of pairs", on_device.Work(correlation, WORK["ranks of pairs"].multiplications, 0))
    here, there = both("parc", arrays(*CASES["two classes"]), device)
    assert there == here
    assert device.notes() == ["the cpu device lacked memory for ranks of pairs, so the processor computed them."]
    full[0] = False
    assert both("parc", arrays(*CASES["two classes"]), device)[1] == 50


def test_a_device_that_computes_something_else_is_not_used(device, monkeypatch):
    """The wrong factor 1.0005 stands for half the digits: what TF32 would do."""
    objective = neighbourhood_components.objective

    def wrong(place, *inputs):
        evaluate = objective(place, *inputs)
        return lambda flat: (evaluate(flat)[0], evaluate(flat)[1] * np.linspace(1, 1.0005, len(flat)))

    work = on_device.Work(wrong, WORK["neighbourhood components"].multiplications, 0, 0)
    monkeypatch.setitem(WORK, "neighbourhood components", work)
    here, there = both("feature_quality", arrays(*CASES["two classes"]), device)
    assert there == here
    told = ["the cpu device gives other neighbourhood components than the processor, which computed them."]
    assert device.notes() == told
    assert both("feature_quality", arrays(*CASES["two classes"]), device)[1] == here
    assert device.notes() == []
    assert device.trusted == {"neighbourhood components": False, "shares of neighbours": True}


@pytest.mark.parametrize("work", WORK)
def test_every_check_notices_a_wrong_result(work, device, monkeypatch):
    kind = WORK[work]

    def wrong(place, *inputs):
        compute = kind.made(place, *inputs)

        def changed(*given):
            result = compute(*given)
            if isinstance(result, tuple):
                return tuple(part[::-1].copy() if isinstance(part, np.ndarray) else part for part in result)
            return (result[::-1] + (result.dtype.kind == "f")).copy() if isinstance(result, np.ndarray) else result * 0.999

        return changed

    monkeypatch.setitem(WORK, work, on_device.Work(wrong, kind.multiplications, 0, kind.floats))
    assert not device._is_trusted(work)


def test_a_device_without_float64_gets_no_work_in_float64(monkeypatch, counted):
    """MPS has no float64: feature quality of the whole sample stays here, that of a half goes there."""
    device = OnDevice(CPU, always=True)
    monkeypatch.setattr(device.place, "computes_in", lambda dtype: np.dtype(dtype).itemsize < 8)
    given = arrays(*CASES["two classes"])
    for name in ("feature_quality", "knn", "parc"):
        here, there = both(name, given, device)
        assert there == here
    assert counted == []
    both("feature_quality", given, device, half_sample=True)
    assert set(counted) == {"neighbourhood components"}
    assert device.notes() == []
    assert not on_device.Place(torch.device("mps")).computes_in(np.float64)


def test_threads_take_turns(device, monkeypatch):
    """Four candidates at once: the values of one, and never two threads on the device."""
    inside, most, lock = [0], [0], threading.Lock()
    kind = WORK["ranks of pairs"]

    def watched(place, *inputs):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        compute = kind.made(place, *inputs)
        with lock:
            inside[0] -= 1
        return compute

    monkeypatch.setitem(WORK, "ranks of pairs", on_device.Work(watched, kind.multiplications, 0))
    given = [arrays(150, 20, 3, False) | {"labels": np.random.default_rng(seed).integers(0, 3, 150)} for seed in range(4)]
    expected, results = [score("parc", **one) for one in given], [None] * 4

    def work(number):
        with lent(device):
            results[number] = score("parc", **given[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == pytest.approx(expected, abs=1e-7)
    assert most[0] == 1


def test_one_device_is_checked_once():
    assert on_device.on_device(CPU) is on_device.on_device(torch.device("cpu"))
