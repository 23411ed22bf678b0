"""What the tests share: a throw-away Hugging Face home, tiny checkpoints and targets, and the shared folder."""

import gc
import os
import tempfile
from pathlib import Path

# Read when huggingface_hub and datasets are imported, so set before any of that: tests never touch the user's caches.
_HOME = tempfile.TemporaryDirectory(prefix="hf-transferability-tests-")
os.environ["HF_HOME"] = _HOME.name
for _name in ("HF_HUB_CACHE", "HF_ASSETS_CACHE", "HF_DATASETS_CACHE", "HF_TOKEN", "HF_ENDPOINT"):
    os.environ.pop(_name, None)
os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
# Networks this small gain nothing from a second thread, and two processes of tests would wait for each other's.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest  # noqa: E402
from helpers.forks import LIBRARIES, PACKAGE, ForkServer  # noqa: E402
from helpers.inputs import blobs, resnet_config  # noqa: E402

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project; tests that need it are skipped elsewhere."""
    if not (SHARED / "datasets").is_dir():
        pytest.skip("the folder ../shared with real datasets is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def make_target(tmp_path_factory):
    """make_target(n=36, n_classes=3, seed=0, splits=("train",)) -> folder of a dataset in Hub layout."""
    import datasets
    from PIL import Image

    def make(n: int = 36, n_classes: int = 3, seed: int = 0, splits: tuple[str, ...] = ("train",)) -> Path:
        folder = tmp_path_factory.mktemp("target")
        (folder / "data").mkdir()
        names = [f"class {i}" for i in range(n_classes)]
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
        for number, split in enumerate(splits):
            images, codes = blobs(n, n_classes, seed + 1000 * number)
            table = datasets.Dataset.from_dict(
                {"image": [Image.fromarray(image) for image in images], "label": codes.tolist()}, features=features
            )
            table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
        return folder

    return make


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory):
    """make_checkpoint(config=None, seed=0, size=24, model_class=None) -> folder of a random checkpoint in Hub layout.

    Batch normalisation gets the statistics of random images, so that evaluation mode is as lively as a trained network's, and
    layer normalisation a small bias, so that no network counts as untrained.
    """
    import torch
    from transformers import AutoModelForImageClassification, ViTImageProcessor

    def make(config=None, seed: int = 0, size: int = 24, model_class=None, licence: str | None = "mit") -> Path:
        folder = tmp_path_factory.mktemp("checkpoint")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            config = config or resnet_config()
            network = model_class(config) if model_class else AutoModelForImageClassification.from_config(config)
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = None
                if isinstance(module, torch.nn.LayerNorm) and module.bias is not None:
                    module.bias.data.fill_(1e-3)
            network.train()
            with torch.no_grad():
                for _ in range(3):
                    network(pixel_values=torch.randn(8, 3, size, size))
        network.eval().save_pretrained(folder)
        statistics = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
        ViTImageProcessor(size={"height": size, "width": size}, **statistics).save_pretrained(folder)
        if licence:
            (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n# A tiny random checkpoint\n")
        return folder

    return make


@pytest.fixture(scope="session")
def libraries():
    """Forks processes that have loaded all libraries but the Hub's clients, and so have settings of their own."""
    running = ForkServer(LIBRARIES)
    yield running
    running.close()


@pytest.fixture(scope="session")
def program(libraries):
    """Forks processes that have loaded the whole package, with the settings of these tests."""
    running = ForkServer(PACKAGE, libraries)
    yield running
    running.close()


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look at a million objects again and again, nor copy them in a fork."""
    import hypothesis  # noqa: F401 - when it is imported it asks who refers to an object, and what is frozen does not count

    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast files first: those without a network, a Hub or a browser, whose libraries take seconds to load."""
    slow = {"make_checkpoint", "hub", "libraries", "program", "browser", "shared"}
    heavy = {item.path for item in items if slow & set(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: item.path in heavy)
