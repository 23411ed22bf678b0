"""Options that several commands share: one group of options and one small dataclass for what belongs together.

A group's options have the names of its dataclass's fields, so that `taken` fills any of these dataclasses.
"""

import argparse
import math
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from hf_transferability.arguments import LARGEST_SEED, LARGEST_WHOLE
from hf_transferability.errors import UsageError, shown
from hf_transferability.files import FORMATS
from hf_transferability.names import BATCHES, DRAWS, POOLINGS, SCENARIOS, TASKS, VARIANTS

T = TypeVar("T")


@dataclass(frozen=True)
class MetricOptions:
    """Which metrics are computed, and in which form; the fields are those of `rank`."""

    scenario: str
    variant: str
    intervals: bool
    floor: bool
    cache_dir: str | None


@dataclass(frozen=True)
class OutputOptions:
    """Where a ranking goes: a form for stdout, and files or None."""

    format: str
    wide: bool
    output: str | None
    plot: str | None
    report: str | None

    @property
    def paths(self) -> list[str]:
        """The files to write."""
        return [path for path in (self.output, self.plot, self.report) if path]


def taken(kind: type[T], options: argparse.Namespace) -> T:
    """The dataclass that belongs to a group of options, filled from the parsed command line."""
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})  # type: ignore[arg-type]


def load_options(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of `checkpoints.options.LoadOptions` from the parsed command line."""
    from hf_transferability.checkpoints.options import LoadOptions, parse_model_args

    names = [field.name for field in fields(LoadOptions) if field.name != "token"]
    values = {name: getattr(options, name) for name in names}
    return values | {"model_args": parse_model_args(options.model_args)}


def dataset_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options of `data.options.SampleOptions` that say how a dataset is read, from the parsed command line."""
    from hf_transferability.data.options import SampleOptions

    return {name: getattr(options, name) for name in SampleOptions.reading_names()}


def add_metric_options(command: argparse.ArgumentParser, default: str) -> None:
    """Add the options of `MetricOptions`, and `--metric`."""
    command.add_argument(
        "--metric", action="append", dest="metrics", metavar="NAME",
        help=f"metric to compute, repeatable; rows are sorted by the first; 'all' for all (default: {default})",
    )  # fmt: skip
    command.add_argument(
        "--scenario", choices=("auto", *SCENARIOS), default="auto",
        help="for transferability: do candidates differ in source dataset or architecture (default: auto, which looks)",
    )  # fmt: skip
    command.add_argument(
        "--variant", choices=VARIANTS, default=VARIANTS[0],
        help="baselines in their correct form, or as in the paper's tables",
    )  # fmt: skip
    command.add_argument(
        "--no-intervals", action="store_false", dest="intervals",
        help="no 90%% intervals and tie groups: faster with many metrics",
    )  # fmt: skip
    command.add_argument("--floor", action="store_true", help="also each metric's highest value in five shuffles of the labels")
    command.add_argument(
        "--cache-dir", metavar="DIR", help="where arrays and scores are kept (default: the Hub's assets cache)"
    )


def add_output(command: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """Add the options of `OutputOptions`; returns the group, for more of its kind."""
    output = command.add_argument_group("output")
    output.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=f"on stdout (default: {FORMATS[0]})")
    output.add_argument("--wide", action="store_true", help="all columns in the table: also features, commit and seconds")
    output.add_argument("--output", metavar="FILE", help="also write the result to a .json, .csv or .parquet file")
    output.add_argument("--plot", metavar="FILE", help="also draw it, into a .png or .svg file (needs matplotlib)")
    output.add_argument(
        "--report", metavar="FILE", help="also write a page with table, pictures and what was run, .html (needs matplotlib)"
    )
    return output


def add_publishing(command: argparse.ArgumentParser, name: str) -> None:
    """Add the options for making a Space instead."""
    group = command.add_argument_group("publishing")
    group.add_argument("--publish", metavar=name, help="make this Space on the Hub, or bring it up to date, in one commit")
    group.add_argument(
        "--wheel", metavar="FILE", help="this package's wheel, which the Space runs (default: built from the checkout)"
    )
    group.add_argument("--private", action="store_true", help="make a new Space private")


def check_publishing(options: argparse.Namespace) -> None:
    """Refuse options for a Space where no Space is made.

    Raises:
        UsageError: --wheel or --private without --publish.
    """
    if (options.wheel or options.private) and not options.publish:
        raise UsageError("`--wheel` and `--private` need --publish. Add it, or leave them out.")


def add_dataset_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that say where a dataset's images and labels are."""
    group.add_argument("--config", metavar="NAME", help="configuration of the dataset")
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit of a Hub dataset")
    group.add_argument("--image-column", metavar="NAME", help="default: the only column of type Image")
    group.add_argument("--label-column", metavar="NAME", help="default: the only ClassLabel column, or one called label")
    group.add_argument(
        "--class-level", metavar="N", type=positive, help="folder level that names the classes; 1 is directly below the root"
    )
    group.add_argument("--label-separator", metavar="TEXT", help="what separates several labels in one text, such as '|'")
    group.add_argument(
        "--group-column", metavar="NAME",
        help="column of images that belong together (patient, study, slide): drawn in turn, never on both sides of a split",
    )  # fmt: skip
    group.add_argument("--task", choices=TASKS, help="kind of labels, where the column's type does not tell")
    group.add_argument(
        "--window",
        metavar="LOW,HIGH",
        type=window,
        help="values that become black and white in DICOM, NIfTI, 16-bit or float images",
    )
    group.add_argument("--frame", metavar="middle|N", type=frame, help="frame of files with several (default: the first)")
    group.add_argument("--slice", metavar="middle|N", type=frame, help="slice of NIfTI volumes (default: the middle)")
    group.add_argument(
        "--axis", type=int, choices=(0, 1, 2),
        help="axis of the slices: 0 left to right, 1 back to front, 2 feet to head (default: 2)",
    )  # fmt: skip
    group.add_argument("--max-pixels", metavar="N", type=positive, help="pixels of the largest image that is decoded")
    group.add_argument("--keep-masks", action="store_true", help="take masks beside their images (x_mask.png) as images, too")
    group.add_argument("--follow-links", action="store_true", help="read images through links that lead out of your folder")


def add_sample(group: argparse._ArgumentGroup) -> None:
    """Add the options of `data.options.SampleOptions`."""
    add_dataset_options(group)
    group.add_argument("--split", metavar="NAME", help="split or split expression (default: train; test only if you name it)")
    group.add_argument("--sample-size", metavar="N|all", type=sample_size, help="images to draw (default: 100 x classes)")
    group.add_argument("--draw", choices=DRAWS, default=DRAWS[0], help=f"default: {DRAWS[0]}, as in the paper")
    group.add_argument("--seed", type=seed, default=0, help="decides the draw and the order of the images (default: 0)")
    group.add_argument("--streaming", action="store_true", help="sample a dataset without downloading it whole")
    group.add_argument("--skip-corrupt", action="store_true", help="leave out images that cannot be decoded")


def add_extraction(group: argparse._ActionsContainer) -> None:
    """Add the options that say how arrays are extracted from a checkpoint."""
    add_loading(group)
    group.add_argument(
        "--batches", choices=BATCHES, default=BATCHES[0],
        help="gradient batches: the paper's, with its small remainder, or of equal size",
    )  # fmt: skip
    group.add_argument("--micro-batch", metavar="K", type=positive, help="images in memory at once (default: by measurement)")
    group.add_argument("--no-cache", action="store_false", dest="use_cache", help="extract everything again")


def add_loading(group: argparse._ActionsContainer) -> None:
    """Add the options of `checkpoints.options.LoadOptions`, without the token, which is read from the login."""
    group.add_argument(
        "--allow-pickle", action="store_true", help="read pickle weights (weights_only) where there are no safetensors"
    )
    group.add_argument("--trust-remote-code", action="store_true", help="run code from the checkpoints' repositories")
    group.add_argument("--processor", metavar="ID|FOLDER", help="checkpoint whose image processor is used instead")
    group.add_argument(
        "--pooling",
        choices=POOLINGS,
        default=POOLINGS[0],
        help="how tokens become one vector: native is the library's way, auto the authors' where known (default: auto)",
    )
    group.add_argument(
        "--model-args",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="argument of the network of a timm or OpenCLIP checkpoint; repeatable",
    )
    group.add_argument("--architecture", metavar="timm:NAME", help="network of a weights file without configuration")
    group.add_argument(
        "--image-size", metavar="PX", type=positive, help="side of the images; positions are interpolated (default: its own)"
    )


def parameters(text: str) -> list[tuple[str | None, int]]:
    """FILE=NUMBER, or numbers with commas between them; each as (file or None, number), which may end in k, M or B."""
    name, sign, number = text.rpartition("=")
    pieces = [number] if sign else text.split(",")
    return [(name if sign else None, _count(piece)) for piece in pieces]


def _count(text: str) -> int:
    factor = {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1:], 1)
    try:
        number = float(text if factor == 1 else text[:-1]) * factor
    except ValueError:
        number = 0.0
    if not 1 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be FILE=NUMBER or NUMBER,NUMBER,... such as 11.2M; got {text!r}")
    return round(number)


