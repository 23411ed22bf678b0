"""Labelled images for training: a dataset's splits in memory at one size, and the samples that are drawn from them."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from hf_transferability.data.images import MEMORY_BUDGET
from hf_transferability.data.targets import Target, load_target, split_names
from hf_transferability.errors import TargetError, UsageError

_VALIDATION = ("validation", "val", "valid", "dev")


class Pool:
    """All images of one split; each is decoded and resized once, when it is first needed.

    Beyond 2 GiB of resized pixels they are decoded again for every use.

    Args:
        target: the whole split.
        size: side of the square images, in pixels.
        classes: class names of all splits; the labels become positions (or columns) in this list.

    Attributes:
        labels: int64 [n_images], or float32 [n_images, n_classes] of a multi-label dataset.
    """

    def __init__(self, target: Target, size: int, classes: Sequence[str]):
        self.target = target
        self.size = size
        self.classes = list(classes)
        place = [self.classes.index(name) for name in target.class_names]
        if target.task == "multi_label":
            self.labels = torch.zeros(len(target), len(self.classes))
            self.labels[:, place] = torch.from_numpy(target.labels).float()
        else:
            self.labels = torch.tensor(place)[torch.from_numpy(target.labels)]
        keep = len(target) * 3 * size**2 <= MEMORY_BUDGET
        self._kept = torch.empty((len(target), 3, size, size), dtype=torch.uint8) if keep else None
        self._known = torch.zeros(len(target), dtype=torch.bool)

    def pixels(self, positions: torch.Tensor) -> torch.Tensor:
        """Images uint8 [n, 3, size, size].

        Raises:
            TargetError: an image cannot be decoded.
        """
        if self._kept is None:
            return torch.stack([self._decode(position) for position in positions.tolist()])
        for position in positions[~self._known[positions]].tolist():
            self._kept[position] = self._decode(position)
            self._known[position] = True
        return self._kept[positions]

    def _decode(self, position: int) -> torch.Tensor:
        try:
            image = torch.from_numpy(self.target.images[position].copy()).permute(2, 0, 1)
        except UsageError:
            raise
        except Exception as error:  # whatever a decoder makes of a damaged file
            row = f"row {self.target.positions[position]} of split {self.target.provenance['split']}"
            raise TargetError(
                f"{row} of {self.target.provenance['id']} cannot be decoded: {error}. Mend or remove it."
            ) from error
        return functional.resize(image, [self.size, self.size], antialias=True)


@dataclass(frozen=True)
class Sample:
    """Some images of a pool, in an order of their own."""

    pool: Pool
    positions: torch.Tensor

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def labels(self) -> torch.Tensor:
        """Labels in the sample's order."""
        return self.pool.labels[self.positions]

    def pixels(self, places: torch.Tensor) -> torch.Tensor:
        """Images uint8 [n, 3, size, size] at these places of the sample."""
        return self.pool.pixels(self.positions[places])

    def missing_classes(self) -> list[str]:
        """Classes (or labels) that no image of the sample has."""
        labels = self.labels
        present = labels.sum(0) > 0 if labels.ndim == 2 else torch.bincount(labels, minlength=len(self.pool.classes)) > 0
        return [name for name, there in zip(self.pool.classes, present.tolist(), strict=True) if not there]

    def digest(self) -> bytes:
        """sha256 over the encoded images and labels, in order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels.numpy()).tobytes())
        for position in self.positions.tolist():
            digest.update(hashlib.sha256(self.pool.target.images.encoded[position]).digest())
        return digest.digest()


@dataclass(frozen=True)
class Draw:
    """What one seed draws: images to train on, to choose by, and to test on, and what is to be said of them."""

    train: Sample
    validation: Sample
    test: Sample
    notes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """sha256 over the three samples."""
        return hashlib.sha256(b"".join(each.digest() for each in (self.train, self.validation, self.test))).hexdigest()


class Splits:
    """A target dataset for fine-tuning: its training, validation and test split.

    Args:
        dataset: Hub id, local folder or loaded `datasets.DatasetDict`.
        size: side that the images are resized to, in pixels.
        train, validation, test: names of different splits; without a third one for validation, its images are drawn from
            training.
        where: `token` and options of `data.options.SampleOptions`, without split and sample size.

    Raises:
        UsageError: no training or test split, one split in two roles, a regression target, or what `load_target` refuses.
        TargetError: no access to the dataset.
    """

    def __init__(
        self,
        dataset: Any,
        size: int,
        *,
        train: str = "train",
        validation: str | None = None,
        test: str = "test",
        **where: Any,
    ):
        known = split_names(dataset, **where)
        for role, name in (("train", train), ("test", test)):
            if name not in known:
                raise UsageError(f"`{role}_split` must be one of {', '.join(known)}; got {name!r}. Pass --{role}-split NAME.")
        if not validation:
            validation = next((name for name in _VALIDATION if name in known and name not in (train, test)), None)
        for first, second in itertools.combinations((("train", train), ("validation", validation), ("test", test)), 2):
            if both := _parts(first[1]) & _parts(second[1]):
                raise UsageError(
                    f"`{first[0]}_split` and `{second[0]}_split` must be different splits; both take images of "
                    f"{', '.join(sorted(both))}. Pass another --{second[0]}-split."
                )
        named = {"train": train, "validation": validation, "test": test}
        targets = {role: self._load(dataset, name, where) for role, name in named.items() if name}
        self.task = targets["train"].task
        if self.task == "regression":
            raise UsageError(
                "the target must have classes to be fine-tuned for; its labels are numbers. Choose another column."
            )
        self.classes = list(dict.fromkeys(name for each in targets.values() for name in each.class_names))
        self.pools = {role: Pool(each, size, self.classes) for role, each in targets.items()}
        self.provenance = targets["train"].provenance

    @staticmethod
    def _load(dataset: Any, name: str, where: dict[str, Any]) -> Target:
        try:
            return load_target(dataset, split=name, sample="all", **where)
        except UsageError as error:
            raise UsageError(f"split {name}: {error}") from error

    def draw(self, seed: int, train_per_class: int = 100, validation_per_class: int = 25) -> Draw:
        """Random samples of 100 x C training and 25 x C validation images, C classes, and the full test split.

        Args:
            seed: of both samples and of their order.
            train_per_class: images per class on average; the draw is random, not stratified, as in the paper.
            validation_per_class: likewise.
        """
        rng = np.random.default_rng(seed)
        pool = self.pools["train"]
        order = torch.from_numpy(rng.permutation(len(pool.labels)))
        n_train, n_validation = (per_class * len(self.classes) for per_class in (train_per_class, validation_per_class))
        share = n_train
        notes = []
        if (other := self.pools.get("validation")) is None:
            if len(order) < n_train + n_validation:
                share = len(order) * n_train // (n_train + n_validation)
            notes.append("no validation split: drawn from training")
            validation = Sample(pool, order[share : share + n_validation])
        else:
            validation = Sample(other, torch.from_numpy(rng.permutation(len(other.labels)))[:n_validation])
        train = Sample(pool, order[:share])
        test = Sample(self.pools["test"], torch.arange(len(self.pools["test"].labels)))
        for name, sample, wanted in (("training", train, n_train), ("validation", validation, n_validation)):
            if len(sample) < wanted:
                notes.append(f"{len(sample)} {name} images, not {wanted}")
        for name, sample in (("training", train), ("validation", validation), ("test", test)):
            if missing := sample.missing_classes():
                notes.append(f"not in the {name} sample: {', '.join(missing)}")
        return Draw(train, validation, test, tuple(notes))


def _parts(split: str | None) -> set[str]:
    """Names of the whole splits in "train", "train[:80%]" or "train+validation"."""
    return {part.partition("[")[0].strip() for part in split.split("+")} if split else set()
