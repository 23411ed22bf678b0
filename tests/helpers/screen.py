"""A small terminal: what is on its screen after a program has moved the cursor, erased lines and written."""

import re

_PIECE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|\x1b\][^\x07]*\x07|[\s\S]")


class Screen:
    """The lines that a terminal shows, also those that have been scrolled off, and whether its cursor is visible.

    Lines are as long as they are written: a terminal's width does not matter here, since programs know it.
    """

    def __init__(self, written: str) -> None:
        self.lines, self.cursor_visible = [""], True
        row = column = 0
        for piece in _PIECE.finditer(written):
            arguments, command = piece[1], piece[2]
            letter = piece[0]
            if command == "A":
                row = max(row - int(arguments or 1), 0)
            elif command == "K":
                line = self.lines[row]
                self.lines[row] = "" if arguments == "2" else line[:column]
            elif command in ("h", "l") and arguments == "?25":
                self.cursor_visible = command == "h"
            elif command or letter.startswith("\x1b"):
                continue  # colours, titles
            elif letter == "\n":
                row += 1
                self.lines += [""] * (row - len(self.lines) + 1)
            elif letter == "\r":
                column = 0
            else:
                line = self.lines[row].ljust(column)
                self.lines[row] = line[:column] + letter + line[column + 1 :]
                column += 1

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
