"""One visitor's work, as a command line in a process of its own.

It can be stopped when its time is up; it leaves nothing behind, since downloads, caches and files are in one folder that is
removed; it shares nothing with another visitor's work; and it sees none of this process's secrets.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hf_transferability
from hf_transferability.errors import TransferabilityError, UsageError
from hf_transferability.space import limits

Document = dict[str, Any]
# Variables that a process needs; tokens and a Space's secrets are not among them.
_PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HF_ENDPOINT",
    "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)  # fmt: skip
_PROGRAM = "hf-transferability: "
_running: dict[str, list[subprocess.Popen]] = {}  # by visitor
_NO_MEMORY = re.compile(
    r"MemoryError|the memory is full|bad_alloc|allocate memory|Unable to allocate|failed to map segment", re.IGNORECASE
)


def run(
    words: Sequence[str],
    names: Sequence[str],
    files: Sequence[str | Path] = (),
    *,
    visitor: str = "",
    seconds: float | None = None,
) -> Iterator[str | Document]:
    """Run a command of the package; yields its lines of progress, then the document that it printed.

    Args:
        words: the command with its options.
        names: arguments after the options; never read as options.
        files: copied into the folder that the command runs in; their names there follow `names`.
        visitor: whose work it is, so that `leave` can end it.
        seconds: time after which it is stopped; default limits.SECONDS.

    Raises:
        UsageError: the command refuses its arguments.
        TransferabilityError: the command failed, or its time is up.
    """
    seconds = limits.SECONDS if seconds is None else seconds
    with tempfile.TemporaryDirectory(prefix="hf-transferability-work-", ignore_cleanup_errors=True) as folder:
        copies = _copied(files, Path(folder))
        operands = ["--", *names, *copies] if names or copies else []
        command = [sys.executable, "-P", "-m", "hf_transferability", *words, "--format", "json", *operands]
        output = Path(folder, ".output.json")
        with output.open("wb") as stdout:
            process = subprocess.Popen(
                command, cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        _limit_memory(process.pid)
        late = threading.Event()
        clock = threading.Timer(seconds, _stop, [process, late])
        clock.start()
        stderr_lines: list[str] = []
        if visitor:
            _running.setdefault(visitor, []).append(process)
        try:
            assert process.stderr is not None
            for line in process.stderr:
                stderr_lines = [*stderr_lines[-20:], line.rstrip().replace(f"{folder}/", "")]
                yield stderr_lines[-1]
            status = process.wait()
        finally:  # also if the caller asks for no further line
            clock.cancel()
            _stop(process)
            if visitor:
                _running[visitor].remove(process)
                if not _running[visitor]:
                    del _running[visitor]
        if late.is_set():
            raise TransferabilityError(
                f"the work is stopped after {seconds:.0f} seconds. Name fewer checkpoints or images, or use your own machine."
            )
        yield _outcome(status, output.read_bytes(), stderr_lines)


def leave(visitor: str) -> None:
    """End the work of a visitor who has closed the page, so that the next visitor's can begin."""
    for process in list(_running.get(visitor, ())):
        _kill(process)


def _outcome(status: int, output: bytes, stderr_lines: Sequence[str]) -> Document:
    if status in (0, 1) and output.strip():
        document: Document = json.loads(output)
        return document
    if status not in (0, 2) and any(_NO_MEMORY.search(line) for line in stderr_lines):
        raise TransferabilityError(
            f"the work needs more than the {limits.MEMORY / 2**30:g} GiB of memory that this page gives it. "
            "Name fewer or smaller checkpoints or images, or use your own machine."
        )
    messages = [line.removeprefix(_PROGRAM) for line in stderr_lines if line.startswith(_PROGRAM)] or list(stderr_lines[-1:])
    text = " ".join(messages) or f"the work ended with status {status}, perhaps for lack of memory. Name fewer checkpoints."
    raise (UsageError if status == 2 else TransferabilityError)(text)


def _limit_memory(pid: int) -> None:
    """Limit the memory of a process that has just started, and of all processes that it will start. Linux only."""
    if not hasattr(resource, "prlimit"):
        return
    # CUDA reserves far more addresses than there is memory; RLIMIT_DATA does not count reserved addresses.
    kind = resource.RLIMIT_DATA if Path("/dev/nvidiactl").exists() else resource.RLIMIT_AS
    hard = resource.getrlimit(kind)[1]
    bound = limits.MEMORY if hard == resource.RLIM_INFINITY else min(limits.MEMORY, hard)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, kind, (bound, bound))


def _environment(folder: str) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    paths = [str(Path(hf_transferability.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    home = {"HOME": folder, "HF_HOME": str(Path(folder, ".home")), "PYTHONPATH": os.pathsep.join(paths)}
    return passed | home | {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}


def _copied(files: Sequence[str | Path], folder: Path) -> list[str]:
    names: list[str] = []
    for file in map(Path, files):
        name, number = file.name, 1
        while name in names:
            number += 1
            name = f"{file.stem}-{number}{file.suffix}"
        shutil.copyfile(file, folder / name)
        names.append(name)
    return names


def _stop(process: subprocess.Popen, late: threading.Event | None = None) -> None:
    """End a process and all that it has started; `late` is set if it was still running."""
    if process.poll() is None:
        if late is not None:
            late.set()
        _kill(process)
    if late is None:
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
