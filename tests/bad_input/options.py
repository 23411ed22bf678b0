"""Bad options of `finetune` and `pretrain`, and of the other commands."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from bad_input.made import NO_CHECKPOINT
from hf_transferability.cli import main

NUMBERS = (
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "x",
    "",
    " ",
    "1e9",
    "99999999",
    str(2**63),
    str(2**64),
    "9" * 30,
    "9" * 5000,
    "²",
    "٣",
    "1_000",
    "0x10",
)
HARMLESS = {"may_work": True}


def finetune(good: SimpleNamespace, words: tuple[str, ...], folder: Path) -> int:
    start = [
        "finetune",
        "--dataset",
        str(good.dataset),
        "--checkpoint",
        NO_CHECKPOINT,
        "--output",
        "out",
        "--seeds",
        "1",
        "--epochs",
        "1",
    ]
    return main([*start, *words])


def pretrain(good: SimpleNamespace, words: tuple[str, ...], folder: Path) -> int:
    start = [
        "pretrain",
        "--dataset",
        str(good.dataset),
        "--architecture",
        str(good.checkpoint),
        "--output",
        "out",
        "--image-size",
        "16",
    ]
    return main([*start, *([] if {"--epochs", "--steps"} & set(words) else ["--steps", "1"]), *words])


GRIDS = {
    "empty": b"", "text": b"hello", "number": b"3", "list": b"[]", "null": b"null", "no keys": b"{}", "nested 10,000 deep": b"[" * 10_000 + b"]" * 10_000, "nested 200,000 deep": b'{"a":' * 200_000, "undecodable": b"\xff\xfe", "NaN": b'{"batch_size": [NaN], "learning_rate": [0.1], "momentum": [0], "weight_decay": [0]}',
}  # fmt: skip
GRID_VALUES = (
    None,
    "x",
    -1,
    0,
    1.5,
    2**63,
    2**70,
    10**400,
    True,
    [],
    [[]],
    {},
    [None],
    ["x"],
    [-1],
    [0],
    [1.5],
    [2**63],
    [2**70],
    [10**30],
    [True],
    [[1]],
    [1e400],
)


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    for option in (
        "--seeds",
        "--sample-seed",
        "--image-size",
        "--epochs",
        "--patience",
        "--train-per-class",
        "--validation-per-class",
        "--dropout",
        "--max-pixels",
        "--class-level",
    ):
        for value in NUMBERS:
            yield f"finetune {option} {value[:24]!r}", partial(finetune, good, (option, value)), HARMLESS
    for option in ("--batch-size", "--seed", "--image-size", "--steps", "--epochs", "--learning-rate", "--weight-decay"):
        for value in NUMBERS:
            if not (option in ("--epochs", "--steps") and value in ("99999999", "1e9")):  # long, and right
                yield f"pretrain {option} {value[:24]!r}", partial(pretrain, good, (option, value)), HARMLESS
    for name, content in GRIDS.items():
        yield f"grid: {name}", partial(_grid, good, content)
    for key in ("batch_size", "learning_rate", "momentum", "weight_decay"):
        for value in GRID_VALUES:
            grid = {"batch_size": [4], "learning_rate": [0.1], "momentum": [0.9], "weight_decay": [0], key: value}
            yield f"grid {key}: {str(value)[:24]}", partial(_grid, good, json.dumps(grid).encode()), HARMLESS
    yield (
        "grid of 10^8 settings",
        partial(
            _grid,
            good,
            json.dumps(
                {
                    "batch_size": [4],
                    "learning_rate": [i / 10**4 for i in range(1, 10**4)],
                    "momentum": [i / 10**4 for i in range(10**4)],
                    "weight_decay": [0],
                }
            ).encode(),
        ),
    )
    for grid in ("none.json", "x", "", ".", "/dev/zero", "~nosuchuser/g.json", "a\0b.json", "x" * 300 + ".json"):
        yield f"grid {grid[:20]!r}", partial(finetune, good, ("--grid", grid))
    yield "grid is a fifo", lambda folder: (os.mkfifo("g.json"), finetune(good, ("--grid", "g.json"), folder))[1]
    for output in (
        "",
        "/dev/null",
        "/dev/null/x",
        "/proc/x",
        "a\0b",
        "x" * 300,
        "~nosuchuser/x",
        os.fsdecode(b"\xff"),
        "/",
        "\x1b[31m",
    ):
        yield f"finetune --output {output[:20]!r}", partial(finetune, good, ("--output", output)), HARMLESS
        yield f"pretrain --output {output[:20]!r}", partial(pretrain, good, ("--output", output)), HARMLESS
    for split in ("", "x", "train", "[", "\x1b", "test[:1]", "x" * 5000):
        for option in ("--train-split", "--validation-split", "--test-split"):
            yield f"finetune {option} {split[:12]!r}", partial(finetune, good, (option, split)), HARMLESS
    for name in ("", "\x1b[31m", "a/b", "../x", "x" * 300, "a\0b", os.fsdecode(b"\xff"), "=1+1", "."):
        yield f"finetune --benchmark {name[:12]!r}", partial(finetune, good, ("--benchmark", name)), HARMLESS
        yield f"pretrain --licence {name[:12]!r}", partial(pretrain, good, ("--licence", name)), HARMLESS
        yield f"pretrain --architecture {name[:12]!r}", partial(pretrain, good, ("--architecture", name))
    yield from _other_commands(good)


def _grid(good: SimpleNamespace, content: bytes, folder: Path) -> int:
    (folder / "g.json").write_bytes(content)
    return finetune(good, ("--grid", "g.json"), folder)


def _other_commands(good: SimpleNamespace) -> Iterator[tuple]:
    command = partial(lambda words, folder: main(words))
    for words in (
        [], ["x"], ["--x"], ["rank"], ["rank", "--x"], ["rank", "a"], ["\x1b[31m"], ["a\0b"], ["explain", "x" * 10_000], ["explain", "\x1b[31m"], ["explain", ""], ["explain", os.fsdecode(b"\xff")], ["report", "none.json"], ["report", "/dev/null"], ["plot", "none.json"], ["metrics", "x"], ["benchmark"], ["benchmark", "x"],
        ["benchmark", "compare", "none.csv"], ["benchmark", "compare", "/dev/null"], ["score"], ["register", "/dev/null/x"], ["space", "--port", "99999999"], ["space", "--port", "9" * 5000], ["demo", "--keep", "/dev/null/x"], ["demo", "--keep", "~nosuchuser/x"], ["demo", "--keep", "a\0b"],
    ):  # fmt: skip
        yield f"command {' '.join(words)[:40]!r}", partial(command, words)
    for content in (
        b"",
        b"1",
        b"[]",
        b"{}",
        b'{"rows": 1}',
        b'{"rows": [1]}',
        b'{"rows": [{}]}',
        b"[" * 20_000,
        b"\xff",
        b'{"rows": [], "metric": 3}',
    ):
        for name in ("report", "plot"):
            yield f"{name} of {content[:20]!r}", partial(_saved, name, content)
    for option in ("--seed", "--sample-size", "--micro-batch", "--max-pixels", "--class-level"):
        for value in ("²", "9" * 5000, str(2**64), "-1", "x"):
            words = ["rank", str(good.dataset), NO_CHECKPOINT, "--cache-dir", "arrays", option, value]
            yield f"rank {option} {value[:24]!r}", partial(command, words)
    for value in ("nan,1", "1", "a,b", "2,1", "1,inf", "", ",", "1,2,3", "0,1e400"):
        yield (
            f"rank --window {value!r}",
            partial(command, ["rank", str(good.dataset), NO_CHECKPOINT, "--cache-dir", "arrays", f"--window={value}"]),
        )
    for output in (
        "/dev/full",
        "/dev/null",
        "x",
        "none/x.json",
        "x" * 300 + ".json",
        "a\0b.json",
        "/proc/x.json",
        "~nosuchuser/x.json",
        ".",
    ):
        for option in ("--output", "--report", "--plot"):
            yield (
                f"score {option} {output[:20]!r}",
                partial(command, ["score", str(good.arrays), "--cache-dir", "arrays", option, output]),
            )


def _saved(name: str, content: bytes, folder: Path) -> int:
    (folder / "r.json").write_bytes(content)
    return main([name, "r.json", "--output", "r.html" if name == "report" else "r.png"])
