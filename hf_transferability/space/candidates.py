"""The search box for checkpoints: its choices, what a visitor chose or typed, and whether that is within the limits."""

import re
from collections.abc import Sequence
from functools import lru_cache

from hf_transferability.catalogue.entries import Entry, bundled
from hf_transferability.catalogue.filters import in_short
from hf_transferability.space import limits


@lru_cache(maxsize=1)
def choices() -> list[tuple[str, str]]:
    """Text and id of every checkpoint of the bundled catalogue that nothing known keeps this page from ranking.

    Those that are downloaded most come first, as far as that is known, then those whose licence is known.
    """
    entries = sorted(bundled(), key=lambda entry: (-(entry.downloads or 0), entry.licence is None))
    return [(_in_words(entry), entry.id) for entry in entries if not _obstacle(entry)]


def ids(chosen: Sequence[str]) -> list[str]:
    """The ids of what was chosen, typed or pasted, each once; a text may hold several, between blanks or commas."""
    names = [name for text in chosen for name in re.split(r"[\s,]+", text) if name]
    return list(dict.fromkeys(names))


def problems(dataset: str, names: Sequence[str]) -> list[str]:
    """What the page would refuse of a request, as far as it is known before the Hub is asked; one text each."""
    known = _known(names)
    found = [*limits.exceeded(dataset.strip() or None, names)]  # an empty field is no mistake before the button is pressed
    obstacles = [text for entry in known if (text := _obstacle(entry))]
    weights = sum(entry.parameters or 0 for entry in known) * limits.BYTES_PER_PARAMETER
    found += obstacles or filter(None, [limits.too_much(weights)])
    return [text[0].upper() + text[1:] for text in found]


def total(names: Sequence[str]) -> str:
    """How many checkpoints are named and how large they are together, as one sentence; for none, the limits."""
    if not names:
        return f"At most {limits.CHECKPOINTS} checkpoints, of {in_short(limits.PARAMETERS)} parameters each."
    sizes = [entry.parameters for entry in _known(names) if entry.parameters]
    text = f"{len(names)} of at most {limits.CHECKPOINTS} checkpoints"
    text += f", {in_short(sum(sizes))} parameters together" if sizes else ""
    unknown = len(names) - len(sizes)
    return text + (f"; the size of {unknown} is looked up when you rank." if unknown else ".")


def _known(names: Sequence[str]) -> list[Entry]:
    by_id = _by_id()
    return [by_id[key] for name in names if (key := name.partition("@")[0].lower()) in by_id]


@lru_cache(maxsize=1)
def _by_id() -> dict[str, Entry]:
    return {entry.id.lower(): entry for entry in bundled()}


def _obstacle(entry: Entry) -> str:
    """Why this page cannot rank a checkpoint; "" where nothing is known to be in the way."""
    if entry.gated:
        return f"{entry.id} is gated, and this page reads public repositories only. Rank it on your own machine."
    return limits.too_large(entry.id, entry.parameters or 0)


def _in_words(entry: Entry) -> str:
    """An id with what a visitor chooses by: its size and licence."""
    size = in_short(entry.parameters) if entry.parameters else "size unknown"
    return f"{entry.id} ({size}, {entry.licence or 'licence unknown'})"
