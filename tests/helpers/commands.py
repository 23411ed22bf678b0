"""Commands in separate processes, forked from a process that has loaded the libraries, so that they start quickly.

Loading takes seconds, and tests of interrupted commands do not need it. tests/extraction/test_passes.py starts the command from
the beginning, with `python -m hf_transferability`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

# A process that has only imported modules has no threads, which a fork would lose.
PARENT = """
import json, os, signal, sys
import hf_transferability.ranking.run, hf_transferability.reporting.terminal
from hf_transferability.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it, and passes that on
for line in sys.stdin:
    words, folder, streams, environment = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(environment)
        for number, path in enumerate(streams):
            os.dup2(os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT), number)
        sys.exit(main(words))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Commands:
    """Starts one command line after the other."""

    def __init__(self) -> None:
        # Tests must not depend on the terminal.
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self._parent = subprocess.Popen(
            [sys.executable, "-c", PARENT], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = 0

    def start(self, words: list[str], folder: Path, out: Path, err: Path, **environment: str) -> None:
        """Start a command with its streams on these paths; `pid` is its process."""
        order = [words, str(folder), [os.devnull, str(out), str(err)], environment]
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        self.pid = int(self._parent.stdout.readline())

    def status(self) -> int:
        """Wait for the end of the command; returns its exit status, or the negative number of the signal that killed it."""
        return int(self._parent.stdout.readline())

    def close(self) -> None:
        self._parent.stdin.close()
        self._parent.wait(30)
        self._parent.stdout.close()
