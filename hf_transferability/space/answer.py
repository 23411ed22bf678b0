"""A ranking for the visitors of the page: what it says in words, its table, and what the table's words mean."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark.advice import FIRST, NEXT
from hf_transferability.escaping import markdown
from hf_transferability.metrics import all_metrics
from hf_transferability.reporting.columns import READING, common_flags, count, decimals, flag_cells
from hf_transferability.reporting.explanations import FLAG_WORDS
from hf_transferability.reporting.terminal import flag_meanings, scenario_sentence
from hf_transferability.results import Row, label_alarm
from hf_transferability.signals import PROGRAM
from hf_transferability.space.texts import code

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

Document = Mapping[str, Any]

# Columns of the table in this order, those of the metrics after them: key of a row -> title. What a visitor decides by comes
# first, as a screen may end before the metrics.
_FIRST = {
    "rank": "rank", "checkpoint": "checkpoint", "score": "score", "range": "90% interval", "tie_group": "tie group",
    "first_share": "first share", "flags": "flags", "parameters": "parameters", "licence": "licence",
    "known_elsewhere": "known elsewhere (targets)",
}  # fmt: skip
_FAILED = "failed"
_WIDTHS = {
    "rank": 64, "checkpoint": 190, "score": 84, "90% interval": 128, "tie group": 76, "first share": 76, "parameters": 110,
    "licence": 120, "flags": 120, "known elsewhere (targets)": 110, _FAILED: 320,
}  # fmt: skip
_METRIC_WIDTH = 130
_CLASSES = 12  # that are named
_LINE = 76  # characters


def summary(document: Document) -> str:
    """What was ranked on which data, the notes and what to do next, as Markdown."""
    where, rows = document["dataset"], document["rows"]
    ranked = sum(row["score"] is not None for row in rows)
    metric = all_metrics()[document["metric"]].label if document["metric"] in all_metrics() else document["metric"]
    lines = [
        f"**{ranked} of {len(rows)} candidates ranked by {markdown.text(metric)}.** {scenario_sentence(document)}".rstrip()
    ]
    if where.get("images"):
        lines.append(f"Ranked on {where['images']} images of {code(where['id'])}, drawn with seed {where.get('seed', 0)}.")
    if account := where.get("account"):
        lines.append(f"**Data**: {markdown.text(_data(account))}")
    alarm = label_alarm(document)
    lines[:0] = [f"**{_note(note)}**" for note in alarm]
    lines += [_note(note) for note in document["notes"] if note not in alarm]
    lines += [f"Failed: {code(row['checkpoint'])}: {code(row['error'])}" for row in rows if row["error"]]
    return "\n\n".join(lines)


def legend(document: Document) -> str:
    """What the titles of the table and each flag in it mean, as Markdown."""
    rows = document["rows"]
    titles = set(_frame(document).columns)
    entries = [f"**{title}**: {text}" for title, text in READING.items() if title in titles]
    metrics = all_metrics()
    names = [name for name in (document["metric"], *_metric_titles(document)) if name in metrics]
    entries += [f"**{metrics[name].label}**: {markdown.line(_begun(metrics[name].summary))}" for name in names]
    common = common_flags(rows)
    for flag, meaning in flag_meanings(rows):
        shared = " (all candidates)" if flag in common else ""
        entries.append(f"Flag **{markdown.text(FLAG_WORDS.get(flag, flag))}**{shared}: {markdown.text(meaning)}.")
    return "\n".join(f"- {entry}" for entry in entries)


def table(document: Document) -> "Styler":
    """The rows for people: numbers as numbers, so that they sort, shown in short; columns without a value are left out."""
    frame = _frame(document)
    return frame.style.format(_cell_formats(document, frame), na_rep="")


def widths(document: Document) -> list[str | int]:
    """The width in pixels of each column of the table."""
    return [_WIDTHS.get(title, _METRIC_WIDTH) for title in _frame(document).columns]


def _frame(document: Document) -> "pd.DataFrame":
    import pandas as pd

    rows: Sequence[Row] = document["rows"]
    digits = decimals([row["score"] for row in rows if row["score"] is not None], [row.get("interval") for row in rows])
    cells = []
    for row, flags in zip(rows, flag_cells(rows), strict=True):
        ends = row.get("interval")
        known = row.get("known_elsewhere")
        shown = {**row, "flags": flags, "range": " to ".join(_number(end, digits) for end in ends) if ends else None}
        shown["known_elsewhere"] = None if known is None else f"{known:.2f} ({row['known_targets']})"
        line = {title: shown.get(name) for name, title in _FIRST.items()}
        line |= {title: row.get(name) for name, title in _metric_titles(document).items()}
        cells.append(line | {_FAILED: row["error"]})
    frame = pd.DataFrame(cells)
    return frame.loc[:, [column for column in frame if frame[column].notna().any() and (frame[column] != "").any()]]


def _cell_formats(document: Document, frame: "pd.DataFrame") -> dict[str, Any]:
    """How each column of numbers is shown: sizes such as 11.7M, shares in percent, metrics with the digits they deserve."""
    rows = document["rows"]
    formats: dict[str, Any] = {}
    for name, title in {"score": "score", **_metric_titles(document)}.items():
        values = [row[name] for row in rows if row.get(name) is not None]
        ends = [row.get("interval") if name == "score" else (row.get("intervals") or {}).get(name) for row in rows]
        formats[title] = _with_digits(decimals(values, ends))
    formats |= {"rank": "{:g}", "tie group": "{:g}", "first share": "{:.0%}"}
    formats["parameters"] = lambda size: count(int(size))
    return {title: form for title, form in formats.items() if title in frame}


def _with_digits(digits: int | None) -> Callable[[float], str]:
    return lambda value: _number(value, digits)


def _number(value: float, digits: int | None) -> str:
    return f"{value:.3g}" if digits is None else f"{round(value, digits) + 0:.{digits}f}"  # + 0: no -0.00


def _metric_titles(document: Document) -> dict[str, str]:
    """The metrics of a ranking beside the one that it is sorted by, with what tables call them."""
    metrics = all_metrics()
    return {name: metrics[name].label for name in document["rows"][0] if name in metrics and name != document["metric"]}


def _data(account: Mapping[str, Any]) -> str:
    """The account of a dataset: its splits, the images of each class, and what was left out."""
    if "rows" not in account:  # of a version that recorded the line alone
        return str(account.get("line", ""))
    return " ".join(_data_sentences(account))


def _data_sentences(account: Mapping[str, Any]) -> Iterator[str]:
    sizes = [f"{name} ({n} images)" if n >= 0 else f"{name} (of unknown size)" for name, n in account["rows"].items()]
    used = f", of which {account['split']} is used" if account.get("split") and len(sizes) > 1 else ""
    yield f"split{'s' * (len(sizes) > 1)} {', '.join(sizes)}{used}."
    if classes := account.get("classes"):
        shown = [f"{name}: {n} images" for name, n in list(classes.items())[:_CLASSES]]
        more = f", and {len(classes) - len(shown)} more" if len(classes) > len(shown) else ""
        yield f"{len(classes)} classes: {', '.join(shown)}{more}."
    left_out = ", ".join(f"{n} {reason}" for reason, n in (account.get("left_out") or {}).items())
    yield f"Left out: {left_out or 'nothing'}."
    yield from account.get("notes") or ()


def _note(text: str) -> str:
    """A note as a paragraph of Markdown; the command that it ends with is a block of its own, which can be copied."""
    words, program, command = text.partition(PROGRAM) if text.startswith(NEXT) else (text, "", "")
    block = f"\n\n```sh\n{_lines(program + command)}\n```" if program else ""
    for start in (FIRST, NEXT):
        if words.startswith(start):
            name = start.strip().removesuffix(":")
            return f"**{name.capitalize()}**: {markdown.line(words.removeprefix(start).strip())}{block}"
    return markdown.line(words[0].upper() + words[1:].rstrip()) + block


def _lines(command: str) -> str:
    """A command in lines of one option each, if it is long."""
    command = " ".join(command.split())
    if len(command) <= _LINE:
        return command
    lines: list[str] = []
    for word in shlex.split(command):
        if lines and not word.startswith("--"):
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
    return " \\\n  ".join(lines)


def _begun(sentence: str) -> str:
    """A sentence as the continuation of another; names and short forms keep their capitals."""
    return sentence[0].lower() + sentence[1:] if sentence[1:2].islower() or sentence[1:2] == " " else sentence