def parameter_count(text: str) -> int:
    """Read a number of parameters, such as 50M."""
    from hf_transferability.catalogue.filters import count

    try:
        return count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def frame(text: str) -> int | str:
    """Read a frame or slice: its number from 0, or "middle"."""
    if text != "middle" and not _is_whole(text, LARGEST_WHOLE):
        raise argparse.ArgumentTypeError(f"must be middle or a number from 0; got {text!r}")
    return text if text == "middle" else int(text)


def sample_size(text: str) -> int | str:
    """Read a number of images, or "all"."""
    return "all" if text == "all" else positive(text)


def seed(text: str) -> int:
    """Read a seed: 0 or more, of 32 bits."""
    if not _is_whole(text, LARGEST_SEED):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {LARGEST_SEED}; got {shown(text)}")
    return int(text)


def positive(text: str) -> int:
    """Read a count: 1 or more."""
    if not _is_whole(text, LARGEST_WHOLE) or int(text) < 1:
        most = f" up to {LARGEST_WHOLE}" if text.isdecimal() and int(text[:50]) else ""
        raise argparse.ArgumentTypeError(f"must be a positive whole number{most}; got {shown(text)}")
    return int(text)


def port(text: str) -> int:
    """Read a port: 1 to 65535."""
    if not _is_whole(text, 65535) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 65535; got {shown(text)}")
    return int(text)


def _is_whole(text: str, largest: int) -> bool:
    """Whether a text is a whole number in ASCII digits, at most so large."""
    return text.isascii() and text.isdigit() and len(text.lstrip("0")) <= len(str(largest)) and int(text) <= largest


def number(text: str) -> float:
    """Read a number: 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number, 0 or more; got {text!r}")
    return value


def window(text: str) -> tuple[float, float]:
    """Read two numbers LOW,HIGH."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be two numbers LOW,HIGH; got {text!r}") from None
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise argparse.ArgumentTypeError(f"must have LOW below HIGH; got {text!r}")
    return low, high
