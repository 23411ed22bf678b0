"""Record the demo on a terminal as docs/demo-session.svg: run `python tools/record_session.py` after a change of the table.

It takes some minutes, as the demo makes its checkpoints and fine-tunes them. `--keep DIR` takes those of an earlier run. What
the picture shows is stdout as it is, at 100 columns; the progress, which goes to stderr, is left out.
"""

import argparse
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "demo-session.svg"
COMMAND = "hf-transferability demo --verify"
WIDTH = 100  # characters
_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # rich would load them from elsewhere


def recorded(words: list[str]) -> str:
    """What a command writes to its stdout when that is a terminal of WIDTH characters.

    Raises:
        CalledProcessError: the command fails.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(words, stdout=follower, env=environment | {"TERM": "xterm"})
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not part:
            break
        written += part
    os.close(leader)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, words)
    return written.decode().replace("\r\n", "\n")


def svg(command: str, written: str) -> str:
    """A picture of a terminal with a command and what it wrote; it needs nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False, force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(written.rstrip("\n")))
    return _FONTS.sub("", console.export_svg(title="hf-transferability", unique_id="session"))


def main() -> None:
    """Record the demo and write the picture."""
    parser = argparse.ArgumentParser(description="Record the demo as docs/demo-session.svg.")
    parser.add_argument("--keep", metavar="DIR", help="folder of an earlier `demo --keep`, which is used again")
    options = parser.parse_args()
    words = [sys.executable, "-m", *COMMAND.replace("-", "_", 1).split(), *(["--keep", options.keep] if options.keep else [])]
    PICTURE.write_text(svg(COMMAND, recorded(words)), "utf-8")
    print(f"written: {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
