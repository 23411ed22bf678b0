"""One case of bad input: run in a process of its own, with a limit of time, and put into a class of outcomes.

The process is forked from one that has loaded the libraries, so that a case takes a fraction of a second.
"""

import contextlib
import json
import linecache
import os
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hf_transferability
from hf_transferability.errors import TransferabilityError

LIMIT = 30.0  # processor seconds of one case
WALL_LIMIT = 240.0  # seconds; a case may sleep for ever, on a machine that others use
MEMORY = 3 * 2**30  # bytes that the process may hold at most, with the libraries' 0.5 GiB
PACKAGE = str(Path(hf_transferability.__file__).parent)
_LONGEST_LINE = 2000  # characters that are looked at
GOOD = ("named error", "works")


@dataclass(frozen=True)
class Case:
    """A bad input and the door that gets it.

    Attributes:
        kind: group in the matrix.
        name: what is bad.
        act: called in an empty folder; returns the exit status of a command, or None.
        may_work: the input may also be taken, as it can be read in a sensible way.
        status: exit status that is required; None for 1 or 2.
        quiet: nothing can be said, as stderr cannot be written to.
    """

    kind: str
    name: str
    act: Callable[[Path], Any]
    may_work: bool = False
    status: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a case: its class, and the line that shows it."""

    kind: str
    text: str

    @property
    def good(self) -> bool:
        """Whether the user is told what is wrong, or the input could be used."""
        return self.kind in GOOD


def run(case: Case, folder: Path) -> Outcome:
    """Run a case in a new folder below this one."""
    place = folder / re.sub(r"\W+", "-", case.name, flags=re.ASCII)[:60]
    while place.exists():
        place = place.with_name(place.name + "x")
    place.mkdir(parents=True)
    out = folder / f"{place.name}.out"
    child = os.fork()
    if child == 0:
        _child(case, place, out)
    status, usage, ended = _wait(child)
    text = out.read_text("utf-8", "replace") if out.exists() else ""
    text = "\n".join(line[:_LONGEST_LINE] for line in text.splitlines())  # the patterns below take the square of its length
    if not ended:
        return Outcome("hang", f"no end after {usage.ru_utime + usage.ru_stime:.0f} processor seconds; {_last(text)}")
    return _classified(case, os.waitstatus_to_exitcode(status), text, usage)


def _wait(child: int) -> tuple[int, Any, bool]:
    began = time.monotonic()
    ended = True
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return status, usage, ended
        if time.monotonic() - began > WALL_LIMIT:
            ended = False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.005)


def _child(case: Case, place: Path, out: Path) -> None:
    os.setpgid(0, 0)
    code = 70
    try:
        target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # pytest has others in their place
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        resource.setrlimit(resource.RLIMIT_CPU, (int(LIMIT), int(LIMIT) + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (2 * MEMORY, 2 * MEMORY))  # an endless file must not fill the machine
        for number in (signal.SIGINT, signal.SIGTERM):  # a background job of a shell ignores them
            signal.signal(number, signal.SIG_DFL)
        os.chdir(place)
        warnings.simplefilter("ignore")
        code = _status(case.act, place)
    except BaseException as error:
        code = _raised(error)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _status(act: Callable[[Path], Any], place: Path) -> int:
    try:
        value = act(place)
    except SystemExit as end:
        value = end.code
    return value if isinstance(value, int) else 0


def _raised(error: BaseException) -> int:
    """Write an exception of a Python call: as a named error if this package raised it on purpose."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    line = linecache.getline(last.filename, last.lineno or 0).strip() if last else ""
    own = isinstance(error, TransferabilityError) or (
        last is not None and last.filename.startswith(PACKAGE) and line.startswith("raise ") and "`" in str(error)
    )
    entry = {
        "type": type(error).__name__,
        "text": str(error)[:300],
        "own": own,
        "line": f"{line} ({last.filename if last else ''})",
    }
    os.write(2, ("\nRAISED " + json.dumps(entry) + "\n").encode())
    return 71


def _classified(case: Case, status: int, text: str, usage: Any) -> Outcome:
    if status < 0 and status not in (-signal.SIGINT, -signal.SIGTERM):
        kind = "hang" if status in (-signal.SIGXCPU, -signal.SIGKILL) else "crash"
        return Outcome(kind, f"signal {-status}; {_last(text)}")
    raised = re.search(r"^RAISED (\{.*\})$", text, re.MULTILINE)
    if raised:
        entry = json.loads(raised[1])
        kind = "named error" if entry["own"] and "unexpected " not in entry["text"][:12] else "traceback"
        more = "" if kind == "named error" else f" at {entry['line']}"
        return Outcome(kind, f"{entry['type']}: {entry['text']}{more}")
    if "Traceback (most recent call last)" in text or "Exception ignored" in text or "Fatal Python error" in text:
        return Outcome("traceback", _last(text))
    if found := re.search(r".*unexpected [A-Z]\w+: .*|.*unexpected (Error|Exception)\b.*", text):
        return Outcome("unexpected", found[0].strip()[:300])
    if usage.ru_maxrss * 1024 > MEMORY:
        return Outcome("memory", f"{usage.ru_maxrss / 2**20:.1f} GiB")
    if case.status is not None:
        good = status == case.status and bool(text.strip())
        return Outcome("named error" if good else "wrong result", f"status {status}; {_message(text)}")
    if status in (1, 2):
        message = _message(text)
        return Outcome("named error" if message or case.quiet else "wrong result", message or f"status {status}")
    if status == 0:
        return Outcome("works" if case.may_work else "wrong result", f"accepted; {_last(text)}")
    return Outcome("wrong result", f"status {status}; {_last(text)}")


def _message(text: str) -> str:
    for pattern in (r"^hf-transferability.*?: (.+)", r"^(?:\[.*)?.*FAILED: (.+)", r"^failed: (.+)", r"^(.+)"):
        if found := re.search(pattern, text, re.MULTILINE):
            return found[1][:200]
    return ""


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"
