"""The columns of a ranking that people see, as text: their order, their titles, and the digits that their numbers deserve."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_transferability.escaping.terminal import one_line
from hf_transferability.metrics import all_metrics
from hf_transferability.reporting.explanations import FLAG_WORDS
from hf_transferability.results import Row

NOTHING = "-"  # there is no such value
UNKNOWN = "?"  # there is one, and nobody has said which
NAME = "checkpoint"
# Titles where the full ones do not fit; the legend below the table has both.
SHORT = {
    "90% interval": "interval", "tie group": "tie", "first share": "first", "feature quality": "qual", "update ratio": "ratio",
    "transferability": "paper", "linear probe": "probe", "parameters": "size", "known elsewhere (targets)": "known",
}  # fmt: skip
# What a title means, for who reads the table.
READING = {
    "rank": "1 is the candidate to try first; equal scores share a rank.",
    "score": "higher is better; it predicts how candidates compare after fine-tuning, not how accurate they will be.",
    "90% interval": "where the score lies in 90% of cases, from ten random halves of the images.",
    "tie group": "these images cannot order candidates of one group: fine-tune each of them, or take more images.",
    "first share": "in how many of the ten halves the candidate came first; several firsts share a half.",
    "known elsewhere (targets)": "how it did where others fine-tuned it on other targets: 1 always best, 0 always worst.",
}
_MOST_DECIMALS = 6
_LICENCE = 11  # characters


@dataclass
class Column:
    """One column: its title and one text per row; numbers are aligned at the right.

    Attributes:
        if_room: left out where the terminal has no room for it.
    """

    title: str
    cells: list[str]
    right: bool = True
    if_room: bool = False

    @property
    def short_title(self) -> str:
        return SHORT.get(self.title, self.title)


def columns(rows: Sequence[Row], metric: str, wide: bool = False) -> list[Column]:
    """The columns of a ranking sorted by `metric`, of which those that are empty are left out.

    Args:
        rows: of the ranking.
        metric: the one that sorts them.
        wide: also width of the features, commit and seconds, and whole licences.
    """
    metrics = all_metrics()
    beside = [name for name in rows[0] if name in metrics and name != metric]
    floors = list(dict.fromkeys(name for row in rows for name in row if name.endswith("_floor")))
    has_known = any(row.get("known_elsewhere") is not None for row in rows)  # it matters more than the licence
    always = [
        Column("rank", [NOTHING if row["rank"] is None else f"{row['rank']:g}" for row in rows]),
        Column(NAME, [one_line(row["checkpoint"]) for row in rows], right=False),
        *_scores(rows),
    ]
    others = [
        Column("tie group", [_text(row.get("tie_group")) for row in rows]),
        Column("first share", [_share(row.get("first_share")) for row in rows]),
        *(Column(metrics[name].label, _numbers(rows, name)) for name in beside),
        *(Column(name.replace("_", " "), _numbers(rows, name)) for name in floors),
        Column("known elsewhere (targets)", [_known(row) for row in rows]),
        Column("parameters", [_fact(row, count(row["parameters"])) for row in rows]),
        Column(
            "licence", [_fact(row, licence(row["licence"], wide)) for row in rows], right=False, if_room=has_known and not wide
        ),
        Column("flags", flag_cells(rows), right=False),
    ]
    if wide:
        others += [
            Column("features", [_text(row["n_features"]) for row in rows]),
            Column("commit", [(row["revision"] or NOTHING).removeprefix("sha256:")[:8] for row in rows], right=False),
            Column("seconds", [NOTHING if row["seconds"] is None else f"{row['seconds']:.1f}" for row in rows]),
        ]
    return [*always, *(column for column in others if set(column.cells) - {NOTHING, UNKNOWN, ""})]


def common_flags(rows: Sequence[Row]) -> list[str]:
    """The flags that all candidates with arrays have, where there are several; they need no place in each row."""
    flagged = [row["flags"] for row in rows if not row["error"]]
    return [flag for flag in flagged[0] if all(flag in flags for flags in flagged)] if len(flagged) > 1 else []


def flag_cells(rows: Sequence[Row]) -> list[str]:
    """The flags of each row in short words, without those that all rows share."""
    common = common_flags(rows)
    return [", ".join(FLAG_WORDS.get(flag, flag) for flag in row["flags"] if flag not in common) for row in rows]


def decimals(values: Sequence[float], intervals: Sequence[Sequence[float] | None]) -> int | None:
    """Digits after the point for the values of one column; None where only a form with an exponent could show them.

    The last digit is at most a tenth of the median width of the intervals, so that rounding changes nothing that the images
    can tell. Without intervals there are three significant digits of the largest value.
    """
    widths = [interval[1] - interval[0] for interval in intervals if interval and interval[1] > interval[0]]
    largest = max((abs(value) for value in values), default=0.0)
    if widths:
        wanted = math.ceil(-math.log10(statistics.median(widths) / 10) - 1e-9)
    else:
        wanted = 2 - math.floor(math.log10(largest)) if largest else 2
    return None if wanted > _MOST_DECIMALS or largest >= 1e6 else max(wanted, 0)


def count(value: int | None) -> str | None:
    """A number of parameters, such as 11.2M."""
    if value is None:
        return None
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            number = value / size
            return f"{number:.0f}{unit}" if number >= 99.95 else f"{number:.1f}{unit}"
    return str(value)


def licence(name: str | None, whole: bool = False) -> str | None:
    """A licence without its version where that makes it too long, and cut at the end where it still is; or as it is."""
    if not name:
        return None
    text = one_line(str(name))
    if len(text) > _LICENCE and not whole:
        kind, _, version = text.rpartition("-")
        text = kind if version.replace(".", "").isdecimal() else text
    return text if whole or len(text) <= _LICENCE else f"{text[: _LICENCE - 1]}…"


def _scores(rows: Sequence[Row]) -> list[Column]:
    """Score and interval, with the same digits."""
    intervals = [row.get("interval") for row in rows]
    digits = decimals([row["score"] for row in rows if row["score"] is not None], intervals)
    scores = Column("score", [_score(row, digits) for row in rows])
    cells = ["..".join(_number(end, digits) for end in ends) if ends else NOTHING for ends in intervals]
    return [scores, *([Column("90% interval", cells)] if any(intervals) else [])]


def _score(row: Row, digits: int | None) -> str:
    if row["error"]:
        return "failed"
    if row.get("untrained"):
        return NOTHING if "untrained" in row["flags"] else "untrained"
    return NOTHING if row["score"] is None else _number(row["score"], digits)


def _numbers(rows: Sequence[Row], name: str) -> list[str]:
    """The values of a metric, with the digits that its intervals allow."""
    values = [row.get(name) for row in rows]
    known = [value for value in values if value is not None]
    digits = decimals(known, [(row.get("intervals") or {}).get(name) for row in rows])
    return [NOTHING if value is None else _number(value, digits) for value in values]


def _number(value: float, digits: int | None) -> str:
    return f"{value:.3g}" if digits is None else f"{round(value, digits) + 0:.{digits}f}"  # + 0: no -0.00


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def _known(row: Row) -> str:
    """The mean percentile where others have fine-tuned the checkpoint, and on how many targets."""
    value = row.get("known_elsewhere")
    return NOTHING if value is None else f"{value:.2f} ({row['known_targets']})"


def _fact(row: Row, text: str | None) -> str:
    """A fact of a network: unknown, where it was loaded and does not say; nothing, where it could not be."""
    return text or (NOTHING if row["error"] else UNKNOWN)


def _text(value: Any) -> str:
    return NOTHING if value is None else str(value)
