"""The demo's folders: a target dataset in Hub layout, and source checkpoints pre-trained on the spot."""

import contextlib
import io
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from huggingface_hub import DatasetCardData, ModelCardData
from PIL import Image
from transformers import BitImageProcessor, ResNetConfig, ResNetForImageClassification
from transformers.utils import logging

from hf_transferability.demo.images import SIZE, SOURCES, TARGET_DIGITS, Source, draw_digits
from hf_transferability.files import make_folder

_WIDTHS = [32, 64, 128]  # channels of the three stages; the last is n_features
_FORMAT = 1  # raised whenever the same seed makes something else
_PRE_TRAIN = (3e-3, 64)  # highest learning rate of the one-cycle schedule, images per batch

Say = Callable[[str], None]  # takes one line of text before each step


def make_target(
    folder: str | Path,
    seed: int = 0,
    progress: Say = lambda text: None,
    *,
    train_per_class: int = 60,
    test_per_class: int = 110,
) -> Path:
    """Write the target dataset: `datasets.load_dataset(folder)` gives train and test with `image` and `label`.

    Grey PNG images of SIZE x SIZE pixels, embedded in one parquet file per split; every digit is used at most once.
    A complete folder is left as it is.

    Args:
        folder: absent, empty, or an earlier target of the same seed and sizes.
        seed: decides the choice of digits and what the camera does; 0 or more.
        progress: called with one line of text before it is made.
        train_per_class: images of each class in the train split.
        test_per_class: images of each class in the test split; at most 174 of a class in both splits together.

    Returns:
        The folder.

    Raises:
        ValueError: the folder holds something else, or there are not so many images.
    """
    folder = Path(folder)
    if not (train_per_class >= 1 and test_per_class >= 1 and train_per_class + test_per_class <= 174):
        raise ValueError(
            "`train_per_class` and `test_per_class` must be at least 1 and at most 174 together; "
            f"got {train_per_class} and {test_per_class}. Ask for fewer images."
        )
    recipe = {"made": "target", "seed": seed, "train_per_class": train_per_class, "test_per_class": test_per_class}
    if _complete(folder, recipe):
        return folder
    progress("making the target dataset: digits " + ", ".join(map(str, TARGET_DIGITS)))
    rng = _generator(seed, "target")
    images, labels = draw_digits(rng, TARGET_DIGITS)
    members = [rng.permutation(np.flatnonzero(labels == k)) for k in range(len(TARGET_DIGITS))]
    edges = {"train": (0, train_per_class), "test": (train_per_class, train_per_class + test_per_class)}
    names = [f"digit {digit}" for digit in TARGET_DIGITS]
    schema = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=names)).arrow_schema
    with _written_whole(folder, recipe) as partial:
        (partial / "data").mkdir()
        for split, (low, high) in edges.items():
            chosen = rng.permutation(np.concatenate([member[low:high] for member in members]))
            columns = {
                "image": [{"bytes": _png(images[i, ..., 0]), "path": f"{split}-{k:04}.png"} for k, i in enumerate(chosen)],
                "label": labels[chosen],
            }
            pq.write_table(pa.table(columns, schema=schema), partial / "data" / f"{split}-00000-of-00001.parquet")
        card = DatasetCardData(
            license="cc-by-4.0",
            task_categories=["image-classification"],
            configs=[{"config_name": "default", "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in edges]}],
        )
        text = "Five of scikit-learn's digits (UCI optical recognition of handwritten digits), seen by a noisy camera."
        (partial / "README.md").write_text(f"---\n{card.to_yaml()}\n---\n# Demo target\n\n{text}\n", encoding="utf-8")
    return folder


def make_checkpoints(
    folder: str | Path,
    seed: int = 0,
    progress: Say = lambda text: None,
    *,
    steps: int = 300,
    images: int = 2000,
) -> tuple[Path, ...]:
    """Write one checkpoint per entry of SOURCES, in its own sub-folder: network, image processor and model card.

    On the same kind of processor and version of torch the weights depend on seed and sizes only. Complete sub-folders are
    left as they are.

    Args:
        folder: gets the sub-folders, named after the sources.
        seed: decides the images, the initial weights and the order of the batches; 0 or more.
        progress: called with one line of text before each pre-training.
        steps: steps of pre-training, with batches of 64.
        images: number of source images per checkpoint.

    Returns:
        The sub-folders, in the order of SOURCES.

    Raises:
        ValueError: a sub-folder holds something else, or a checkpoint of another seed or size.
    """
    made = []
    for k, (name, source) in enumerate(SOURCES.items(), start=1):
        recipe = {"made": name, "seed": seed, "steps": steps, "images": images}
        made.append(Path(folder) / name)
        if _complete(made[-1], recipe):
            continue
        progress(f"making checkpoint {k} of {len(SOURCES)}: {source.text}")
        with _written_whole(made[-1], recipe) as partial:
            _write_checkpoint(partial, name, source, seed, steps, images)
    return tuple(made)


def _write_checkpoint(folder: Path, name: str, source: Source, seed: int, steps: int, images: int) -> None:
    config = ResNetConfig(embedding_size=_WIDTHS[0], hidden_sizes=_WIDTHS, depths=[1, 1, 1], layer_type="basic")
    config.num_labels = source.n_classes
    with _seeded(seed, name):
        model = ResNetForImageClassification(config).eval()
        if source.draw:
            pixels, labels = source.draw(_generator(seed, name), images)
            # What the image processor below makes of images of this size.
            x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
            _train(model, x.contiguous(), torch.from_numpy(labels), steps)
        model.save_pretrained(folder)
    square, half = {"height": SIZE, "width": SIZE}, [0.5, 0.5, 0.5]
    BitImageProcessor(size=square, crop_size=square, image_mean=half, image_std=half).save_pretrained(folder)
    card = ModelCardData(
        license=source.licence,
        library_name="transformers",
        pipeline_tag="image-classification",
        datasets=[source.dataset] if source.draw else None,
    )
    text = f"A toy ResNet for the demo of hf-transferability: {source.text}."
    (folder / "README.md").write_text(f"---\n{card.to_yaml()}\n---\n# {name}\n\n{text}\n", encoding="utf-8")


def _train(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> None:
    rate, batch_size = _PRE_TRAIN
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    order = torch.empty(0, dtype=torch.long)
    model.train()
    for _ in range(steps):
        if len(order) < batch_size:  # an incomplete batch is left out: its statistics would be noise
            order = torch.randperm(len(x))
        batch, order = order[:batch_size], order[batch_size:]
        loss = torch.nn.functional.cross_entropy(model(x[batch]).logits, y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _generator(seed: int, key: str) -> np.random.Generator:
    return np.random.default_rng([_FORMAT, seed, zlib.crc32(key.encode())])


@contextlib.contextmanager
def _seeded(seed: int, key: str) -> Iterator[None]:
    """Inside, torch on the CPU is seeded, uses one thread and shows no bars; on leaving everything is as before."""
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.default_generator.manual_seed(int(_generator(seed, key).integers(2**63)))
        yield


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch uses one thread and transformers shows no bars; on leaving both are as before.

    So the weights do not depend on the number of cores, and threads on a busy machine do not slow a small network down.
    """
    threads, bars = torch.get_num_threads(), logging.is_progress_bar_enabled()
    try:
        torch.set_num_threads(1)
        logging.disable_progress_bar()
        yield
    finally:
        torch.set_num_threads(threads)
        if bars:
            logging.enable_progress_bar()


def _complete(folder: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether the folder holds everything that the recipe makes; False if it is absent, empty or lacks some of its files."""
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not _recipe(folder).is_file():
        raise ValueError(f"`folder` must be absent, empty or made by the demo; got {folder}. Choose another one.")
    try:
        written = json.loads(_recipe(folder).read_text(encoding="utf-8"))
    except ValueError:
        written = None
    wanted = {"format": _FORMAT, **recipe}
    if not isinstance(written, dict) or not all(isinstance(name, str) for name in written.get("files") or [None]):
        raise ValueError(
            f"`folder` must be absent, empty or made by the demo; {_recipe(folder)} is damaged. Remove both, or choose another."
        )
    if written.get("recipe") != wanted:
        raise ValueError(f"`folder` must be made as {wanted}; got {folder} as {written.get('recipe')}. Choose another one.")
    return all((folder / name).is_file() for name in written["files"])


def _recipe(folder: Path) -> Path:
    """The file that says how a folder was made: beside it, as a file that is no image would be told about in each ranking."""
    return folder.with_name(f".{folder.name}.json")


@contextlib.contextmanager
def _written_whole(folder: Path, recipe: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to write to, which gets its final name when everything is in it."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial, "keep")
    try:
        yield partial
        files = sorted(path.relative_to(partial).as_posix() for path in partial.rglob("*") if path.is_file())
        text = json.dumps({"recipe": {"format": _FORMAT, **recipe}, "files": files}, indent=2)
        shutil.rmtree(folder, ignore_errors=True)
        _recipe(folder).write_text(text + "\n", encoding="utf-8")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
