"""A ranking as one page of HTML: the decision, table, pictures, and folded below them flags, how to read it and what was run.

The page needs no network; a script of its own sorts the table, and everything can be read without it. Every text that comes
from elsewhere (names, error texts) is escaped.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark.advice import NEXT
from hf_transferability.escaping.html import text as escape
from hf_transferability.files import check_output, write_file
from hf_transferability.metrics import all_metrics
from hf_transferability.names import plain_name, to_paste, without_folders
from hf_transferability.reporting.columns import READING, columns
from hf_transferability.reporting.page_style import POLICY, SCRIPT, STYLE
from hf_transferability.reporting.terminal import flag_in_words, flag_meanings, scenario_sentence, undefined_reasons
from hf_transferability.results import Row, label_alarm, ranked_rows
from hf_transferability.signals import PROGRAM

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hf_transferability.reporting.plots.described import Picture

_KNOWN = (
    "Mean percentile of a checkpoint among what was fine-tuned beside it in the studies below: 0 always worst, 1 always "
    "best; in brackets the number of targets. It uses no image of this target and takes no part in the order."
)
_FIRST = (
    "rank", "checkpoint", "score", "90% interval", "tie group", "first share", "flags", "parameters", "licence",
    "known elsewhere (targets)",
)  # fmt: skip
_POOL = "{names} exist only within this pool of candidates: adding or removing one changes the others' scores."
_CITATION = (
    "Juodelyte, Ferrante, Lu, Singh, Vanschoren, Cheplygina: On dataset transferability in medical image classification. "
    "2024, arXiv 2412.20172."
)


def check_page(path: str | Path) -> Path:
    """Check that a page can be written to a path, and return it.

    Raises:
        UsageError: an ending other than .html, no write access, or no matplotlib for the pictures.
    """
    from hf_transferability.reporting.plots.style import new_figure

    path = check_output(path, "report", (".html",))
    new_figure(1, 1)
    return path


def save(document: Mapping[str, Any], path: str | Path) -> None:
    """Write the page.

    Args:
        document: the result of `Ranking.to_dict()`.
        path: a file that ends in .html.

    Raises:
        UsageError: see `check_page`.
        TransferabilityError: the file cannot be written.
    """
    write_file(check_page(path), page(document).encode())


def page(document: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        document: the result of `Ranking.to_dict()`.

    Raises:
        UsageError: matplotlib is not installed.
    """
    document = _without_paths(document)
    rows: list[Row] = list(document["rows"])
    dataset = document["dataset"].get("id") or "(files)"
    title = "Ranking of checkpoints" + (f" for the dataset {dataset}" if dataset and dataset != "(files)" else "")
    advice = list((document.get("advice") or {}).get("text") or [])
    decision = [*label_alarm(document), *advice]
    notes = [note for note in document.get("notes", []) if note not in decision]
    parts = [
        f"<h1>{escape(title)}</h1>",
        _choice(document["choice"]) if document.get("choice") else _decision(decision),
        f"<p>{escape(_summary(document, rows))}</p>",
        *(f"<p>{_marked(note[0].upper() + note[1:])}</p>" for note in notes),
        '<h2>Ranking</h2>\n<p class="swipe">Swipe tables and pictures sideways to see all of them.</p>',
        '<div class="wide" tabindex="0" role="region" aria-label="Ranking">',
        _table(document, rows),
        "</div>",
        _failures(rows),
        *_pictures(document),
        "<h2>Details</h2>",
        _flags(rows),
        _folded("How to read it", *_pool_relative(rows), _list([*_titles_in_words(document, rows), *_metrics_in_words(rows)])),
        _known(document.get("known") or {}),
        _folded(
            "What was run",
            _list(_target_facts(document)),
            _provenance(rows),
            _list([("versions", document.get("versions", {}))]),
        ),
        f"<footer><p>{escape(_CITATION)}</p><p>For research; not for clinical decisions.</p></footer>",
        f"<script>{SCRIPT}</script>",
    ]
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def fragment(document: Mapping[str, Any]) -> str:
    """A ranking as a part of another page, such as a notebook: table, failures, and what to do. No script, style or picture.

    Args:
        document: the result of `Ranking.to_dict()`.
    """
    if not document["rows"]:
        return "<p>A ranking of no candidates.</p>"
    document = _without_paths(document)
    rows: list[Row] = list(document["rows"])
    decision = [*label_alarm(document), *((document.get("advice") or {}).get("text") or [])]
    parts = [
        f"<p>{escape(_summary(document, rows))}</p>",
        _table(document, rows, wide=False),
        _failures(rows),
        _decision(decision),
    ]
    return "\n".join(filter(None, parts))


