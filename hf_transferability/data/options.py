"""Every option of the sample in one place, so that a new one is added here and in one group of the command line."""

import math
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any

from hf_transferability import arguments
from hf_transferability.data.images import Decoding, Window
from hf_transferability.data.sampling import DRAWS
from hf_transferability.errors import UsageError, shown, unknown_name
from hf_transferability.names import TASKS

# Which of the dataset's images are drawn; the other options say how the dataset is read.
DRAWING = ("split", "sample_size", "draw", "seed", "streaming")


@dataclass(frozen=True)
class SampleOptions:
    """Which images and labels of a dataset are taken, and how.

    Attributes:
        config: the dataset's configuration, where it has several.
        split: any split expression of `datasets`; default "train", or the only split unless that is the test split.
        revision: branch, tag or commit of a Hub dataset.
        image_column: default the only column of type Image.
        label_column: default the only ClassLabel column, else a column called label, labels, target or class.
        class_level: folder level that names the classes, where folders are nested; 1 is directly below the root.
        label_separator: what separates several labels in one text, such as "|"; "" if each text is one label.
        group_column: column that says which images belong together (patient, study, slide); see `sampling.draw_sample`.
        task: "single_label", "multi_label" or "regression", where the column's type does not tell.
        sample_size: number of images, "all", or None for 100 x classes (1,000 for a regression target; 10,000 at most).
        draw: "random" or "stratified".
        seed: seed of the draw and the order.
        streaming: sample a dataset larger than the disk by a seeded reservoir.
        window: (low, high), the values that become black and white in images of more than 8 bits.
        frame: which frame of images that hold several: a number from 0, or "middle"; None for the first, with a flag.
        slice: which slice of NIfTI volumes: a number from 0, or "middle"; None for the middle, with a flag.
        axis: axis that slices are counted along: 0 from left to right, 1 from back to front, 2 from feet to head; None for 2.
        max_pixels: pixels of the largest image that is decoded; None for Pillow's own limit of about 89 million.
        keep_masks: take masks beside their images (x_mask.png beside x.png) as images; by default they are left out.
        follow_links: read images through symbolic links that lead out of the user's own local folder.
    """

    config: str | None = None
    split: str | None = None
    revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    class_level: int | None = None
    label_separator: str | None = None
    group_column: str | None = None
    task: str | None = None
    sample_size: int | str | None = None
    draw: str = "random"
    seed: int = 0
    streaming: bool = False
    window: Window | None = None
    frame: int | str | None = None
    slice: int | str | None = None
    axis: int | None = None
    max_pixels: int | None = None
    keep_masks: bool = False
    follow_links: bool = False

    def __post_init__(self) -> None:
        for name in ("config", "split", "revision", "image_column", "label_column", "label_separator", "group_column"):
            if getattr(self, name) is not None:
                arguments.text(name, getattr(self, name), empty=name == "label_separator")
        for name in ("streaming", "keep_masks", "follow_links"):
            arguments.flag(name, getattr(self, name))
        if self.class_level is not None:
            arguments.whole("class_level", self.class_level, 1)
        if self.sample_size is not None and not (isinstance(self.sample_size, str) and self.sample_size == "all"):
            arguments.whole("sample_size", self.sample_size, 1)
        arguments.whole("seed", self.seed, 0, arguments.LARGEST_SEED)
        if self.window is not None and not _is_window(self.window):
            raise UsageError(
                f"`window` must be (low, high), finite, with low below high; got {shown(self.window)}. Pass --window LOW,HIGH."
            )
        if self.task is not None and not _is_one_of(self.task, TASKS):
            raise UsageError(unknown_name("task", self.task, TASKS))
        if not _is_one_of(self.draw, DRAWS):
            raise UsageError(unknown_name("draw", self.draw, DRAWS))
        for name in ("frame", "slice"):
            value = getattr(self, name)
            if value is not None and not _is_one_of(value, ("middle",)) and not _is_count(value, 0):
                raise UsageError(f"`{name}` must be 'middle' or a number from 0; got {shown(value)}. The first is 0.")
        if self.axis is not None and not (_is_count(self.axis, 0) and self.axis <= 2):
            raise UsageError(f"`axis` must be 0, 1 or 2; got {shown(self.axis)}. The slices of axis 2 lie from feet to head.")
        if self.max_pixels is not None and not _is_count(self.max_pixels, 1):
            raise UsageError(
                f"`max_pixels` must be a positive whole number; got {shown(self.max_pixels)}. Leave it out for the default."
            )

    @property
    def decoding(self) -> Decoding:
        """How image files become pixels."""
        return Decoding(self.window, self.frame, self.max_pixels)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(option.name for option in fields(cls))

    @classmethod
    def reading_names(cls) -> tuple[str, ...]:
        """The names of the options that say how a dataset is read, not what is drawn from it."""
        return tuple(name for name in cls.names() if name not in DRAWING)

    def to_dict(self) -> dict[str, Any]:
        """Name -> value."""
        return asdict(self)


def _is_window(window: Any) -> bool:
    pair = isinstance(window, tuple | list) and len(window) == 2
    numbers = pair and all(isinstance(end, Real) and not isinstance(end, bool) and math.isfinite(end) for end in window)
    return numbers and window[0] < window[1]


def _is_count(value: Any, smallest: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and smallest <= int(value) <= arguments.LARGEST_WHOLE


def _is_one_of(value: Any, choices: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in choices
