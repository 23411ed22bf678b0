"""Labelled images for training: the splits of a dataset at one size, and random samples of them."""

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from hf_transferability.data.images import MEMORY_BUDGET
from hf_transferability.data.targets import Target, load_target, split_names
from hf_transferability.errors import TargetError, UsageError
from hf_transferability.training.settings import SplitNames

_VALIDATION = ("validation", "val", "valid", "dev")


class Pool:
    """All images of one split, decoded and resized when they are first used.

    Splits with more than 2 GiB of resized pixels are not kept in memory; their images are decoded at every use.

    Args:
        target: the complete split.
        size: height and width of the resized images in pixels, or the side of square ones.
        classes: class names of all splits; labels are positions (or columns) in this list.

    Attributes:
        size: height and width.
        labels: int64 [n_images], or float32 [n_images, n_classes] of a multi-label dataset.
    """

    def __init__(self, target: Target, size: int | tuple[int, int], classes: Sequence[str]):
        self.target = target
        self.size = (size, size) if isinstance(size, int) else size
        self.classes = list(classes)
        code_of_class = [self.classes.index(name) for name in target.class_names]
        if target.task == "multi_label":
            self.labels = torch.zeros(len(target), len(self.classes))
            self.labels[:, code_of_class] = torch.from_numpy(target.labels).float()
        else:
            self.labels = torch.tensor(code_of_class)[torch.from_numpy(target.labels)]
        self._pixels: torch.Tensor | None = None
        self._decoded = torch.zeros(len(target), dtype=torch.bool)
        self._resized: Pool | None = None

    def at(self, size: tuple[int, int]) -> "Pool":
        """The same images at another size; the last of these is remembered with its pixels."""
        if size == self.size:
            return self
        if self._resized is None or self._resized.size != size:
            self._resized = Pool(self.target, size, self.classes)
        return self._resized

    def pixels(self, positions: torch.Tensor) -> torch.Tensor:
        """Images uint8 [n, 3, height, width].

        Raises:
            TargetError: an image cannot be decoded.
        """
        shape = (len(self.target), 3, *self.size)
        if self._pixels is None and math.prod(shape) <= MEMORY_BUDGET:
            self._pixels = torch.empty(shape, dtype=torch.uint8)
        if self._pixels is None:
            return torch.stack([self._decode(position) for position in positions.tolist()])
        for position in positions[~self._decoded[positions]].tolist():
            self._pixels[position] = self._decode(position)
            self._decoded[position] = True
        return self._pixels[positions]

    def _decode(self, position: int) -> torch.Tensor:
        try:
            image = torch.from_numpy(self.target.images[position].copy()).permute(2, 0, 1)
        except UsageError:
            raise
        except Exception as error:  # decoders raise many types for a damaged file
            row = f"row {self.target.positions[position]} of split {self.target.provenance['split']}"
            raise TargetError(
                f"{row} of {self.target.provenance['id']} cannot be decoded: {error}. Repair or remove it."
            ) from error
        return functional.resize(image, list(self.size), antialias=True)


