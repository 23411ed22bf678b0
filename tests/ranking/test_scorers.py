"""Candidates scored in several threads: the same scores, no more of them at once than cores and memory allow."""

import contextlib
import threading

import numpy as np
import pytest

from hf_transferability.data.targets import Target
from hf_transferability.errors import CheckpointError
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.ranking import scorers, scoring
from hf_transferability.ranking.scorers import Scorers
from hf_transferability.ranking.scoring import Request, score_candidate

LABELS = np.arange(60) % 3
TARGET = Target([], LABELS, ["x", "y", "z"], "single_label", [], "key", {}, {})  # type: ignore[arg-type]
REQUEST = Request(("feature_quality", "logme", "nleep", "linear_probe", "knn"), "default", 3, 0)


def arrays(seed: int) -> Arrays:
    features = np.random.default_rng(seed).normal(size=(60, 8)).astype(np.float32)
    features[np.arange(60), LABELS] += 2
    return Arrays(features, None, None, {"layers": []}, {})


class Meeting:
    """Work that several threads may do at once, and how many did."""

    def __init__(self, expected: int):
        self.barrier = threading.Barrier(expected)
        self.lock, self.inside, self.most = threading.Lock(), 0, 0

    def __call__(self, *_: object) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        with contextlib.suppress(threading.BrokenBarrierError):  # fewer than expected came in time
            self.barrier.wait(1)
        with self.lock:
            self.inside -= 1


@pytest.fixture
def together(monkeypatch):
    """How many of three candidates are scored at once, after a function has set the scorers up."""
    monkeypatch.setattr(scorers, "usable_cores", lambda: 3)

    def most(set_up, tmp_path) -> int:
        meeting = Meeting(3)
        monkeypatch.setattr(scorers, "score_candidate", meeting)
        with Scorers(TARGET, REQUEST, Cache(tmp_path)) as scored:
            set_up(scored)
            for future in [scored.score(lambda seed=seed: arrays(seed)) for seed in range(3)]:
                future.result(20)
        return meeting.most

    return most


def test_scores_are_those_of_one_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(scorers, "usable_cores", lambda: 4)
    with Scorers(TARGET, REQUEST, Cache(tmp_path / "several")) as scored:
        scored.use_cores(4)
        several = [scored.score(lambda seed=seed: arrays(seed)) for seed in range(6)]
    for seed, future in enumerate(several):
        alone = score_candidate(lambda seed=seed: arrays(seed), TARGET, REQUEST, Cache(tmp_path / "alone"))
        assert future.result().values == pytest.approx(alone.values)
        assert future.result().flags == alone.flags
        for name, halves in alone.halves.items():
            assert future.result().halves[name] == pytest.approx(halves)


def test_floors_are_those_of_one_thread(tmp_path):
    cache = Cache(tmp_path)
    alone = score_candidate(lambda: arrays(0), TARGET, REQUEST, cache)
    scoring.add_floors(alone, ("logme",), lambda: arrays(0), TARGET, REQUEST, Cache(tmp_path / "alone"))
    scores = score_candidate(lambda: arrays(0), TARGET, REQUEST, cache)
    with Scorers(TARGET, REQUEST, cache) as scored:
        scored.floors(scores, ("logme",), lambda: arrays(0)).result()
    assert scores.floors == pytest.approx(alone.floors)
    assert scores.floors


def test_one_at_a_time_until_more_cores_may_be_used(together, tmp_path):
    assert together(lambda scored: None, tmp_path) == 1


def test_as_many_at_once_as_cores(together, tmp_path):
    assert together(lambda scored: scored.use_cores(8), tmp_path) == 3


def test_one_at_a_time_where_memory_is_short(together, tmp_path, monkeypatch):
    monkeypatch.setattr(scorers, "free_memory", lambda: 1000)
    assert together(lambda scored: scored.use_cores(3), tmp_path) == 1


def test_what_goes_wrong_with_one_candidate_is_in_its_future(tmp_path):
    with Scorers(TARGET, REQUEST, Cache(tmp_path)) as scored:
        gone, there = scored.score(lambda: None), scored.score(lambda: arrays(0))
    with pytest.raises(CheckpointError, match="vanished"):
        gone.result()
    assert there.result().values["logme"] is not None


def test_a_device_that_is_lent_computes_and_tells_what_goes_wrong(tmp_path, monkeypatch):
    """The scores are those of the processor, before the device is lent and with it."""
    import torch

    from hf_transferability.accelerated import on_device

    lent, given, compute = on_device.OnDevice(torch.device("cpu"), always=True), [], on_device.OnDevice.compute

    def watched(self, work, inputs):
        given.append(work)
        if work == "neighbours" and self.trusted.get(work):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return compute(self, work, inputs)

    monkeypatch.setattr(on_device.OnDevice, "compute", watched)
    monkeypatch.setattr(on_device, "on_device", lambda device: lent)
    with Scorers(TARGET, REQUEST, Cache(tmp_path / "cache")) as scored:
        scored.use_device(None)
        here = scored.score(lambda: arrays(0)).result()
        assert given == []
        assert scored.notes() == []
        scored.use_device(torch.device("cpu"))
        assert scored.score(lambda: arrays(0)).result().values == here.values  # stored ones stay valid
        assert given == []
        there = scored.score(lambda: arrays(1)).result()
    alone = score_candidate(lambda: arrays(1), TARGET, REQUEST, Cache(tmp_path / "alone"))
    assert there.values == pytest.approx(alone.values, abs=0.003)
    assert {"neighbourhood components", "logistic regressions", "neighbours"} <= set(given)
    assert scored.notes() == ["the cpu device lacked memory for neighbours, so the processor computed them."]
