"""The demo: a small target dataset and a pool of source checkpoints, made on the spot, without network or account.

The target is five classes of scikit-learn's handwritten digits, seen by a shaky, noisy camera. Every checkpoint is the
same small ResNet, pre-trained on another source: the other five digits, the same with shuffled labels, scikit-learn's
two photographs (two tasks), two kinds of drawings, or nothing. `verify` tells how well each of them really transfers.
"""

import contextlib
import io
import json
import math
import shlex
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from huggingface_hub import DatasetCardData, ModelCardData
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits, load_sample_images
from transformers import BitImageProcessor, ResNetConfig, ResNetForImageClassification
from transformers.utils import logging

from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.errors import TransferabilityError
from hf_transferability.training.finetuning import fine_tune
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import Protocol, Setting

TARGET_DIGITS = (2, 3, 5, 8, 9)
SOURCE_DIGITS = (0, 1, 4, 6, 7)
UNTRAINED = "untrained"
REPEATS = 3  # runs that verify averages
SIZE = 32  # pixels, of every image

_WIDTHS = [32, 64, 128]  # channels of the three stages; the last is n_features
_FORMAT = 1  # raised whenever the same seed makes something else
_PRE_TRAIN = (3e-3, 64)  # highest learning rate of the one-cycle schedule, images per batch
_FINE_TUNE = Setting(batch_size=32, learning_rate=0.01, momentum=0.9, weight_decay=1e-4)

Progress = Callable[[str], None]
Labelled = tuple[np.ndarray, np.ndarray]  # images uint8 [n, SIZE, SIZE, 3], labels int64 [n]


@dataclass(frozen=True)
class Source:
    """Where a checkpoint comes from: `draw(rng, n)` gives n images, labels below `n_classes`; None: no training."""

    draw: Callable[[np.random.Generator, int], Labelled] | None
    n_classes: int
    dataset: str
    licence: str
    text: str


@dataclass(frozen=True)
class Demo:
    """A target dataset's folder and its candidates' folders, untrained one last."""

    target: Path
    checkpoints: tuple[Path, ...]

    @property
    def command(self) -> str:
        """The command line that ranks these folders."""
        return shlex.join(["hf-transferability", "rank", *map(str, (self.target, *self.checkpoints))])


