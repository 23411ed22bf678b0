"""Labelled images that the demo draws: its target's digits, and one kind of images for each of its source checkpoints."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits, load_sample_images

TARGET_DIGITS = (2, 3, 5, 8, 9)
SOURCE_DIGITS = (0, 1, 4, 6, 7)
UNTRAINED = "untrained"
SIZE = 32  # pixels, of every image

# corners, and the radius of every second one as a share of the others': triangle, square, star, cross, disc
_SHAPES = ((3, 1.0), (4, 1.0), (10, 0.4), (8, 0.2), (40, 1.0))
_OTHERS = "the five other digits"

Labelled = tuple[np.ndarray, np.ndarray]  # images uint8 [n, SIZE, SIZE, 3], labels int64 [n]


@dataclass(frozen=True)
class Source:
    """What a checkpoint is pre-trained on: `draw(rng, n)` gives n images with labels below `n_classes`; None: no training."""

    draw: Callable[[np.random.Generator, int], Labelled] | None
    n_classes: int
    dataset: str
    licence: str
    text: str


def draw_digits(rng: np.random.Generator, digits: Sequence[int], n: int | None = None) -> Labelled:
    """Images of these digits, each original once, or again in other views until there are n images."""
    data = load_digits()
    originals = np.flatnonzero(np.isin(data.target, digits))
    n = len(originals) if n is None else n
    chosen = np.concatenate([rng.permutation(originals) for _ in range(math.ceil(n / len(originals)))])[:n]
    return np.stack([_view(data.images[i], rng) for i in chosen]), np.searchsorted(digits, data.target[chosen])


def _draw_source_digits(rng: np.random.Generator, n: int) -> Labelled:
    return draw_digits(rng, SOURCE_DIGITS, n)


def _draw_shuffled(rng: np.random.Generator, n: int) -> Labelled:
    images, labels = draw_digits(rng, SOURCE_DIGITS, n)
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


def _view(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A digit [8, 8], 0 to 16, in a random size, angle, place and contrast, with noise: uint8 [SIZE, SIZE, 3]."""
    side = int(rng.integers(16, 27))
    glyph = Image.fromarray((digit * (255 / 16)).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    glyph = glyph.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR)
    top, left = rng.integers(0, SIZE - side + 1, size=2)
    ink = np.zeros((SIZE, SIZE, 1))
    ink[top : top + side, left : left + side, 0] = np.asarray(glyph) / 255
    dark, bright = rng.uniform(20, 100), rng.uniform(110, 240)
    return np.repeat(_noisy(dark + (bright - dark) * ink, 30, rng), 3, axis=2)


def _noisy(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


SOURCES = {
    "digits": Source(_draw_source_digits, 5, "scikit-learn-digits", "cc-by-4.0", _OTHERS),
    "digits-shuffled": Source(_draw_shuffled, 5, "scikit-learn-digits", "cc-by-4.0", _OTHERS + ", labels shuffled"),
    "photo-cells": Source(_draw_patches, 12, "scikit-learn-photos", "cc-by-2.0", "which part of two photographs"),
    "photo-rotations": Source(_draw_rotations, 4, "scikit-learn-photos", "cc-by-2.0", "how a part of a photograph is turned"),
    "shapes": Source(_draw_shapes, len(_SHAPES), "demo-shapes", "cc0-1.0", "drawn shapes"),
    "textures": Source(_draw_textures, 8, "demo-textures", "cc0-1.0", "drawn gratings"),
    UNTRAINED: Source(None, 5, "none", "cc0-1.0", "no training, random weights"),
}
