"""Explain a word of a table: a flag, a metric, a scenario, a column, or a term of a benchmark."""

import inspect
import re
import textwrap
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.foreign_metrics import FOREIGN_METRICS
from hf_transferability.benchmark.ground_truth import SELECTIONS, in_words
from hf_transferability.errors import UsageError, nearest
from hf_transferability.metrics import FLAGS, Metric, all_metrics
from hf_transferability.reporting import explanations, field_words
from hf_transferability.reporting.metric_table import as_text, metric_row
from hf_transferability.results import COLUMNS

WIDTH = 100  # columns of the text
_SECTION = re.compile(r"^(Args|Returns|Raises|Example|Cost):", re.MULTILINE)


def known_names() -> dict[str, list[str]]:
    """Kind -> everything that `explain` knows of that kind."""
    metrics = all_metrics()
    named = {*metrics, *FLAGS, *explanations.SCENARIOS, *explanations.TERMS, *explanations.LINES}
    columns = [name for name in COLUMNS | explanations.COLUMNS if name not in named]
    named |= {*columns}
    fields = [name for name in field_words.RANKING | field_words.COMPARISON if name not in named]
    named |= {*fields, *map(_key, explanations.FLAG_WORDS.values())}
    return {
        "metric": list(metrics),
        "scenario": list(explanations.SCENARIOS),
        "column": columns,
        "flag": list(FLAGS),
        "printed line": list(explanations.LINES),
        "benchmark term": list(explanations.TERMS),
        "ground truth": list(SELECTIONS),
        "published metric": list(FOREIGN_METRICS),
        "raw number": [f"{name}_{part}" for name, metric in metrics.items() for part in metric.components],
        "field": fields,
        "benchmark column": [name for name in _table_columns() if name not in named],
    }


def explain(name: str) -> str:
    """Definition, formula and caveats of a word, as plain text of at most WIDTH columns.

    Args:
        name: as in the table or in the JSON output; case, blanks and hyphens do not matter.

    Raises:
        UsageError: an unknown name; the text suggests the nearest one.
    """
    given = _key(name)
    words = {_key(word): flag for flag, word in explanations.FLAG_WORDS.items()}
    given = words.get(given) or explanations.ALIASES.get(given, given)
    for kind, names in known_names().items():
        if given in names:
            return f"{given} ({kind})\n\n{_TEXTS[kind](given)}"
    if given.endswith("_floor"):
        return f"{given} (column)\n\n{_column('floor')}"
    if re.fullmatch(r"mean_of_best_[1-9]\d*", given):
        return f"{given} (ground truth)\n\n{_selection(given)}"
    every = [name for names in known_names().values() for name in names]
    meant = nearest(given, [*every, *explanations.ALIASES])
    remedy = f"Did you mean {meant}?" if meant else "Run `hf-transferability explain` for a list."
    raise UsageError(f"`name` must be a flag, a metric, a scenario or a column; got {name!r}. {remedy}")


def _key(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _metric(name: str) -> str:
    metric = all_metrics()[name]
    parts = [_introduction(metric.function), *(_introduction(form) for form in _pool_forms(metric)), _background(metric)]
    row = metric_row(metric)
    facts = [f"{title}: {text}" for title, text in zip(row, as_text(row), strict=True) if title != "name"]
    facts.append(f"variants: {', '.join(metric.variants)}{'' if metric.variants_differ else ' (the same)'}")
    facts += _costs(metric)
    return "\n\n".join([*filter(None, parts), "\n".join(textwrap.fill(fact, WIDTH) for fact in facts)])


def _introduction(function: Callable[..., Any]) -> str:
    """What a docstring says before its sections: meaning, formula and caveats."""
    return _paragraphs(_SECTION.split(inspect.getdoc(function) or "")[0])


def _pool_forms(metric: Metric) -> list[Callable[..., Any]]:
    """The functions that make a pool-relative score of raw components."""
    forms = (getattr(metric, "formula", None), metric.combine)
    return [form for form in forms if inspect.isfunction(form)]


def _background(metric: Metric) -> str:
    """The paper, and what this implementation does differently: the docstring of the metric's module."""
    return _paragraphs(inspect.getdoc(inspect.getmodule(metric.function)) or "")


def _costs(metric: Metric) -> list[str]:
    """Cost and smallest sample, as the docstring has them."""
    match = re.search(r"^Cost: (.*?)(?:\n\n|\Z)", inspect.getdoc(metric.function) or "", re.MULTILINE | re.DOTALL)
    return [f"cost: {' '.join(match[1].split())}"] if match else []


def _flag(name: str) -> str:
    meaning = FLAGS[name]
    more = explanations.FLAGS.get(name, "")
    return _paragraphs(f"{meaning[0].upper()}{meaning[1:]}.\n\n{more}")


def _scenario(name: str) -> str:
    return _paragraphs(explanations.SCENARIOS[name])


def _column(name: str) -> str:
    more = explanations.COLUMNS.get(name, "")
    if name not in COLUMNS:
        return _paragraphs(more)
    column = COLUMNS[name]
    unit = "" if column.unit == "none" else f" Unit: {column.unit}."
    return _paragraphs(f"{column.meaning[0].upper()}{column.meaning[1:]}.{unit}\n\n{more}")


def _line(name: str) -> str:
    return _paragraphs(explanations.LINES[name])


def _term(name: str) -> str:
    return _paragraphs(explanations.TERMS[name])


def _selection(name: str) -> str:
    text = in_words(name, measures=tables.MEASURES)
    return _paragraphs(f"How fine-tuned performance is taken from the runs: {text}.")


def _foreign_metric(name: str) -> str:
    return _paragraphs(f"{FOREIGN_METRICS[name]}. It is known from published studies only, and cannot be computed here.")


def _raw_number(name: str) -> str:
    metric = next(metric for metric in all_metrics() if name.startswith(f"{metric}_"))
    return _paragraphs(
        f"A number that {metric} is made of. {metric} itself exists only over a pool of candidates, over which its raw numbers "
        f"are scaled; see `hf-transferability explain {metric}`."
    )


def _field(name: str) -> str:
    return _paragraphs((field_words.RANKING | field_words.COMPARISON)[name])


@lru_cache
def _table_columns() -> dict[str, str]:
    """Every column of a benchmark's tables, with its meaning in the first table that has it."""
    found = {name: column.meaning for name, column in tables.PROVENANCE.items()}
    for table in tables.TABLES.values():
        found = {name: column.meaning for name, column in table.columns.items()} | found
    return found


def _table_column(name: str) -> str:
    meaning = _table_columns()[name]
    holders = [table for table, definition in tables.TABLES.items() if name in definition.columns]
    return _paragraphs(f"{meaning[0].upper()}{meaning[1:]}. In a benchmark's tables: {', '.join(holders) or 'all'}.")


def _paragraphs(text: str) -> str:
    """A text with its paragraphs folded at WIDTH."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    fold = {"width": WIDTH, "break_long_words": False, "break_on_hyphens": False}
    return "\n\n".join(textwrap.fill(paragraph, **fold) for paragraph in paragraphs if paragraph)  # type: ignore[arg-type]


_TEXTS: dict[str, Callable[[str], str]] = {
    "metric": _metric, "scenario": _scenario, "column": _column, "flag": _flag, "printed line": _line, "benchmark term": _term,
    "published metric": _foreign_metric, "ground truth": _selection, "raw number": _raw_number, "field": _field,
    "benchmark column": _table_column,
}  # fmt: skip
