"""Text for a terminal: control characters, ANSI sequences and marks that turn the writing direction become visible."""

import codecs

ERRORS = "transferability_escape"  # how streams write characters that their encoding lacks


def printable(text: str) -> str:
    """A text without control characters, which could change what a terminal shows; each is written as its escape.

    Line breaks and tabs stay; see `one_line`.
    """
    return "".join(letter if letter.isprintable() or letter in "\n\t" else escaped(letter) for letter in text)


def one_line(text: str) -> str:
    """A text that stays in its cell or line: line breaks and tabs are written as escapes too."""
    return "".join(letter if letter.isprintable() else escaped(letter) for letter in text)


def escaped(text: str) -> str:
    """Every character as an escape that Python reads, and JSON too where the character has no shorter one."""
    return "".join(_escape(letter) for letter in text)


def _escape(letter: str) -> str:
    r"""\n, \t or \r; \x1b for other characters below 256; \u202e for others."""
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    r"""For a codec: characters that cannot be encoded as \uXXXX, so that JSON with such text is still JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[i : i + 2].hex() for i in range(0, len(units), 2))
    return "".join(rf"\u{pair}" for pair in pairs), error.end


codecs.register_error(ERRORS, _as_json)