@contextlib.contextmanager
def run(
    folder: str | Path | None = None, seed: int = 0, progress: Progress = lambda text: None, **sizes: int
) -> Iterator[Demo]:
    """Make the whole demo, or what is missing of it, and give its paths: `with run() as demo: rank(demo.target, ...)`.

    Args:
        folder: gets `target/` and `checkpoints/NAME/` and is kept; None for a temporary one, removed on leaving.
        seed: of everything random, 0 or more.
        progress: called with one line of text before each step.
        sizes: `train_per_class` and `test_per_class` of `make_target`, `steps` and `images` of `make_checkpoints`.

    Raises:
        ValueError: one of the folders holds something else, or a demo with another seed or size.

    Cost: about 45 s, 10 MB on disk; nothing when all is there.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hf-transferability-demo-"))
        pool_sizes = {name: sizes.pop(name) for name in ("steps", "images") if name in sizes}
        target = make_target(Path(folder) / "target", seed, progress, **sizes)
        yield Demo(target, make_checkpoints(Path(folder) / "checkpoints", seed, progress, **pool_sizes))


def make_target(
    folder: str | Path,
    seed: int = 0,
    progress: Progress = lambda text: None,
    *,
    train_per_class: int = 60,
    test_per_class: int = 110,
) -> Path:
    """Write the target dataset: `datasets.load_dataset(folder)` gives train and test with `image` and `label`.

    Grey PNG images of SIZE x SIZE pixels, embedded in one parquet file per split; every digit is used once at most.
    Nothing is done when the folder is complete.

    Args:
        folder: absent, empty, or an earlier target of the same seed and sizes.
        seed: of the choice and of the camera, 0 or more.
        progress: called with one line of text before the making.
        train_per_class: images of each class in the train split.
        test_per_class: likewise in the test split; the two together at most 174.

    Returns:
        The folder.

    Raises:
        ValueError: the folder holds something else, or too many images are asked for.
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
    images, labels = _draw_digits(rng, TARGET_DIGITS)
    members = [rng.permutation(np.flatnonzero(labels == k)) for k in range(len(TARGET_DIGITS))]
    edges = {"train": (0, train_per_class), "test": (train_per_class, train_per_class + test_per_class)}
    names = [f"digit {digit}" for digit in TARGET_DIGITS]
    schema = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=names)).arrow_schema
    with _publish(folder, recipe) as partial:
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
    progress: Progress = lambda text: None,
    *,
    steps: int = 300,
    images: int = 2000,
) -> tuple[Path, ...]:
    """Write one checkpoint per entry of SOURCES, in its own sub-folder: network, image processor and model card.

    On one kind of processor and with one version of torch the weights depend on seed and sizes only. Complete
    sub-folders are left alone.

    Args:
        folder: gets the sub-folders, named after the sources.
        seed: of the images, the initial weights and the order of the batches, 0 or more.
        progress: called with one line of text before each pre-training.
        steps: of pre-training, with batches of 64.
        images: source images per checkpoint.

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
        with _publish(made[-1], recipe) as partial:
            _write_checkpoint(partial, name, source, seed, steps, images)
    return tuple(made)


def verify(
    target: str | Path,
    checkpoints: Sequence[str | Path],
    seed: int = 0,
    progress: Progress = lambda text: None,
    *,
    epochs: int = 15,
    repeats: int = REPEATS,
) -> dict[str, float]:
    """Fine-tuned performance of each checkpoint: the truth that a ranking tries to foresee.

    The fine-tuning of `hf-transferability finetune` with a single setting, tuned for none of them, and without random views
    (a mirrored digit is none). As there is no validation split, a fifth of the train split chooses the epoch.

    Args:
        target: folder of `make_target`.
        checkpoints: folders of `make_checkpoints`.
        seed: of the images, the heads and the order of the batches, 0 or more.
        progress: called with one line of text before each checkpoint.
        epochs: over the training images, with batches of 32.
        repeats: runs per checkpoint, averaged.

    Returns:
        Checkpoint as given (text) -> test AUC, macro average of one class versus rest, 0.5 for guessing. Runs that diverged
        are said and left out of the average.

    Raises:
        TransferabilityError: all runs of a checkpoint diverged.

    Cost: about 50 s.
    """
    draw = Splits(target, SIZE).draw(seed)
    aucs = {}
    for k, checkpoint in enumerate(checkpoints, start=1):
        progress(f"fine-tuning checkpoint {k} of {len(checkpoints)}: {Path(checkpoint).name}")
        with _one_thread():
            loaded = load(resolve(str(checkpoint)))
            seeds = range(seed * repeats, (seed + 1) * repeats)
            protocol = Protocol(epochs=epochs, augment=False)
            rows = [fine_tune(loaded, draw, _FINE_TUNE, protocol, seed=each) for each in seeds]
        finished = [row["test_auc"] for row in rows if row["status"] == "ok"]
        if not finished:
            raise TransferabilityError(f"all {repeats} runs of {checkpoint} diverged. Choose another seed for the demo.")
        if len(finished) < repeats:
            progress(
                f"{repeats - len(finished)} of {repeats} runs of {Path(checkpoint).name} diverged; the others are averaged"
            )
        aucs[str(checkpoint)] = float(np.mean(finished))
    return aucs


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


def _draw_digits(rng: np.random.Generator, digits: Sequence[int], n: int | None = None) -> Labelled:
    """Images of these digits, each original seen once, or again in another view until there are n."""
    data = load_digits()
    originals = np.flatnonzero(np.isin(data.target, digits))
    n = len(originals) if n is None else n
    chosen = np.concatenate([rng.permutation(originals) for _ in range(math.ceil(n / len(originals)))])[:n]
    return np.stack([_view(data.images[i], rng) for i in chosen]), np.searchsorted(digits, data.target[chosen])


def _view(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A digit [8, 8], 0 to 16, of random size, angle, place and contrast, with noise."""
    side = int(rng.integers(16, 27))
    glyph = Image.fromarray((digit * (255 / 16)).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    glyph = glyph.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR)
    top, left = rng.integers(0, SIZE - side + 1, size=2)
    ink = np.zeros((SIZE, SIZE, 1))
    ink[top : top + side, left : left + side, 0] = np.asarray(glyph) / 255
    dark, bright = rng.uniform(20, 100), rng.uniform(110, 240)
    return np.repeat(_noisy(dark + (bright - dark) * ink, 30, rng), 3, axis=2)


def _draw_source_digits(rng: np.random.Generator, n: int) -> Labelled:
    return _draw_digits(rng, SOURCE_DIGITS, n)


def _draw_shuffled(rng: np.random.Generator, n: int) -> Labelled:
    images, labels = _draw_digits(rng, SOURCE_DIGITS, n)
    return images, rng.permutation(labels)


def _draw_patches(rng: np.random.Generator, n: int) -> Labelled:
    """Patches of 48 to 96 pixels; the label is the photograph and its cell in a grid of 2 x 3."""
    photos = load_sample_images().images
    height, width = photos[0].shape[0] // 2, photos[0].shape[1] // 3
    labels = rng.integers(12, size=n)
    patches = []
    for photo, row, column in zip(*np.unravel_index(labels, (2, 2, 3)), strict=True):
        side = int(rng.integers(48, 97))
        top = row * height + rng.integers(height - side + 1)
        left = column * width + rng.integers(width - side + 1)
        patch = Image.fromarray(photos[photo][top : top + side, left : left + side])
        patches.append(np.asarray(patch.resize((SIZE, SIZE), Image.Resampling.BILINEAR)))
    return np.stack(patches), labels


