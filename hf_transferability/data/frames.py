"""Which frame or slice of a file is used, and what is said where files have fewer."""

import re
from collections.abc import Callable, Mapping

from hf_transferability.errors import UsageError

_ABSENT = re.compile(r"there is no (frame|slice) ([0-9]+) among ([0-9]+), counted from 0")


def choose(number: int | str | None, count: int, what: str, default: int) -> int:
    """A frame or slice from 0.

    Args:
        number: the one that is asked for, or "middle"; None for the default.
        count: number of frames or slices.
        what: "frame" or "slice".
        default: for None.

    Raises:
        ValueError: there are fewer.
    """
    chosen = default if number is None else count // 2 if number == "middle" else int(number)
    if chosen >= count:
        raise ValueError(f"there is no {what} {chosen} among {count}, counted from 0")
    return chosen


def remedy(reason: str) -> str:
    """What to do where `choose` gave this reason; "" for other reasons why an image cannot be decoded."""
    found = _ABSENT.fullmatch(reason)
    return f"Pass a smaller --{found[1]}, or --{found[1]} middle." if found else ""


def refuse_absent(reasons: Mapping[int, str], n_images: int, named: Callable[[int], str], *, skip: bool) -> None:
    """Refuse a frame or slice that files of a sample lack.

    Args:
        reasons: position -> why an image cannot be decoded.
        n_images: size of the sample.
        named: how an image is called by its position.
        skip: such images may be left out, unless these are all.

    Raises:
        UsageError: names the number of images, one of them, and the remedy.
    """
    absent = {position: found for position, reason in reasons.items() if (found := _ABSENT.fullmatch(reason))}
    if not absent or (skip and len(absent) < n_images):
        return
    position, found = next(iter(absent.items()))
    what, number, count = found.groups()
    skipped = "" if len(absent) == n_images else " Or pass --skip-corrupt to leave these out."
    raise UsageError(
        f"`{what}` must be in every file; {len(absent)} of {n_images} have no {what} {number}, such as {named(position)}, "
        f"whose last is {int(count) - 1}; all count from 0. {remedy(found[0])}{skipped}"
    )
