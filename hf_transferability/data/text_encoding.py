"""Tables that are not in UTF-8, such as the Latin-1 that spreadsheets write: named, with the way to convert them."""

import codecs
import os
from collections.abc import Sequence

from hf_transferability.errors import TargetError
from hf_transferability.escaping.terminal import printable

_TEXTS = (".csv", ".tsv", ".json", ".jsonl")
_READ = 2**20  # bytes at once


def not_utf8(table: str, place: str = "") -> TargetError:
    """The error for a table in another encoding.

    Args:
        table: its path, or words for it.
        place: what to do before, for a table that is not in a local folder.
    """
    name, encoding = printable(os.path.basename(table)[-80:]), _unicode_of(table)
    which = ""
    if encoding is None:  # nothing in a file tells one such encoding from another
        encoding, which = "cp1252", " (cp1252 is that of Western Windows; name another where it comes from elsewhere)"
    return TargetError(
        f"{name} must be in UTF-8; got another encoding. "
        f"{place}Replace it by what `iconv -f {encoding} -t utf-8` makes of it{which}."
    )


def first_not_utf8(tables: Sequence[str]) -> str | None:
    """The first table that is no UTF-8 text; without local tables the only one that is a text, if it is one."""
    texts = [path for path in tables if path.lower().endswith(_TEXTS)]
    return next((path for path in texts if os.path.isfile(path) and not _is_utf8(path)), texts[0] if len(texts) == 1 else None)


def _is_utf8(path: str) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_READ):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _unicode_of(path: str) -> str | None:
    """The form of Unicode that a file says it is in with its first bytes; None where it does not."""
    try:
        with open(path, "rb") as file:
            head = file.read(4)
    except OSError:
        return None
    if head in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    return "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else None
