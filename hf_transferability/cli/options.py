"""Options that several commands share, and the types of their values."""

import argparse

from hf_transferability.errors import UsageError


def add_metric_options(command: argparse.ArgumentParser, default: str) -> None:
    """Which metrics, in which form."""
    command.add_argument(
        "--metric", action="append", dest="metrics", metavar="NAME",
        help=f"metric to compute, repeatable; rows are sorted by the first; 'all' for all (default: {default})",
    )  # fmt: skip
    command.add_argument(
        "--scenario", choices=("auto", "source_dataset", "architecture"), default="auto",
        help="for transferability: do candidates differ in source dataset or architecture (default: auto, which looks)",
    )  # fmt: skip
    command.add_argument(
        "--variant", choices=("default", "published"), default="default",
        help="baselines in their correct form, or as in the paper's tables",
    )  # fmt: skip
    command.add_argument(
        "--no-intervals",
        action="store_true",
        help="no 90%% intervals and tie groups: faster with many metrics",
    )
    command.add_argument("--floor", action="store_true", help="also each metric's highest value in five shuffles of the labels")
    command.add_argument(
        "--cache-dir", metavar="DIR", help="where arrays and scores are kept (default: the Hub's assets cache)"
    )


def add_output(command: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """Where the ranking goes; returns the group, for more of its kind."""
    output = command.add_argument_group("output")
    output.add_argument("--format", choices=("table", "json", "csv"), default="table", help="on stdout (default: table)")
    output.add_argument("--output", metavar="FILE", help="also write the result to a .json, .csv or .parquet file")
    output.add_argument("--plot", metavar="FILE", help="also draw it, into a .png or .svg file (needs matplotlib)")
    output.add_argument(
        "--report", metavar="FILE", help="also write a page with table, pictures and what was run, .html (needs matplotlib)"
    )
    return output


def add_publishing(command: argparse.ArgumentParser, name: str) -> None:
    """A Space to make instead."""
    group = command.add_argument_group("publishing")
    group.add_argument("--publish", metavar=name, help="make this Space on the Hub, or bring it up to date, in one commit")
    group.add_argument(
        "--wheel", metavar="FILE", help="this package's wheel, which the Space runs (default: built from the checkout)"
    )
    group.add_argument("--private", action="store_true", help="make a new Space private")


def check_publishing(options: argparse.Namespace) -> None:
    """Refuse what only a Space can use.

    Raises:
        UsageError: there is none to make.
    """
    if (options.wheel or options.private) and not options.publish:
        raise UsageError("`--wheel` and `--private` are for a Space; got no --publish. Add it, or leave them out.")


def add_dataset_options(group: argparse._ArgumentGroup) -> None:
    """Where the images and labels are in a dataset."""
    group.add_argument("--config", metavar="NAME", help="configuration of the dataset")
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit of a Hub dataset")
    group.add_argument("--image-column", metavar="NAME", help="default: the only column of type Image")
    group.add_argument("--label-column", metavar="NAME", help="default: the only ClassLabel column, or one called label")
    group.add_argument(
        "--window", metavar="LOW,HIGH", type=window, help="values that become black and white in 16-bit or float images"
    )


def add_image_size(group: argparse._ActionsContainer) -> None:
    """The size of the images that a network is trained on."""
    group.add_argument("--image-size", metavar="PX", type=positive, default=224, help="side of the images (default: 224)")


def add_trust(group: argparse._ActionsContainer) -> None:
    """What is not done to load a checkpoint unless the user says so."""
    group.add_argument(
        "--allow-pickle", action="store_true", help="read pickle weights (weights_only) where there are no safetensors"
    )
    group.add_argument("--trust-remote-code", action="store_true", help="run code from the checkpoints' repositories")


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


def sample_size(text: str) -> int | str:
    """A number of images, or "all"."""
    return "all" if text == "all" else positive(text)


def seed(text: str) -> int:
    """A seed: 0 or more."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be 0 or a positive whole number; got {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A number of things: 1 or more."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive whole number; got {text!r}")
    return int(text)


def port(text: str) -> int:
    """A port: 1 to 65535."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 65535; got {text!r}")
    return int(text)


def number(text: str) -> float:
    """A number: 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number, 0 or more; got {text!r}")
    return value


def window(text: str) -> tuple[float, float]:
    """Two numbers LOW,HIGH."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be two numbers LOW,HIGH; got {text!r}") from None
    if not low < high:
        raise argparse.ArgumentTypeError(f"must have LOW below HIGH; got {text!r}")
    return low, high
