"""What fine-tuning runs differ in (`Setting`, from a grid) and what all runs of a grid have in common."""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hf_transferability import arguments
from hf_transferability.errors import UsageError, shown
from hf_transferability.metrics.transferability import SCENARIOS

GRIDS = ("small", "paper")
LARGEST_GRID = 100_000  # settings; more would take years
LARGEST_SIDE = 8192  # pixels of a training image
LARGEST_RATE = 1e38  # of learning rates and weight decays, which are computed with in float32
OWN = "each network's own"  # image size and normalisation in protocol.json
DTYPE = "float32"  # of weights, optimiser and images, whatever the type of the stored weights


class Setting(NamedTuple):
    """Hyperparameters of one run.

    Attributes:
        batch_size: images per step.
        learning_rate: learning rate of the first epoch; a cosine lowers it to 0 in the last.
        momentum: momentum of SGD; above 0 it is Nesterov's.
        weight_decay: weight decay of SGD.
    """

    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float


@dataclass(frozen=True)
class Protocol:
    """How every run of a grid is made, whatever its setting.

    Attributes:
        image_size: side of the square images in pixels; None for each network's own size.
        epochs: maximum number of epochs.
        patience: epochs without a better validation AUC (or an equal one with a lower loss) after which training stops.
        train_per_class, validation_per_class: images per class on average; see `samples.Splits.draw`.
        dropout: probability before the head, at least 0 and less than 1.
        augment: train on random views of the images.
        sample_seed: seed of the training and validation images. All runs use the same images, as in the paper: validation
            losses on different images could not be compared, and the easiest images would get the lowest.

    Raises:
        UsageError: a dropout outside its range.
    """

    image_size: int | None = None
    epochs: int = 200
    patience: int = 50
    train_per_class: int = 100
    validation_per_class: int = 25
    dropout: float = 0.5
    augment: bool = True
    sample_seed: int = 0

    def __post_init__(self) -> None:
        if self.image_size is not None:
            arguments.whole("image_size", self.image_size, 1, LARGEST_SIDE)
        for name in ("epochs", "patience", "train_per_class", "validation_per_class"):
            arguments.whole(name, getattr(self, name), 1)
        arguments.whole("sample_seed", self.sample_seed, 0, arguments.LARGEST_SEED)
        arguments.flag("augment", self.augment)
        arguments.number("dropout", self.dropout)
        if not 0 <= self.dropout < 1:
            raise UsageError(
                f"`dropout` must be at least 0 and less than 1; got {self.dropout:g}. Choose another, 0.5 for example."
            )


@dataclass(frozen=True)
class SplitNames:
    """Names of the splits of a target dataset; without a validation split, its images are drawn from training."""

    train: str = "train"
    validation: str | None = None
    test: str = "test"


@dataclass(frozen=True)
class RowLabels:
    """How the rows of a grid are labelled.

    Attributes:
        benchmark: set of results that the rows belong to.
        scenario: what differs between the checkpoints: "source_dataset" or "architecture".

    Raises:
        UsageError: another scenario.
    """

    benchmark: str = "own"
    scenario: str = "source_dataset"

    def __post_init__(self) -> None:
        arguments.text("benchmark", self.benchmark)
        if not isinstance(self.scenario, str) or self.scenario not in SCENARIOS:
            raise UsageError(f"`scenario` must be one of {', '.join(SCENARIOS)}; got {self.scenario!r}. Choose one of these.")


def grid_settings(grid: str | Path, n_classes: int) -> list[Setting]:
    """The hyperparameters to try.

    Args:
        grid: "small" (6 settings), "paper" (120: two batch sizes that grow with the classes, six learning rates, with and
            without momentum, five weight decays), or a .json file: {"batch_size": [...], "learning_rate": [...], "momentum":
            [...], "weight_decay": [...]} for all combinations, or a list of single settings {"batch_size": 32, ...}.
        n_classes: number of classes of the target.

    Raises:
        UsageError: an unknown grid, or a file with other content; a batch needs two images, as training skips single ones.
    """
    arguments.text("grid", grid, path=True)
    if grid == "small":
        return [Setting(32, rate, 0.9, decay) for rate, decay in itertools.product((1e-3, 1e-2, 1e-1), (0.0, 1e-3))]
    if grid == "paper":
        # The published grids took 32 and 64 images for 2 classes, 64 and 128 for 4 and 5, and so on to 256 and 512 for 14.
        smaller = 2 ** round(math.log2(16 * n_classes))
        rates, decays = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
        combinations = itertools.product((smaller, 2 * smaller), rates, (0.0, 0.9), decays)
        return [Setting(int(size), *others) for size, *others in combinations]
    path = Path(grid)
    if path.suffix != ".json":
        raise UsageError(f"`grid` must be {', '.join(GRIDS)} or a .json file; got {str(grid)!r}. Choose one of these.")
    try:
        values = _settings_from(json.loads(_read(path)))
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"`grid` must be a file with values of {', '.join(Setting._fields)}; {grid} has other content: {error}. "
            'Correct it, for example to {"batch_size": [32], "learning_rate": [0.01, 0.1], "momentum": [0.9], '
            '"weight_decay": [0]}.'
        ) from error
    if not values or len(set(values)) < len(values):
        raise UsageError(f"`grid` must hold one or more different settings; got {len(values)}. Correct {grid}.")
    return values


def _read(path: Path) -> str:
    """The text of a regular file; a pipe or a device may never end."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    return path.read_text("utf-8")


def _settings_from(content: Any) -> list[Setting]:
    """The settings in a parsed .json file: all combinations of a mapping of lists, or a list of single settings."""
    if isinstance(content, dict):
        if unknown := [name for name in content if name not in Setting._fields]:
            raise ValueError(f"unknown {', '.join(unknown)}")
        count = math.prod(len(content[name]) for name in Setting._fields)
        if count > LARGEST_GRID:
            raise ValueError(f"{count} settings, more than {LARGEST_GRID}")
        combinations = itertools.product(*(content[name] for name in Setting._fields))
        values = [Setting(*combination) for combination in combinations]
    else:
        values = [Setting(**setting) for setting in content]
    for setting in values:
        _check_setting(setting)
    return values


def _check_setting(setting: Setting) -> None:
    if isinstance(setting.batch_size, bool) or not isinstance(setting.batch_size, int):
        raise ValueError(f"batch_size must be a whole number, got {shown(setting.batch_size)}")
    if not 2 <= setting.batch_size <= arguments.LARGEST_WHOLE:
        raise ValueError(f"batch_size must be from 2 to {arguments.LARGEST_WHOLE}, got {shown(setting.batch_size)}")
    for name in Setting._fields[1:]:
        arguments.number(name, getattr(setting, name), 0, LARGEST_RATE)
    if not (setting.learning_rate > 0 and all(map(math.isfinite, setting))):  # rows cannot hold infinite numbers
        raise ValueError(f"{setting}")
    if not (0 <= setting.momentum < 1 and setting.weight_decay >= 0):
        raise ValueError(f"{setting}")