def _draw_rotations(rng: np.random.Generator, n: int) -> Labelled:
    patches, _ = _draw_patches(rng, n)
    labels = rng.integers(4, size=n)
    return np.stack([np.rot90(patch, k) for patch, k in zip(patches, labels, strict=True)]), labels


def _draw_shapes(rng: np.random.Generator, n: int) -> Labelled:
    """Filled shapes of random colours, size, place and angle, with noise."""
    labels = rng.integers(len(_SHAPES), size=n)
    images = []
    for corners, inner in (_SHAPES[label] for label in labels):
        radii = rng.uniform(12, 26) * np.where(np.arange(corners) % 2, inner, 1)
        angles = rng.uniform(0, 2 * math.pi) + np.arange(corners) * 2 * math.pi / corners
        x, y = rng.uniform(radii.max(), 2 * SIZE - radii.max(), size=2)
        back, fore = (tuple(colour) for colour in rng.integers(256, size=(2, 3)).tolist())
        picture = Image.new("RGB", (2 * SIZE, 2 * SIZE), back)
        outline = zip(x + radii * np.cos(angles), y + radii * np.sin(angles), strict=True)
        ImageDraw.Draw(picture).polygon(list(outline), fill=fore)
        images.append(_noisy(np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR)), 15, rng))
    return np.stack(images), labels


def _draw_textures(rng: np.random.Generator, n: int) -> Labelled:
    """Sine gratings; the label is one of 2 wavelengths and one of 4 directions."""
    labels = rng.integers(8, size=n)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    images = []
    for wavelength, direction in zip(*np.unravel_index(labels, (2, 4)), strict=True):
        angle = direction * math.pi / 4 + rng.uniform(-0.2, 0.2)
        step = 2 * math.pi / ((4, 8)[wavelength] * rng.uniform(0.85, 1.15))
        wave = np.sin((rows * math.sin(angle) + columns * math.cos(angle)) * step + rng.uniform(0, 2 * math.pi))
        low, high = rng.uniform(0, 255, size=(2, 3))
        images.append(_noisy(low + (high - low) * (wave[..., None] + 1) / 2, 30, rng))
    return np.stack(images), labels


# corners, and the radius of every second one as a share of the others': triangle, square, star, cross, disc
_SHAPES = ((3, 1.0), (4, 1.0), (10, 0.4), (8, 0.2), (40, 1.0))
_OTHERS = "the five other digits"

SOURCES = {
    "digits": Source(_draw_source_digits, 5, "scikit-learn-digits", "cc-by-4.0", _OTHERS),
    "digits-shuffled": Source(_draw_shuffled, 5, "scikit-learn-digits", "cc-by-4.0", _OTHERS + ", labels shuffled"),
    "photo-cells": Source(_draw_patches, 12, "scikit-learn-photos", "cc-by-2.0", "which part of two photographs"),
    "photo-rotations": Source(_draw_rotations, 4, "scikit-learn-photos", "cc-by-2.0", "how a part of a photograph is turned"),
    "shapes": Source(_draw_shapes, len(_SHAPES), "demo-shapes", "cc0-1.0", "drawn shapes"),
    "textures": Source(_draw_textures, 8, "demo-textures", "cc0-1.0", "drawn gratings"),
    UNTRAINED: Source(None, 5, "none", "cc0-1.0", "no training, random weights"),
}


def _noisy(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _generator(seed: int, key: str) -> np.random.Generator:
    return np.random.default_rng([_FORMAT, seed, zlib.crc32(key.encode())])


@contextlib.contextmanager
def _seeded(seed: int, key: str) -> Iterator[None]:
    """torch on the CPU, seeded, on one thread and without bars inside; everything as before outside."""
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.default_generator.manual_seed(int(_generator(seed, key).integers(2**63)))
        yield


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """torch on one thread and transformers without bars inside; both as before outside.

    The weights do not depend on the number of cores then, and a busy machine does not stall so small a network.
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
    """Whether the folder holds all of what the recipe makes; False if it is absent, empty or lacks files of it."""
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not (folder / "demo.json").is_file():
        raise ValueError(f"`folder` must be absent, empty or made by the demo; got {folder}. Choose another one.")
    found = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    wanted = {"format": _FORMAT, **recipe}
    if found["recipe"] != wanted:
        raise ValueError(f"`folder` must be made as {wanted}; got {folder} as {found['recipe']}. Choose another one.")
    return all((folder / name).is_file() for name in found["files"])


@contextlib.contextmanager
def _publish(folder: Path, recipe: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to write to, which takes its final name only when everything is in it."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        files = sorted(path.relative_to(partial).as_posix() for path in partial.rglob("*") if path.is_file())
        text = json.dumps({"recipe": {"format": _FORMAT, **recipe}, "files": files}, indent=2)
        (partial / "demo.json").write_text(text + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
