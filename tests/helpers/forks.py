"""Processes that are forked from one that has loaded the libraries, so that each starts in a fraction of the time.

Loading takes five seconds or more, and the first look at the bundled benchmarks two. The first server has everything but the
Hub's clients, which read their settings when they are imported, so that its processes may have settings of their own. The
second, forked from it, has the whole package, for commands with the settings of these tests. tests/extraction/test_passes.py
starts the program from the beginning.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO, Any

# A process that has only imported modules has no threads, which a fork would lose.
LIBRARIES = """
import sys
import aiohttp, fsspec, httpx, imagehash, jinja2, pandas, PIL.Image, pyarrow.dataset, pyarrow.parquet, requests
import rich.console, rich.live, rich.table, safetensors.torch, scipy.fft, scipy.linalg, scipy.stats
import sklearn.linear_model, sklearn.metrics, sklearn.mixture, sklearn.neighbors
import torch, torchvision.transforms.v2
from hf_transferability.benchmark import advice
for scenario in ("source_dataset", "architecture"):
    advice.chances("consensus", "default", scenario, 3)  # keeps the bundled benchmarks
assert "huggingface_hub" not in sys.modules
"""
PACKAGE = """
import accelerate, hf_transferability.checkpoints.loading, hf_transferability.demo.run, hf_transferability.ranking.run
import hf_transferability.reporting.terminal, hf_transferability.training.grids, hf_transferability.training.pretraining
"""
SERVE = """
from helpers.forks import serve
serve()
"""
PROGRAM = """
import sys
from hf_transferability.__main__ import main
sys.exit(main())
"""
_ORDERS = 3  # the number of the socket in a server


def serve() -> None:
    """Fork a process for each order that comes through the socket, and say how one has ended when asked; ends with it."""
    gc.freeze()  # a collection in a process would copy all that was loaded
    orders = socket.socket(fileno=_ORDERS)
    statuses: dict[int, int] = {}
    while True:
        message, streams = b"", []
        while not message.endswith(b"\n"):
            part, more, _, _ = socket.recv_fds(orders, 2**16, 8)
            if not part:
                return
            message, streams = message + part, streams + more
        asked = json.loads(message)
        if isinstance(asked, int):
            if asked not in statuses and (ended := os.waitpid(asked, os.WNOHANG))[0]:
                statuses[asked] = os.waitstatus_to_exitcode(ended[1])
            answer = statuses.get(asked)
        else:
            answer = os.fork()
            if answer == 0:
                orders.close()
                _become(streams, **asked)
                return
            with contextlib.suppress(OSError):
                os.setpgid(answer, answer)  # whichever of the two is quicker
            for stream in streams:
                os.close(stream)
        orders.sendall(json.dumps(answer).encode() + b"\n")


def _become(streams: list[int], code: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Make this process one with these streams as the first descriptors, and run the code in it."""
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        if stream >= len(streams):
            os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it, and passes that on
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<forked>", "exec"), {"__name__": "__main__"})


class Process:
    """A process of a server, much as `subprocess.Popen` with `text=True`; it leads a group of its own."""

    def __init__(
        self,
        server: "ForkServer",
        code: str,
        arguments: Sequence[str] = (),
        *,
        cwd: str | Path = ".",
        env: dict[str, str] | None = None,
        streams: Sequence[Any] = (DEVNULL, DEVNULL, DEVNULL),
    ) -> None:
        self._server, self.returncode = server, None
        self.stdin: IO[str] | None
        self.stdout: IO[str] | None
        self.stderr: IO[str] | None
        given, kept, close = [], [], []
        for number, stream in enumerate(streams):
            own = None
            if stream == PIPE:
                ends = os.pipe()
                stream, mine = ends if number == 0 else ends[::-1]
                own = os.fdopen(mine, "w" if number == 0 else "r", errors="replace")
                close.append(stream)
            elif stream == DEVNULL:
                stream = os.open(os.devnull, os.O_RDWR)
                close.append(stream)
            given.append(stream if isinstance(stream, int) else stream.fileno())
            kept.append(own)
        self.stdin, self.stdout, self.stderr = kept[:3]
        environment = dict(os.environ if env is None else env)
        order = {"code": code, "arguments": [*arguments], "folder": str(Path(cwd).absolute()), "environment": environment}
        self.pid: int = server.ask(order, given)
        for stream in close:
            os.close(stream)

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask(self.pid)
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        """The exit status at its end; it is killed and an error after `timeout` seconds."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(0.005)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Close its streams here, first its input, at whose end a loop ends; and wait for it."""
        if self.stdin:
            self.stdin.close()
        self.wait(120)
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()


