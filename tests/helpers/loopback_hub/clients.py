"""How the tests of the loopback Hub call it: by an unmodified client in a subprocess, or by plain HTTP."""

from __future__ import annotations

import http.client
import json
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers.forks import ForkServer, finished

from . import LoopbackHub

# The clients wait before they try again.
SHORT_WAITS = """
import time
sleep = time.sleep
time.sleep = lambda seconds: sleep(seconds / 10)
"""

# The start of a script that runs command lines, each a line of JSON [words, token], in one process; what is done with the
# `words` follows in the loop. `waits` are the seconds that a client asked for.
COMMAND_LINES = """
import contextlib, io, json, os, sys, time, warnings
sleep, waits = time.sleep, []
def wait(seconds):
    waits.append(seconds)
    sleep(seconds / 20)
time.sleep = wait  # the clients wait often
warnings.simplefilter("error", ResourceWarning)
warnings.filterwarnings("ignore", r"unclosed file .*metadata\\.csv", ResourceWarning)  # `datasets` leaves it open
from hf_transferability.cli import main
answers = sys.stdout
for line in sys.stdin:
    words, token = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token
"""


def client(libraries: ForkServer, hub: LoopbackHub, home: Path, script: str, *arguments: str, token: str | None = None) -> Any:
    """Run a script against the hub and return what it printed last, which is JSON.

    In a process of its own, because HF_ENDPOINT is read when a client is imported. `home` becomes HF_HOME; it runs beside it.
    """
    code = SHORT_WAITS + textwrap.dedent(script)
    done = finished(libraries, code, arguments, cwd=home.parent, env=hub.environment(home, token))
    assert done.returncode == 0, done.stderr
    errors = [request for request in hub.requests if request.status >= 500 and request.fault is None]
    assert not errors, errors
    return json.loads(done.stdout.splitlines()[-1])


def ask(
    hub: LoopbackHub, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, follow: bool = True
) -> tuple[int, Any, bytes]:
    """One plain request to a path or an address, and the one that a redirect asks for; its status, headers and body."""
    url = path if path.startswith("http://") else hub.url + path
    while True:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        try:
            connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers or {})
            response = connection.getresponse()
            if response.status != 302 or not follow:
                return response.status, response.headers, response.read()
            url = response.headers["Location"]
        finally:
            connection.close()


def get(hub: LoopbackHub, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, bytes]:
    """One plain GET, and the one that a redirect asks for."""
    return ask(hub, "GET", path, headers=headers)
