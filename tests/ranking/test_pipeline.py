"""While candidates are extracted on an accelerator, the metrics of those before compute there, too."""

from typing import ClassVar

import pytest
import torch

from hf_transferability import rank
from hf_transferability.accelerated import on_device
from hf_transferability.extraction.processes import Processes
from hf_transferability.progress import Progress


def test_on_an_accelerator_the_metrics_compute_there_too(target, pool, tmp_path, monkeypatch):
    """From the first extraction on, with the same rows; what goes wrong there is a note."""
    lent, given, compute = on_device.OnDevice(torch.device("cpu"), always=True), set(), on_device.OnDevice.compute

    def watched(self, work, inputs):
        given.add(work)
        if work == "ranks of pairs":
            raise RuntimeError("CUDA error")
        return compute(self, work, inputs)

    class Notes(Progress):
        notes: ClassVar[list[str]] = []

        def note(self, text):
            self.notes.append(text)

    names = ["feature_quality", "knn", "parc", "linear_probe"]
    options = {"metrics": names, "floor": True}
    here = rank(target, pool, cache_dir=tmp_path / "here", **options)
    monkeypatch.setattr(on_device.OnDevice, "compute", watched)
    monkeypatch.setattr(on_device, "on_device", lambda device: lent)
    monkeypatch.setattr(Processes, "accelerator", torch.device("cpu"))
    there = rank(target, pool, cache_dir=tmp_path / "there", progress=Notes(), **options)
    for one, other in zip(here.rows, there.rows, strict=True):
        assert [one[name] for name in names] == pytest.approx([other[name] for name in names], abs=0.003)
    assert {"neighbourhood components", "logistic regressions", "neighbours", "ranks of pairs"} <= given
    told = "the cpu device failed at ranks of pairs (RuntimeError), so the processor computed them."
    assert Notes.notes.count(told) == 1