class ForkServer:
    """A process that has run `imports`; `parent` is one from which it is forked."""

    def __init__(self, imports: str, parent: "ForkServer | None" = None) -> None:
        self._one_at_a_time = threading.Lock()
        self._orders, theirs = socket.socketpair()
        # Tests must not depend on the terminal.
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        tests = str(Path(__file__).parents[1])
        environment["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # as the program sets it before torch is loaded
        environment["PYTHONPATH"] = os.pathsep.join([tests, *filter(None, [environment.get("PYTHONPATH")])])
        if parent:
            streams = (DEVNULL, DEVNULL, 2, theirs)
            self._process: Any = Process(parent, imports + SERVE, env=environment, streams=streams)
        else:
            number = theirs.fileno()
            start = f"import os\nos.dup2({number}, {_ORDERS})\n" + (f"os.close({number})\n" if number != _ORDERS else "")
            self._process = subprocess.Popen(
                [sys.executable, "-c", start + imports + SERVE], env=environment, pass_fds=(theirs.fileno(),)
            )
        theirs.close()

    def ask(self, order: Any, streams: Sequence[int] = ()) -> Any:
        """The answer to an order, or to the number of a process: its exit status, or None while it runs."""
        with self._one_at_a_time:
            if streams:
                socket.send_fds(self._orders, [b" "], [*streams])
            self._orders.sendall(json.dumps(order).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = self._orders.recv(2**16)
                assert part, "the process that forks others has ended"
                answer += part
            return json.loads(answer)

    def close(self) -> None:
        """End it."""
        self._orders.close()
        self._process.wait(30)


def connected(
    server: ForkServer, words: Sequence[str], folders: Sequence[Path] | None = None, timeout: float = 300
) -> list[subprocess.CompletedProcess]:
    """A command in two processes that work together, as `torchrun` starts them; for each its status, output and errors.

    Args:
        server: which forks them.
        words: of the command line.
        folders: in which they run, each on a machine of its own with `home` in its folder as HF_HOME; default one machine.
        timeout: in seconds.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    with contextlib.ExitStack() as stack:
        started = []
        for rank in range(2):
            local = ("0", "1") if folders else (str(rank), "2")
            place = dict(zip(("LOCAL_RANK", "LOCAL_WORLD_SIZE"), local, strict=True))
            if folders:
                place["HF_HOME"] = str(folders[rank] / "home")
            folder, whole = folders[rank] if folders else ".", environment | place | {"RANK": str(rank)}
            started.append(stack.enter_context(_recorded(server, PROGRAM, words, cwd=folder, env=whole)))
        return [end(timeout) for end in started]


def finished(
    server: ForkServer, code: str, arguments: Sequence[str] = (), timeout: float = 600, **place: Any
) -> subprocess.CompletedProcess:
    """A process that has run to its end, with its status, output and errors, as of `subprocess.run`."""
    with _recorded(server, code, arguments, **place) as end:
        return end(timeout)


@contextlib.contextmanager
def _recorded(
    server: ForkServer, code: str, arguments: Sequence[str], **place: Any
) -> Iterator[Callable[[float], subprocess.CompletedProcess]]:
    """A process that is killed at the end of the block; gives what waits for it."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = Process(server, code, arguments, streams=(DEVNULL, out, err), **place)

        def end(timeout: float) -> subprocess.CompletedProcess:
            process.wait(timeout)
            texts = [file.seek(0) or file.read() for file in (out, err)]
            return subprocess.CompletedProcess([*arguments], process.returncode, *texts)

        try:
            yield end
        finally:
            process.kill()
