"""Fixtures of the tests of training."""

import json

import pytest


@pytest.fixture(scope="module")  # not longer: other tests compare processes of equal threads
def one_thread():
    """torch on one thread: more threads do not help networks this small, and wait for each other on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def target(make_target):
    """A folder of 36 images in each of three splits."""
    return make_target(n=36, n_classes=3, splits=("train", "validation", "test"))


@pytest.fixture(scope="package")
def checkpoint(make_checkpoint):
    """A folder of a tiny ResNet for images of 16 pixels."""
    return make_checkpoint(size=16)


@pytest.fixture
def grid(tmp_path):
    """grid(rates) -> a file with one setting per learning rate."""

    def write(*rates: float):
        (tmp_path / "grid.json").write_text(
            json.dumps([{"batch_size": 8, "learning_rate": rate, "momentum": 0.9, "weight_decay": 0} for rate in rates])
        )
        return tmp_path / "grid.json"

    return write


@pytest.fixture
def instant_runs(monkeypatch):
    """Runs end at once with figures computed from setting and seed; the list gets their learning rates and seeds."""
    from hf_transferability.training import one_run

    done = []

    def end(checkpoint, draw, setting, *, seed, **options):
        done.append((setting.learning_rate, seed))
        names = ("validation_loss", "validation_auc", "validation_accuracy", "test_loss", "test_auc", "test_accuracy")
        figures = dict.fromkeys(names, (setting.learning_rate + seed / 10) % 1)
        return {"stopped_epoch": 2, "best_epoch": 1, **figures, "status": "ok", "seconds": 0.1}

    monkeypatch.setattr(one_run, "fine_tune", end)
    return done
