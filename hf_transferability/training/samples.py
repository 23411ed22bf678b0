"""Labelled images for training: the splits of a dataset at one size, and random samples of them."""

import hashlib
import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from torchvision.transforms.v2 import functional

from hf_transferability.data.duplicates import Origins, perceptual_hash
from hf_transferability.data.frames import remedy
from hf_transferability.data.groups import shared_groups
from hf_transferability.data.images import MEMORY_BUDGET
from hf_transferability.data.sampling import in_turn
from hf_transferability.data.targets import Target, load_target, split_names
from hf_transferability.data.test_split import full_splits
from hf_transferability.errors import TargetError, UsageError
from hf_transferability.names import plain_name
from hf_transferability.training.settings import SplitNames

_VALIDATION = ("validation", "val", "valid", "dev")
_ROLES = ("training", "validation", "test")
_CHUNK = 256  # images that are decoded at once for their hashes


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
        self._resized: dict[tuple[int, int], Pool] = {}  # the last used one last

    def at(self, size: tuple[int, int]) -> "Pool":
        """The same images at another size. Sizes are remembered with their pixels as long as all fit the memory budget, those
        that were used last before others, so that networks of several sizes may take turns."""
        if size == self.size:
            return self
        pool = self._resized.pop(size, None) or Pool(self.target, size, self.classes)
        self._resized[size] = pool
        free = MEMORY_BUDGET - pool._bytes() - (self._bytes() if self._pixels is not None else 0)
        for earlier in list(self._resized)[-2::-1]:
            needed = self._resized[earlier]._bytes()
            if needed <= free:
                free -= needed
            else:
                del self._resized[earlier]
        return pool

    def _bytes(self) -> int:
        """Bytes of its pixels in memory, once they are decoded; 0 where they are too many to be kept."""
        size = len(self.target) * 3 * math.prod(self.size)
        return size if size <= MEMORY_BUDGET else 0

    def pixels(self, positions: torch.Tensor) -> torch.Tensor:
        """Images uint8 [n, 3, height, width].

        Raises:
            TargetError: an image cannot be decoded.
        """
        if self._pixels is None and self._bytes():
            self._pixels = torch.empty((len(self.target), 3, *self.size), dtype=torch.uint8)
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
            row = f"{self.target.named(position)} (counted from 0) of split {self.target.provenance['split']}"
            name, what_to_do = plain_name(self.target.provenance["id"]), remedy(str(error)) or "Repair or remove it."
            raise TargetError(f"{row} of {name} cannot be decoded: {error}. {what_to_do}") from error
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

    @property
    def n_groups(self) -> int:
        """Number of groups that its images are of; 0 without a group column."""
        names = self.pool.target.group_names
        return len({names[position] for position in self.positions.tolist()}) if names else 0

    def hashes(self) -> np.ndarray:
        """Perceptual hashes of the resized images; see `data.duplicates`.

        Raises:
            TargetError: an image cannot be decoded.
        """
        parts = [self.pixels(places) for places in torch.arange(len(self)).split(_CHUNK)]
        return np.stack([perceptual_hash(image.permute(1, 2, 0).numpy()) for part in parts for image in part])

    @property
    def origins(self) -> Origins:
        """The row and file of every image, in the order of the sample."""
        target, positions = self.pool.target, self.positions.tolist()
        files = [target.files[i] for i in positions] if target.files else []
        return Origins([target.positions[i] for i in positions], files)

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

        def resized(sample: Sample) -> Sample:
            return replace(sample, pool=sample.pool.at(size))

        return Draw(resized(self.train), resized(self.validation), resized(self.test), self.notes)

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
        UsageError: no training or test split, one split in two roles, a test split that shares groups with another, a
            regression target, or an option that `load_target` refuses.
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
        _refuse_shared_groups(targets)
        self._shared_with_validation = _shared_with_validation(targets)
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
                paper. With a group column, one image of every group is drawn before a second of any.

        Returns:
            The samples. If images are too few, or a class is missing from a sample, the notes say so.

        Raises:
            UsageError: no image is left for training or for validation.
        """
        rng = np.random.default_rng(seed)
        pool = self.pools["train"]
        order = _grouped_order(pool, rng)
        n_train, n_validation = (per_class * len(self.classes) for per_class in (train_per_class, validation_per_class))
        n_available = n_train
        notes = []
        if (validation_pool := self.pools.get("validation")) is None:
            notes.append("no validation split: drawn from training")
            if pool.target.groups is not None:
                held_out = _groups_held_out(pool, n_validation / (n_train + n_validation), seed)[order]
                validation, order = Sample(pool, order[held_out][:n_validation]), order[~held_out]
            else:
                if len(order) < n_train + n_validation:
                    n_available = len(order) * n_train // (n_train + n_validation)
                validation = Sample(pool, order[n_available : n_available + n_validation])
        else:
            validation = Sample(validation_pool, _grouped_order(validation_pool, rng)[:n_validation])
        train = Sample(pool, order[:n_available])
        for name, sample in (("train", train), ("validation", validation)):
            if not len(sample):
                raise UsageError(f"`{name}_per_class` leaves no {name} images of {len(order)}. Ask for fewer of the others.")
        test = Sample(self.pools["test"], torch.arange(len(self.pools["test"].labels)))
        for name, sample, requested in (("training", train, n_train), ("validation", validation, n_validation)):
            if len(sample) < requested:
                notes.append(f"{len(sample)} {name} images, not {requested}")
        if column := self.provenance.get("group_column"):
            counts = [f"{part.n_groups} in {name}" for name, part in zip(_ROLES, (train, validation, test), strict=True)]
            notes.append(f"groups ({column}): {', '.join(counts)}")
            notes += self._shared_with_validation
        for name, sample in zip(_ROLES, (train, validation, test), strict=True):
            if missing := sample.missing_classes():
                notes.append(f"not in the {name} sample: {', '.join(missing)}")
        return Draw(train, validation, test, tuple(notes))


def _grouped_order(pool: Pool, rng: np.random.Generator) -> torch.Tensor:
    """Positions of a pool's images in random order, and with a group column one of every group before a second of any."""
    order = rng.permutation(len(pool.labels))
    groups = pool.target.groups
    return torch.from_numpy(order if groups is None else order[in_turn(groups[order], len(order))])


