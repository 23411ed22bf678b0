"""Every option of the sample in one place, so that a new one is added here and in one group of the command line."""

import math
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any

from hf_transferability.data.images import Decoding, Window
from hf_transferability.data.sampling import DRAWS
from hf_transferability.errors import UsageError, unknown_name
from hf_transferability.names import TASKS


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
        follow_links: read images through symbolic links that lead out of the user's own local folder.
    """

    config: str | None = None
    split: str | None = None
    revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    class_level: int | None = None
    label_separator: str | None = None
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
    follow_links: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and not _is_window(self.window):
            raise UsageError(
                f"`window` must be (low, high), finite, with low below high; got {self.window!r}. Pass --window LOW,HIGH."
            )
        if self.task is not None and self.task not in TASKS:
            raise UsageError(unknown_name("task", self.task, TASKS))
        if self.draw not in DRAWS:
            raise UsageError(unknown_name("draw", self.draw, DRAWS))
        for name in ("frame", "slice"):
            value = getattr(self, name)
            if value is not None and value != "middle" and not _is_count(value, 0):
                raise UsageError(f"`{name}` must be 'middle' or a number from 0; got {value!r}. The first is 0.")
        if self.axis is not None and not (_is_count(self.axis, 0) and self.axis <= 2):
            raise UsageError(f"`axis` must be 0, 1 or 2; got {self.axis!r}. The slices of axis 2 lie from feet to head.")
        if self.max_pixels is not None and not _is_count(self.max_pixels, 1):
            raise UsageError(
                f"`max_pixels` must be a positive whole number; got {self.max_pixels!r}. Leave it out for the default."
            )

    @property
    def decoding(self) -> Decoding:
        """How image files become pixels."""
        return Decoding(self.window, self.frame, self.max_pixels)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(option.name for option in fields(cls))

    def to_dict(self) -> dict[str, Any]:
        """Name -> value."""
        return asdict(self)


def _is_window(window: Any) -> bool:
    pair = isinstance(window, tuple | list) and len(window) == 2
    return pair and all(isinstance(end, Real) and math.isfinite(end) for end in window) and window[0] < window[1]


def _is_count(value: Any, smallest: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= smallest
