"""What the page and the API do with a visitor's data: rank, show the example. Plain functions; Gradio only calls them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hf_transferability import files
from hf_transferability.benchmark.advice import NEXT
from hf_transferability.errors import UsageError, shown, unknown_name
from hf_transferability.escaping import markdown
from hf_transferability.metrics import all_metrics
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.registration import hub_folder
from hf_transferability.reporting import html
from hf_transferability.reporting.columns import count, flag_cells
from hf_transferability.reporting.terminal import flag_in_words, flag_meanings, scenario_in_words
from hf_transferability.results import label_alarm
from hf_transferability.signals import PROGRAM
from hf_transferability.space import limits, worker
from hf_transferability.space.texts import code

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

Document = dict[str, Any]
Tell = Callable[[str, float], None]  # called with what is being done, and the share that is done

# How the dataset is read: the options of `rank` that the page has; on one's own machine there are all.
READING = ("split", "image_column", "label_column", "group_column", "class_level", "window", "keep_masks")
_LONGEST_NAME = 200  # characters
_PLACE = re.compile(r"\[(\d+)/(\d+)\] |checkpoint (\d+) of (\d+)")
# Columns of the table for people, before and after those of the metrics: key of a row -> title.
_BEFORE = {
    "rank": "rank", "checkpoint": "checkpoint", "score": "score", "low": "90 % low", "high": "90 % high",
    "tie_group": "tie group", "first_share": "first share",
}  # fmt: skip
_AFTER = {
    "known_elsewhere": "known elsewhere", "parameters": "parameters", "licence": "licence", "flags": "flags", "error": "failed",
}  # fmt: skip


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


def summary(document: Document) -> str:
    """The sample, the notes and the flags of a ranking, as Markdown."""
    where, rows = document["dataset"], document["rows"]
    ranked = sum(row["score"] is not None for row in rows)
    lines = [f"**{ranked} of {len(rows)} candidates ranked by {document['metric']}**{scenario_in_words(document)}."]
    if where.get("images"):
        lines.append(f"Sample: {where['images']} images of {code(where['id'])}, seed {where.get('seed', 0)}.")
    if account := (where.get("account") or {}).get("line"):
        lines.append(f"Data: {code(account)}")
    alarm = label_alarm(document)
    lines[:0] = [f"**{_note(note)}**" for note in alarm]
    lines += [_note(note) for note in document["notes"] if note not in alarm]
    lines += [f"Flag {code(flag_in_words(flag))}: {markdown.line(meaning)}." for flag, meaning in flag_meanings(rows)]
    lines += [f"Failed: {code(row['checkpoint'])}: {code(row['error'])}" for row in rows if row["error"]]
    return "\n\n".join(lines)


def table(document: Document) -> "Styler":
    """The rows for people: numbers as numbers, so that they sort, shown in short; columns without a value are left out."""
    import pandas as pd

    rows = []
    for row, flags in zip(document["rows"], flag_cells(document["rows"]), strict=True):
        low, high = row.get("interval") or (None, None)
        shown = {**row, "low": low, "high": high, "flags": flags}
        cells = {title: shown.get(name) for name, title in _BEFORE.items()}
        cells |= {title: row.get(name) for name, title in _metric_titles(document).items()}
        rows.append(cells | {title: shown.get(name) for name, title in _AFTER.items()})
    frame = pd.DataFrame(rows)
    frame = frame.loc[:, [column for column in frame if frame[column].notna().any() and (frame[column] != "").any()]]
    return frame.style.format(_cell_formats(frame), na_rep="")


def _cell_formats(frame: "pd.DataFrame") -> dict[str, Any]:
    """How each column of numbers is shown: sizes such as 11.7M, shares in percent, scores with three decimals."""
    formats: dict[str, Any] = {str(title): "{:.3f}" for title in frame.select_dtypes("number")}
    formats |= {"rank": "{:g}", "tie group": "{:g}", "first share": "{:.0%}", "known elsewhere": "{:.2f}"}
    formats["parameters"] = lambda size: count(int(size))
    return {title: form for title, form in formats.items() if title in frame}


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


def _note(text: str) -> str:
    """A note as a paragraph of Markdown; the command that it ends with is a block of its own, which can be copied."""
    words, program, command = text.partition(PROGRAM) if text.startswith(NEXT) else (text, "", "")
    block = f"\n\n```sh\n{' '.join((program + command).split())}\n```" if program else ""
    return markdown.line(words[0].upper() + words[1:].rstrip()) + block


def _metric_titles(document: Document) -> dict[str, str]:
    """The metrics of a ranking beside the one that it is sorted by, with what tables call them."""
    metrics = all_metrics()
    return {name: metrics[name].label for name in document["rows"][0] if name in metrics and name != document["metric"]}