def _groups_held_out(pool: Pool, share: float, seed: int) -> torch.Tensor:
    """Which images are of the groups that validation is drawn from, bool [n_images]: whole groups, about a share of the images.

    Of the folds whose classes are like those of all images, the one whose size is nearest to the share.
    """
    groups, labels = pool.target.groups, pool.labels.numpy()
    n_folds = int(np.clip(round(1 / share), 2, pool.target.provenance["groups"]))
    kind = GroupKFold if labels.ndim == 2 else StratifiedGroupKFold
    n_folds = n_folds if labels.ndim == 2 else int(min(n_folds, np.bincount(labels).max()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of fewer groups than folds: its absence is noted later
        folds = [part for _, part in kind(n_folds, shuffle=True, random_state=seed).split(labels, labels, groups)]
    chosen = min(folds, key=lambda part: (len(part) == 0, abs(len(part) / len(labels) - share)))
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    held_out[torch.from_numpy(chosen)] = True
    return held_out


def _refuse_shared_groups(targets: Mapping[str, Target]) -> None:
    """Refuse a test split with groups (patients) of the training or validation split, on whom a network is not tested.

    Raises:
        UsageError: how many groups and images are shared.
    """
    for role in ("train", "validation"):
        if role not in targets:
            continue
        groups, images = shared_groups(targets[role].group_names, targets["test"].group_names)
        if groups:
            column = targets["test"].provenance["group_column"]
            raise UsageError(
                f"`test_split` must not share groups with `{role}_split`: {groups} of {column} are in both, with {images} of "
                f"{len(targets['test'])} test images. Move each group into one split."
            )


def _shared_with_validation(targets: Mapping[str, Target]) -> list[str]:
    """A note on groups that a validation split of the dataset's own shares with training; they make its figures too good."""
    if "validation" not in targets:
        return []
    groups, images = shared_groups(targets["train"].group_names, targets["validation"].group_names)
    return [f"training and validation share {groups} groups ({images} validation images)"] if groups else []


def _split_of_role(dataset: Any, names: SplitNames, options: dict[str, Any]) -> dict[str, str]:
    """The split for each of the roles train, validation (if there is one) and test.

    Raises:
        UsageError: a split that does not exist, or one split in two roles.
    """
    known = split_names(dataset, **options)
    for role, name in (("train", names.train), ("test", names.test)):
        if name not in known:
            made = f", or make folders train/CLASS and {name}/CLASS" if name == "test" else ""
            raise UsageError(f"`{role}_split` must be one of {', '.join(known)}; got {name!r}. Pass --{role}-split NAME{made}.")
    candidates = (name for name in _VALIDATION if name in known and name not in (names.train, names.test))
    validation = names.validation or next(candidates, None)
    splits = {"train": names.train, "validation": validation, "test": names.test}
    for (first_role, first), (second_role, second) in itertools.combinations(splits.items(), 2):
        if shared := full_splits(first) & full_splits(second):
            raise UsageError(
                f"`{first_role}_split` and `{second_role}_split` must be different splits; both take images of "
                f"{', '.join(sorted(shared))}. Pass another --{second_role}-split."
            )
    return {role: name for role, name in splits.items() if name}