@dataclass(frozen=True)
class Sample:
    """Some images of a pool, in a given order.

    Attributes:
        pool: the split.
        positions: int64 [n_images], positions in the pool.
    """

    pool: Pool
    positions: torch.Tensor

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def labels(self) -> torch.Tensor:
        """Labels in the order of the sample; see `Pool`."""
        return self.pool.labels[self.positions]

    def pixels(self, places: torch.Tensor) -> torch.Tensor:
        """Images uint8 [n, 3, height, width] at some places of the sample, counted from 0."""
        return self.pool.pixels(self.positions[places])

    def missing_classes(self) -> list[str]:
        """Names of the classes (or labels) that no image of the sample has."""
        labels = self.labels
        present = labels.sum(0) > 0 if labels.ndim == 2 else torch.bincount(labels, minlength=len(self.pool.classes)) > 0
        return [name for name, is_present in zip(self.pool.classes, present.tolist(), strict=True) if not is_present]

    def digest(self) -> bytes:
        """sha256 of the encoded images and the labels, in order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels.numpy()).tobytes())
        for position in self.positions.tolist():
            digest.update(hashlib.sha256(self.pool.target.images.encoded[position]).digest())
        return digest.digest()


@dataclass(frozen=True)
class Draw:
    """The images that one seed draws for training, validation and test, and notes on what is missing from them."""

    train: Sample
    validation: Sample
    test: Sample
    notes: tuple[str, ...]

    def at(self, size: tuple[int, int]) -> "Draw":
        """The same images at another height and width."""
        samples = {
            role: replace(sample, pool=sample.pool.at(size))
            for role, sample in (("train", self.train), ("validation", self.validation), ("test", self.test))
        }
        return replace(self, **samples)

    @property
    def fingerprint(self) -> str:
        """sha256 of the three samples."""
        return hashlib.sha256(b"".join(sample.digest() for sample in (self.train, self.validation, self.test))).hexdigest()


class Splits:
    """The training, validation and test split of a target dataset, for fine-tuning.

    Args:
        dataset: Hub id, local folder or loaded `datasets.DatasetDict`.
        size: height and width of the resized images in pixels, or the side of square ones; `Draw.at` gives other sizes.
        names: names of the splits; default train, validation (if there is one) and test.
        options: `token` and options of `data.options.SampleOptions`, without split and sample size.

    Attributes:
        task: "single_label" or "multi_label".
        classes: names of the classes of all splits.
        pools: "train", "validation" (unless it is drawn from training) and "test" -> images.
        provenance: provenance of the training split; see `targets.Target`.

    Raises:
        UsageError: no training or test split, one split in two roles, a regression target, or an option that `load_target`
            refuses.
        TargetError: no access to the dataset.
    """

    def __init__(self, dataset: Any, size: int | tuple[int, int] = 224, names: SplitNames | None = None, **options: Any):
        name_of_role = _split_of_role(dataset, names or SplitNames(), options)
        targets = {role: self._load(dataset, name, options) for role, name in name_of_role.items()}
        self.task = targets["train"].task
        if self.task == "regression":
            raise UsageError(
                "the target must have classes to be fine-tuned for; its labels are numbers. Choose another column."
            )
        self.classes = list(dict.fromkeys(name for target in targets.values() for name in target.class_names))
        self.pools = {role: Pool(target, size, self.classes) for role, target in targets.items()}
        self.provenance = targets["train"].provenance

    @staticmethod
    def _load(dataset: Any, name: str, options: dict[str, Any]) -> Target:
        try:
            return load_target(dataset, split=name, sample="all", **options)
        except UsageError as error:
            raise UsageError(f"split {name}: {error}") from error

    def draw(self, seed: int, train_per_class: int = 100, validation_per_class: int = 25) -> Draw:
        """Random training and validation samples, and the full test split.

        Args:
            seed: seed of both samples and of their order.
            train_per_class, validation_per_class: images per class on average; the draw is random, not stratified, as in the
                paper.

        Returns:
            The samples. If images are too few, or a class is missing from a sample, the notes say so.
        """
        rng = np.random.default_rng(seed)
        pool = self.pools["train"]
        order = torch.from_numpy(rng.permutation(len(pool.labels)))
        n_train, n_validation = (per_class * len(self.classes) for per_class in (train_per_class, validation_per_class))
        n_available = n_train
        notes = []
        if (validation_pool := self.pools.get("validation")) is None:
            if len(order) < n_train + n_validation:
                n_available = len(order) * n_train // (n_train + n_validation)
            notes.append("no validation split: drawn from training")
            validation = Sample(pool, order[n_available : n_available + n_validation])
        else:
            validation = Sample(validation_pool, torch.from_numpy(rng.permutation(len(validation_pool.labels)))[:n_validation])
        train = Sample(pool, order[:n_available])
        test = Sample(self.pools["test"], torch.arange(len(self.pools["test"].labels)))
        for name, sample, requested in (("training", train, n_train), ("validation", validation, n_validation)):
            if len(sample) < requested:
                notes.append(f"{len(sample)} {name} images, not {requested}")
        for name, sample in (("training", train), ("validation", validation), ("test", test)):
            if missing := sample.missing_classes():
                notes.append(f"not in the {name} sample: {', '.join(missing)}")
        return Draw(train, validation, test, tuple(notes))


def _split_of_role(dataset: Any, names: SplitNames, options: dict[str, Any]) -> dict[str, str]:
    """The split for each of the roles train, validation (if there is one) and test.

    Raises:
        UsageError: a split that does not exist, or one split in two roles.
    """
    known = split_names(dataset, **options)
    for role, name in (("train", names.train), ("test", names.test)):
        if name not in known:
            raise UsageError(f"`{role}_split` must be one of {', '.join(known)}; got {name!r}. Pass --{role}-split NAME.")
    candidates = (name for name in _VALIDATION if name in known and name not in (names.train, names.test))
    validation = names.validation or next(candidates, None)
    splits = {"train": names.train, "validation": validation, "test": names.test}
    for (first_role, first), (second_role, second) in itertools.combinations(splits.items(), 2):
        if shared := _full_splits(first) & _full_splits(second):
            raise UsageError(
                f"`{first_role}_split` and `{second_role}_split` must be different splits; both take images of "
                f"{', '.join(sorted(shared))}. Pass another --{second_role}-split."
            )
    return {role: name for role, name in splits.items() if name}


def _full_splits(split: str | None) -> set[str]:
    """Names of the splits in an expression such as "train", "train[:80%]" or "train+validation"."""
    return {part.partition("[")[0].strip() for part in split.split("+")} if split else set()
