"""Filters over entries of the catalogue, and which of them left nothing."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hf_transferability.catalogue.entries import DOMAINS, MEDICAL, Entry
from hf_transferability.errors import UsageError, unknown_name

AUDIENCES = ("medical", *DOMAINS)  # what `--for` takes
_FACTORS = {"k": 10**3, "m": 10**6, "b": 10**9}


@dataclass(frozen=True)
class Filters:
    """What a checkpoint must be to be listed; None or nothing lets every one pass.

    Attributes:
        audience: one of `AUDIENCES`.
        max_params: most parameters, without the head.
        licences: licences in the Hub's names; any of them will do.
        task: the Hub's name of a task.
        search: text that the id holds, in any case.
        source: "timm", "transfergraph", "curated" or "hub"; entries of others do not count at all.
    """

    audience: str | None = None
    max_params: int | None = None
    licences: Sequence[str] = ()
    task: str | None = None
    search: str | None = None
    source: str | None = None

    def tests(self) -> dict[str, Callable[[Entry], object]]:
        """Each filter in use but the source, as an option's text, and whether an entry passes it; None: a fact is unknown."""
        tests: dict[str, Callable[[Entry], object]] = {}
        if self.audience:
            wanted = MEDICAL if self.audience == "medical" else (self.audience,)
            tests[f"--for {self.audience}"] = lambda entry: entry.domain and entry.domain in wanted
        if self.max_params is not None:
            limit = self.max_params
            tests[f"--max-params {in_short(limit)}"] = lambda entry: entry.parameters and entry.parameters <= limit
        if self.licences:
            licences = {licence.lower() for licence in self.licences}
            tests[f"--licence {' '.join(self.licences)}"] = lambda entry: entry.licence and entry.licence.lower() in licences
        if self.task:
            tests[f"--task {self.task}"] = lambda entry: entry.task and entry.task == self.task
        if self.search:
            words = self.search.lower().split()
            tests[f"--search {self.search}"] = lambda entry: all(word in entry.id.lower() for word in words)
        return tests


@dataclass(frozen=True)
class Selected:
    """What passed the filters, and how many entries failed only because a fact of them is unknown."""

    entries: list[Entry]
    unknown: int = 0


def select(entries: Iterable[Entry], filters: Filters, written: Mapping[str, str] | None = None) -> Selected:
    """The entries that pass all filters; one of which a needed fact is unknown does not pass, and is counted.

    Args:
        entries: to choose from.
        filters: what they must be.
        written: option such as "--max-params" -> how the user wrote the filter, where that was no option.

    Raises:
        UsageError: none passes; the text names the filter that removes most.
    """
    if filters.audience and filters.audience not in AUDIENCES:
        raise UsageError(unknown_name("--for", filters.audience, AUDIENCES))
    entries, tests = [entry for entry in entries if filters.source in (None, entry.source)], filters.tests()
    passed, unknown = [], 0
    for entry in entries:
        answers = [test(entry) for test in tests.values()]
        passed += [entry] if all(answers) else []
        unknown += any(answer is None for answer in answers) and all(answer is None or answer for answer in answers)
    if not passed and tests:
        removed = {text: sum(not test(entry) for entry in entries) for text, test in tests.items()}
        worst = max(removed, key=lambda text: removed[text])
        n_unknown = sum(tests[worst](entry) is None for entry in entries)
        because = f", {n_unknown} of them as it is unknown" if n_unknown else ""
        name = (written or {}).get(worst.split()[0], worst)
        raise UsageError(
            f"No checkpoint passes these filters: {name} removes most, {removed[worst]} of {len(entries)}{because}. "
            "Relax it first."
        )
    return Selected(passed, unknown)


def count(text: str) -> int:
    """Read a number of parameters, such as 50M, 1.2B or 300000.

    Raises:
        ValueError: no such number.
    """
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kmb]?)", text.strip().lower())
    if not match or not (value := round(float(match[1]) * _FACTORS.get(match[2], 1))):
        raise ValueError(f"must be a number of parameters such as 50M; got {text!r}")
    return value


def in_short(number: int) -> str:
    """A number of parameters as text with three digits, such as 11.2M."""
    for letter, factor in reversed(_FACTORS.items()):
        if number >= factor:
            return f"{number / factor:.3g}{letter.upper() if letter != 'k' else letter}"
    return str(number)