def _without_paths(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the last part of every local path, in names, notes and error texts: a page is passed on."""
    given = [str(row["checkpoint"]) for row in document["rows"]]
    plain = dict(zip(given, map(plain_name, given), strict=True))
    if len(set(plain.values())) < len(plain):  # two folders of one name
        plain = {name: name for name in given}
    dataset = dict(document["dataset"])
    where = str(dataset.get("id") or "")
    if where:
        dataset["id"] = plain_name(where)

    def cleaned(text: str) -> str:
        for name, shown in plain.items():
            if Path(name).is_absolute():
                text = text.replace(name, to_paste(name) if text.startswith(NEXT) else shown)
        return without_folders(text, where) if where else text

    rows = [
        {
            **row,
            "checkpoint": plain[str(row["checkpoint"])],
            "error": row["error"] and without_folders(row["error"], row["checkpoint"]),
        }
        for row in document["rows"]
    ]
    notes = [cleaned(note) for note in document.get("notes", [])]
    advice = dict(document.get("advice") or {})
    advice["text"] = [cleaned(line) for line in advice.get("text", [])]
    label_check = {"alarm": "".join(map(cleaned, label_alarm(document)))}
    result = {**document, "dataset": dataset, "rows": rows, "notes": notes, "advice": advice, "label_check": label_check}
    if choice := document.get("choice"):
        cells = [[plain.get(str(row[0]), row[0]), *row[1:]] for row in choice["table"]["rows"]]
        text = [cleaned(line) for line in choice["text"]]
        result["choice"] = {"text": text, "table": {"titles": choice["table"]["titles"], "rows": cells}}
    return result


def _decision(advice: Sequence[str]) -> str:
    """What to do, at the top: which candidates are first, how likely the best is among them, and what to type next."""
    if not advice:
        return ""
    paragraphs = []
    for line in advice:
        text, program, command = line.partition(PROGRAM) if line.startswith(NEXT) else (line, "", "")
        shown = f'<code class="command">{_words(program + command)}</code>' if program else ""
        paragraphs.append(f"<p>{_marked(text[0].upper() + text[1:])}{shown}</p>")
    return f'<section class="decision" aria-label="Decision">{"".join(paragraphs)}</section>'


def _marked(text: str) -> str:
    """A text with its code, which is between backticks, as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _words(command: str) -> str:
    """A command of which no line begins or ends within an option: an option goes with its value."""
    parts = re.findall(r"-\S+ (?!-)\S+|\S+", command)
    return " ".join(f'<span class="word">{escape(part)}</span>' for part in parts)


def _choice(choice: Mapping[str, Any]) -> str:
    """The recommendation of `choose` at the top, and below it the short runs that it rests on."""
    titles, rows = choice["table"]["titles"], choice["table"]["rows"]
    section = _decision(choice["text"])
    if not rows:
        return section
    kinds = ["text name", *([""] * (len(titles) - 1))]
    head = "".join(_cell("th", title, kind, ' scope="col"') for title, kind in zip(titles, kinds, strict=True))
    lines = ["".join(_cell("td", cell, kind) for cell, kind in zip(row, kinds, strict=True)) for row in rows]
    where = '<div class="wide" tabindex="0" role="region" aria-label="Short runs">'
    return f"{section}\n<h2>Short fine-tuning</h2>\n{where}\n{_rows_of(head, lines)}\n</div>"


def _folded(title: str, *parts: str) -> str:
    """A part of the page that opens on demand."""
    content = "\n".join(filter(None, parts))
    return f"<details>\n<summary>{title}</summary>\n{content}\n</details>"


def _summary(document: Mapping[str, Any], rows: Sequence[Row]) -> str:
    failed = sum(row["score"] is None for row in rows)
    ranked = bool(ranked_rows(rows))
    outcome = f"{len(rows) - failed} of {len(rows)} candidates {'ranked' if ranked else 'scored'} by {document['metric']}"
    images = document["dataset"].get("images")
    outcome += f", on {images} images." if images else "."
    return f"{outcome} {scenario_sentence(document)}".rstrip() if ranked else outcome


def _pool_relative(rows: Sequence[Row]) -> Iterable[str]:
    names = [name for name, metric in all_metrics().items() if name in rows[0] and metric.is_pool_relative]
    if names:
        yield f"<p>{escape(_POOL.format(names=' and '.join(names)).capitalize())}</p>"


def _titles_in_words(document: Mapping[str, Any], rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What each title of the table that is no metric means."""
    titles = {column.title for column in columns(rows, str(document["metric"]), wide=True)}
    return [(title, text) for title, text in READING.items() if title in titles]


def _metrics_in_words(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What each metric of the table measures: the first sentence of its description."""
    metrics = all_metrics()
    return [(metrics[name].label, metrics[name].summary) for name in rows[0] if name in metrics]


def _table(document: Mapping[str, Any], rows: Sequence[Row], wide: bool = True) -> str:
    found = columns(rows, str(document["metric"]), wide)
    # A narrow screen shows the first columns, so what one decides by comes before the numbers of the metrics.
    places = {title: place for place, title in enumerate(_FIRST)}
    shown_columns = sorted(found, key=lambda column: places.get(column.title, len(places)))
    kinds = [
        {"checkpoint": "text name", "flags": "text flags"}.get(column.title, "" if column.right else "text")
        for column in shown_columns
    ]
    titles = zip(shown_columns, kinds, strict=True)
    head = "".join(_cell("th", column.title, kind, ' scope="col"') for column, kind in titles)
    lines = [
        "".join(_cell("td", column.cells[number], kind) for column, kind in zip(shown_columns, kinds, strict=True))
        for number in range(len(rows))
    ]
    return _rows_of(head, lines, [' class="failed"' if row["error"] else "" for row in rows], "sortable")


def _rows_of(head: str, lines: Sequence[str], attributes: Sequence[str] | None = None, kind: str = "") -> str:
    body = "\n".join(f"<tr{more}>{line}</tr>" for line, more in zip(lines, attributes or [""] * len(lines), strict=True))
    start = f'<table class="{kind}">' if kind else "<table>"
    return f"{start}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _cell(tag: str, text: str, kind: str, more: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    shown = escape(text)
    if "name" in kind:  # where a long id or path may continue on the next line
        shown = re.sub(r"([/_.-])(?=\w)", r"\1<wbr>", shown)
    return f"<{tag}{attribute}{more}>{shown}</{tag}>"


def _failures(rows: Sequence[Row]) -> str:
    failed = [(str(row["checkpoint"]), str(row["error"])) for row in rows if row["error"]]
    undefined = [(", ".join(names), reason) for reason, names in undefined_reasons(rows).items()]
    return "".join(
        f"<h2>{title}</h2>\n{_list(entries)}" for title, entries in (("Failed", failed), ("Not defined", undefined)) if entries
    )


def _pictures(document: Mapping[str, Any]) -> Iterable[str]:
    from hf_transferability.reporting import plots

    yield '<h2>Pictures</h2>\n<div class="pictures">'
    for picture, narrow in zip(plots.described(document), plots.described(document, narrow=True), strict=True):
        yield _image(picture, narrow.figure)
    yield "</div>"


def _image(picture: "Picture", narrow: "Figure") -> str:
    """A picture in the colours of the page, and narrow on a phone; it scrolls sideways where it is wider than the screen."""
    from hf_transferability.reporting.plots import darkened

    small, dark = "(max-width: 40rem)", "(prefers-color-scheme: dark)"
    light = _svg(picture.figure), _svg(narrow)
    shown = {f"{small} and {dark}": _svg(darkened(narrow)), small: light[1], dark: _svg(darkened(picture.figure))}
    sources = "".join(f'<source media="{when}" srcset="{content}">' for when, content in shown.items())
    kind = "wide whole" if picture.whole else "wide"
    image = f'<picture>{sources}<img alt="{escape(picture.text)}" src="{light[0]}"></picture>'
    return f'<div class="{kind}" tabindex="0" role="group" aria-label="Picture">{image}</div>'


def _svg(figure: "Figure") -> str:
    from hf_transferability.reporting.plots import to_svg

    return f"data:image/svg+xml;base64,{base64.b64encode(to_svg(figure).encode()).decode()}"


def _flags(rows: Sequence[Row]) -> str:
    meanings = flag_meanings(rows)
    named = [(flag_in_words(flag), text) for flag, text in meanings]
    return _folded("Flags", _list(named)) if meanings else ""


def _known(known: Mapping[str, Any]) -> str:
    """The studies behind what is known elsewhere, and those that hold the target."""
    studies: Mapping[str, str] = known.get("studies") or {}
    if not studies:
        return ""
    cited = [(study, citation or "results of your own") for study, citation in studies.items()]
    left_out = known.get("left_out") or []
    text = f"<p>Left out, as they hold this target: {escape(', '.join(left_out))}.</p>" if left_out else ""
    return _folded("Known elsewhere", f"<p>{escape(_KNOWN)}</p>", _list(cited), text)


def _target_facts(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    names = {"id": "target dataset", "images": "images in the sample", "draw": "drawn", "modes": "image modes"}
    facts = {**document["dataset"], "account": (document["dataset"].get("account") or {}).get("line")}
    return [(names.get(key, key.replace("_", " ")), value) for key, value in facts.items() if value is not None]


def _provenance(rows: Sequence[Row]) -> str:
    """What was loaded for each candidate and on which device it ran; empty columns are left out."""
    wanted = {
        "checkpoint": "checkpoint", "revision": "commit or sha256 of the files", "architecture": "architecture",
        "feature_source": "features", "layers": "layers of the update ratio", "preprocessing": "preprocessing",
        "training_datasets": "training data named by its card", "device": "hardware", "variant": "variant",
    }  # fmt: skip
    keys = [key for key in wanted if any(row.get(key) for row in rows)]
    head = "".join(_cell("th", wanted[key], "text", ' scope="col"') for key in keys)
    lines = ["".join(_cell("td", _text(row.get(key)), "text name") for key in keys) for row in rows]
    return f'<div class="wide" tabindex="0" role="region" aria-label="Candidates">\n{_rows_of(head, lines)}\n</div>'


def _list(entries: Iterable[tuple[str, Any]]) -> str:
    lines = [f"<dt>{escape(name)}</dt><dd>{_marked(_text(value))}</dd>" for name, value in entries]
    return "<dl>\n" + "\n".join(lines) + "\n</dl>"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return "-" if value is None else str(value)
