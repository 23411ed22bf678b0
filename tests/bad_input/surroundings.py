"""Bad surroundings: streams, encodings, environment, full disks, signals."""

import io
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from hf_transferability.cli import main

PROGRAM = (sys.executable, "-m", "hf_transferability")
HARMLESS = {"may_work": True}


def command(words: list[str], folder: Path) -> int:
    """A command in a process of its own, with the streams of this one."""
    return subprocess.run([*PROGRAM, *words], check=False).returncode


def environment(values: dict[str, str | None], words: list[str], folder: Path) -> int:
    for name, value in values.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
    return command(words, folder)


def redirected(redirection: str, words: list[str], folder: Path) -> int:
    """A command with a redirection of the shell."""
    return subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, *words], check=False).returncode


def encoded(encoding: str, errors: str, words: list[str], folder: Path) -> int:
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0, closefd=False), encoding, errors, write_through=True)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", 0, closefd=False), encoding, errors, write_through=True)
    return main(words)


def small_files(limit: int, words: list[str], folder: Path) -> int:
    """A command whose files cannot grow beyond the limit, as on a full disk; the streams are pipes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    reader = _piped()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        return main(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.close(1)
        os.close(2)
        os.waitpid(reader, 0)


def _piped() -> int:
    """Send the streams through a pipe to a process that writes them where they went."""
    leader, follower = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(follower)
        while part := os.read(leader, 65536):
            os.write(1, part)
        os._exit(0)
    os.close(leader)
    os.dup2(follower, 1)
    os.dup2(follower, 2)
    os.close(follower)
    return child


def signalled(number: int, seconds: float, words: list[str], folder: Path) -> int:
    """A command that gets a signal when it has used so many processor seconds since its first line.

    What comes before, Python's own start and the import of this package's `__init__` and `__main__`, is no program's to
    handle.
    """
    code = "from hf_transferability import signals as s; import os, runpy, sys; f = s.install; s.install = lambda: (f(), os.write(3, b'x')); sys.argv[0] = 'x'; runpy.run_module('hf_transferability', run_name='__main__')"
    ready, ours = os.pipe()
    os.dup2(ours, 3)
    process = subprocess.Popen([sys.executable, "-c", code, *words], pass_fds=(3,))
    os.read(ready, 1)
    start = _used(process.pid)
    while process.poll() is None and _used(process.pid) - start < seconds:
        time.sleep(0.002)
    process.send_signal(number)
    return process.wait()


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 1e9
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def named(
    good: SimpleNamespace, name: str, then: Callable[[list[str], Path], int], folder: Path, words: tuple[str, ...] = ()
) -> int:
    """`rank` of a checkpoint, a dataset and a class with this name."""
    shutil.copytree(good.checkpoint, folder / name)
    shutil.copytree(good.images, folder / f"d{name}")
    for split in (folder / f"d{name}").iterdir():
        (split / "a").rename(split / name)
    return then(["rank", f"d{name}", name, "--metric", "knn", "--no-intervals", "--cache-dir", "arrays", *words], folder)


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    yield from _environments(good)
    yield from _streams(good)
    yield from _encodings(good)
    yield from _disks(good)
    yield from _signals(good)


def _environments(good: SimpleNamespace) -> Iterator[tuple]:
    score = ["score", str(good.arrays), "--metric", "logme"]
    rank = ["rank", str(good.dataset), str(good.checkpoint), "--metric", "knn", "--no-intervals"]
    away = dict.fromkeys(("HF_HOME", "HF_HUB_CACHE", "HF_ASSETS_CACHE", "HF_DATASETS_CACHE", "XDG_CACHE_HOME"))
    for home in ("/dev/null", "/proc", "/nowhere/x", "", "relative"):
        yield f"HOME={home}: score", partial(environment, {**away, "HOME": home}, score), HARMLESS
        yield f"HOME={home}: rank", partial(environment, {**away, "HOME": home}, rank), HARMLESS
    for name in ("HF_HOME", "HF_ASSETS_CACHE", "HF_DATASETS_CACHE", "TMPDIR", "MPLCONFIGDIR"):
        yield f"{name}=/dev/null: rank", partial(environment, {name: "/dev/null"}, rank), HARMLESS
    for values in ({"WORLD_SIZE": "2"}, {"WORLD_SIZE": "x"}, {"WORLD_SIZE": "2", "RANK": "0"}, {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, {"RANK": "x"}, {"LOCAL_RANK": "0"}, {"WORLD_SIZE": "-1", "LOCAL_RANK": "0"}, {"WORLD_SIZE": "2", "RANK": "5", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "x"},
                   {"ACCELERATE_MIXED_PRECISION": "x"}, {"OMP_NUM_THREADS": "x"}, {"HF_HUB_OFFLINE": "x"}, {"HF_ENDPOINT": "x"}, {"HF_TOKEN": "\u00e9"}, {"COLUMNS": "x"}, {"COLUMNS": "1"}, {"TERM": "nosuch"}, {"PYTHONHASHSEED": "0"}, {"CUDA_VISIBLE_DEVICES": "x"}, {"LANG": "nosuch", "LC_ALL": "nosuch"}, {"TZ": "nosuch"}, {"HF_HUB_DOWNLOAD_TIMEOUT": "x"}):  # fmt: skip
        name = " ".join(f"{key}={value}" for key, value in values.items())
        yield f"{name}: rank", partial(environment, values, rank), HARMLESS
    for backend in ("nosuch", "", "TkAgg", "module://nosuch"):
        yield (
            f"MPLBACKEND={backend}",
            partial(environment, {"MPLBACKEND": backend}, [*score, "--plot", "p.png", "--report", "r.html"]),
            HARMLESS,
        )
    yield "a second process that never appears", partial(_alone, rank)
    yield "a working folder that is gone", partial(_gone, score), HARMLESS
    yield "a few open files", partial(_few_files, rank), HARMLESS


def _gone(words: list[str], folder: Path) -> int:
    (folder / "gone").mkdir()
    os.chdir(folder / "gone")
    (folder / "gone").rmdir()
    return command(words, folder)


def _alone(words: list[str], folder: Path) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    values = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return environment(values, words, folder)


def _few_files(words: list[str], folder: Path) -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    return main([*words, "--cache-dir", "arrays"])


def _streams(good: SimpleNamespace) -> Iterator[tuple]:
    score = ["score", str(good.arrays), "--metric", "logme", "--cache-dir", "arrays"]
    commands = {
        "--help": ["--help"],
        "--version": ["--version"],
        "metrics": ["metrics"],
        "explain": ["explain", "knn"],
        "score": score,
        "score json": [*score, "--format", "json"],
        "score csv": [*score, "--format", "csv"],
        "no words": [],
        "wrong": ["nosuch"],
        "compare": ["benchmark", "leaderboard"],
    }
    for name, words in commands.items():
        for how in (">&-", ">/dev/full", "2>&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>/dev/full", "<&-"):
            silent = {"may_work": True}
            if "2>" in how:
                silent = {"may_work": True, "quiet": True}
            yield f"{name} {how}", partial(redirected, how, words), silent


def _encodings(good: SimpleNamespace) -> Iterator[tuple]:
    for encoding in ("ascii", "latin-1", "cp1252", "cp437", "utf-16", "utf-8"):
        for name in ("é", "日本", "\udcff", "\u202e", "😀"):
            for form in ("table", "json", "csv"):
                yield (
                    f"{encoding}: {name!a} as {form}",
                    partial(named, good, name, partial(encoded, encoding, "strict"), words=("--format", form)),
                    HARMLESS,
                )
    yield "ascii: a missing name", partial(encoded, "ascii", "strict", ["rank", "./日本", "./é"])
    yield "ascii: help", partial(encoded, "ascii", "strict", ["--help"]), HARMLESS
    yield "ascii: wrong option", partial(encoded, "ascii", "strict", ["rank", "a", "b", "--é"])
    yield "ascii: metrics", partial(encoded, "ascii", "strict", ["metrics"]), HARMLESS
    yield "ascii: score", partial(encoded, "ascii", "strict", ["score", str(good.arrays), "--cache-dir", "arrays"]), HARMLESS
    for name in ("\udcff", "=1+1", "\x1b[31m", "a|b", "<b onclick=x>"):
        yield (
            f"files of {name!a}",
            partial(
                named,
                good,
                name,
                lambda words, folder: main(words),
                words=("--output", "o.csv", "--report", "o.html", "--plot", "o.png"),
            ),
            HARMLESS,
        )
        yield (
            f"parquet of {name!a}",
            partial(named, good, name, lambda words, folder: main(words), words=("--output", "o.parquet")),
            HARMLESS,
        )


def _disks(good: SimpleNamespace) -> Iterator[tuple]:
    pretrain = [
        "pretrain",
        "--dataset",
        str(good.dataset),
        "--architecture",
        str(good.checkpoint),
        "--image-size",
        "16",
        "--steps",
        "1",
        "--output",
        "out",
    ]
    finetune = [
        "finetune",
        "--dataset",
        str(good.dataset),
        "--checkpoint",
        str(good.checkpoint),
        "--output",
        "out",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--image-size",
        "16",
        "--train-per-class",
        "4",
        "--validation-per-class",
        "2",
    ]
    rank = ["rank", str(good.dataset), str(good.checkpoint), "--metric", "knn", "--no-intervals", "--cache-dir", "arrays"]
    score = ["score", str(good.arrays), "--metric", "logme", "--cache-dir", "arrays"]
    for limit in (0, 1, 1000, 5000, 50_000):
        for name, words in {
            "pretrain": pretrain,
            "finetune": finetune,
            "rank": rank,
            "demo --keep": ["demo", "--keep", "kept"],
            "demo": ["demo"],
        }.items():
            yield f"files of {limit} bytes: {name}", partial(small_files, limit, words), HARMLESS
        for name in ("o.json", "o.csv", "o.parquet"):
            yield f"files of {limit} bytes: --output {name}", partial(small_files, limit, [*score, "--output", name]), HARMLESS
        yield (
            f"files of {limit} bytes: --plot and --report",
            partial(small_files, limit, [*score, "--plot", "p.png", "--report", "r.html"]),
            HARMLESS,
        )


def _signals(good: SimpleNamespace) -> Iterator[tuple]:
    rank = ["rank", str(good.dataset), str(good.checkpoint), "--metric", "knn", "--no-intervals", "--cache-dir", "arrays"]
    for seconds in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 4.0):
        yield f"SIGINT after {seconds} s", partial(signalled, signal.SIGINT, seconds, rank), {"status": 130}
        yield f"SIGTERM after {seconds} s", partial(signalled, signal.SIGTERM, seconds, rank), {"status": 143}
