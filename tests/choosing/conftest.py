"""A target with three splits, a pool of three small networks, and runs that end at once."""

import pytest
from helpers.inputs import resnet_config

from hf_transferability.choosing import choose as choosing
from hf_transferability.choosing import short_runs
from hf_transferability.training import one_run
from hf_transferability.training.settings import Protocol


@pytest.fixture(scope="package")
def target(make_target):
    return make_target(n=48, n_classes=3, splits=("train", "validation", "test"))


@pytest.fixture(scope="package")
def pool(make_checkpoint):
    return [str(make_checkpoint(resnet_config(width=4), seed=seed, size=16)) for seed in range(3)]


@pytest.fixture(scope="package")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def short(monkeypatch):
    """Real runs of two epochs on few images."""
    monkeypatch.setattr(short_runs, "PROTOCOL", Protocol(epochs=2, patience=2, train_per_class=4, validation_per_class=4))


@pytest.fixture
def all_compared(monkeypatch):
    """Every candidate may be the best, whatever the benchmarks say of pools of three."""
    own = choosing.contenders
    monkeypatch.setattr(choosing, "contenders", lambda rows, advice: own(rows, advice and {**advice, "fine_tune": len(rows)}))


@pytest.fixture
def instant_runs(monkeypatch, short):
    """Runs take no time and say that they took a minute; the list gets the names of their checkpoints. The second checkpoint
    that is fine-tuned reaches 0.9, the others 0.6."""
    done: list[str] = []

    def end(checkpoint, draw, setting, **options):
        done.append(checkpoint.name)
        auc = 0.9 if list(dict.fromkeys(done)).index(checkpoint.name) == 1 else 0.6
        figures = {f"{split}_{name}": auc for split in ("validation", "test") for name in ("loss", "auc", "accuracy")}
        return {"stopped_epoch": 2, "best_epoch": 1, **figures, "status": "ok", "seconds": 60.0}

    monkeypatch.setattr(one_run, "fine_tune", end)
    return done
