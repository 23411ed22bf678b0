"""What the page and the API do with a visitor's data: rank, show the example. Plain functions; Gradio only calls them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hf_transferability import files
from hf_transferability.errors import UsageError, shown, unknown_name
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.registration import hub_folder
from hf_transferability.reporting import html
from hf_transferability.space import limits, worker

Document = dict[str, Any]
Tell = Callable[[str, float], None]  # called with what is being done, and the share that is done

# How the dataset is read: the options of `rank` that the page has; on one's own machine there are all.
READING = ("split", "image_column", "label_column", "group_column", "class_level", "window", "keep_masks")
_LONGEST_NAME = 200  # characters
_PLACE = re.compile(r"\[(\d+)/(\d+)\] |checkpoint (\d+) of (\d+)")


def rank_checkpoints(
    dataset: str,
    checkpoints: Sequence[str],
    sample_size: int = 200,
    scenario: str = "auto",
    metric: str = DEFAULT_METRICS[0],
    reading: Mapping[str, str | float | None] = MappingProxyType({}),
    tell: Tell = lambda text, share: None,
    visitor: str = "",
) -> Document:
    """Rank checkpoints of the Hub for a dataset of the Hub; see `space.limits` for how large a request may be.

    Args:
        dataset, checkpoints: Hub ids.
        sample_size: images to draw.
        scenario, metric: as of `rank`.
        reading: name (one of READING) -> value, as on the command line; empty values are left out.
        tell: gets the progress.
        visitor: whose work it is.

    Raises:
        UsageError: a bound is exceeded, or a name or the dataset is wrong.
        TransferabilityError: the work failed or took too long.
    """
    names = [name.strip() for name in checkpoints if name.strip()]
    tell("looking at the repositories", 0.0)
    limits.check_request(dataset.strip(), names, sample_size)
    words = ["rank", "--scenario", scenario, "--sample-size", str(sample_size)]
    words += [] if metric == DEFAULT_METRICS[0] else ["--metric", metric]  # without it the table has more columns
    words += _reading_words(reading)
    return _done(worker.run(words, [dataset.strip(), *names], visitor=visitor), tell)


def rank_files(
    paths: Sequence[str],
    scenario: str = "auto",
    metric: str = "all",
    tell: Tell = lambda text, share: None,
    visitor: str = "",
) -> Document:
    """Rank files of features. The files are removed in any case.

    Raises:
        UsageError: a bound is exceeded, or files cannot be read or do not fit together.
        TransferabilityError: the work failed or took too long.
    """
    try:
        limits.check_files(paths)
        words = ["score", "--scenario", scenario]
        words += [] if metric in ("all", DEFAULT_METRICS[0]) else ["--metric", metric]
        return _done(worker.run(words, [], paths, visitor=visitor), tell)
    finally:
        for path in paths:
            Path(path).unlink(missing_ok=True)


def run_demo(tell: Tell = lambda text, share: None, visitor: str = "") -> Document:
    """Make the demo's target and checkpoints, and rank them; needs no network.

    Raises:
        TransferabilityError: the work failed or took too long.
    """
    return _done(worker.run(["demo", "--keep", "demo"], [], visitor=visitor), tell)


def example() -> Document:
    """The bundled ranking, written by `hf-transferability demo`."""
    document: Document = json.loads(Path(hub_folder("space"), "example.json").read_text("utf-8"))
    return document


def write_files(document: Document, folder: str | Path) -> list[str]:
    """The ranking as JSON, CSV and a page, for download."""
    paths = [Path(folder, f"ranking{ending}") for ending in (".json", ".csv", ".html")]
    for path in paths[:2]:
        files.save(document, path)
    html.save(document, paths[2])
    return [str(path) for path in paths]


def _reading_words(reading: Mapping[str, str | float | None]) -> list[str]:
    """Options of the command line; a value is part of its word, so that none can be taken for an option.

    Raises:
        UsageError: an unknown option, or a text that is too long or cannot be printed.
    """
    if unknown := set(reading) - set(READING):
        raise UsageError(unknown_name("option", min(unknown), READING))
    words = []
    for name, value in reading.items():
        if isinstance(value, bool):
            words += [f"--{name.replace('_', '-')}"] if value else []
            continue
        text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value).strip()
        if len(text) > _LONGEST_NAME or not text.isprintable():
            raise UsageError(f"`{name}` must be one line of at most {_LONGEST_NAME} characters; got {shown(text)}. Shorten it.")
        if text and (name, text) != ("class_level", "0"):
            words.append(f"--{name.replace('_', '-')}={text}")
    return words


def _done(lines: Iterator[str | Document], tell: Tell) -> Document:
    """The document that the worker yields after its lines of progress."""
    share = 0.0
    for line in lines:
        if isinstance(line, dict):
            return line
        if place := _PLACE.search(line):
            number, total = (int(group) for group in place.groups() if group)
            share = (number - 1) / total
        tell(line, share)
    raise AssertionError("the worker ends with a document or an error")
