"""Bad calls of the public Python functions."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import hf_transferability as package
from bad_input.made import NO_CHECKPOINT

N = 24


def call(make: Callable[[], Any], folder: Path) -> int:
    make()
    return 0


class Weird:
    """An object that answers nothing."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None, "a number": lambda: 3, "a float": lambda: 1.5, "NaN": lambda: float("nan"), "true": lambda: True, "empty text": lambda: "", "text": lambda: "nosuch", "bytes": lambda: b"x", "empty list": lambda: [], "list of numbers": lambda: [1], "list of None": lambda: [None], "dict": lambda: {"a": 1}, "set": lambda: {"a"},
    "an object": object, "a class": lambda: dict, "a function": lambda: print, "a generator": lambda: (x for x in ("a", "b")), "an array": lambda: np.zeros(3), "a tensor": lambda: torch.zeros(3), "beyond 64 bits": lambda: 2**70, "negative": lambda: -1, "NUL": lambda: "a\0b", "lone surrogate": lambda: "\ud800", "nested": lambda: [[["a"]]],
}  # fmt: skip
OPTIONS = (
    "metrics", "scenario", "variant", "intervals", "floor", "known", "skip_corrupt", "batches", "micro_batch", "cache_dir", "use_cache", "progress", "config", "split", "revision", "image_column", "label_column", "class_level", "label_separator", "task", "sample_size", "draw", "seed", "streaming", "window", "frame",
    "max_pixels", "follow_links", "token", "allow_pickle", "trust_remote_code", "processor", "pooling", "model_args", "architecture",
)  # fmt: skip
HARMLESS = {"may_work": True}


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    yield from _rank(good)
    yield from _scores()
    yield from _features(good)
    yield from _others(good)


def _rank(good: SimpleNamespace) -> Iterator[tuple]:
    dataset = str(good.dataset)

    def ranked(*arguments: Any, **options: Any) -> Any:
        return package.rank(
            *arguments, **{"cache_dir": good.folder / "arrays", "intervals": False, "metrics": ["knn"], **options}
        )

    for name, make in VALUES.items():
        yield f"rank({name}, ...)", partial(call, lambda m=make: ranked(m(), [NO_CHECKPOINT]))
        yield f"rank(..., {name})", partial(call, lambda m=make: ranked(dataset, m())), HARMLESS
    for option in OPTIONS:
        for name in (
            "None",
            "a number",
            "a float",
            "true",
            "text",
            "bytes",
            "empty list",
            "list of numbers",
            "dict",
            "an object",
            "a generator",
            "an array",
            "beyond 64 bits",
            "negative",
            "NUL",
        ):
            yield (
                f"rank({option}={name})",
                partial(call, lambda o=option, m=VALUES[name]: ranked(dataset, [NO_CHECKPOINT], **{o: m()})),
                HARMLESS,
            )
    for window in (
        (1,),
        1,
        (1, 2, 3),
        ("a", "b"),
        (2, 1),
        (float("nan"), 1),
        (None, None),
        [[1, 2]],
        (1, 1),
        (True, 2),
        np.zeros(2),
        {1: 2},
    ):
        yield f"rank(window={window!r})", partial(call, lambda w=window: ranked(dataset, [NO_CHECKPOINT], window=w))
    for option in ("metric", "sead", "splits", "windows", "nosuch", "Seed"):
        yield f"rank({option}=1)", partial(call, lambda o=option: ranked(dataset, [NO_CHECKPOINT], **{o: 1}))


def _good() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    probabilities = rng.random((N, 4))
    return {
        "features": rng.normal(size=(N, 5)),
        "labels": np.arange(N) % 2,
        "source_probabilities": probabilities / probabilities.sum(1, keepdims=True),
        "gradient_norms": np.abs(rng.normal(size=(6, 2))),
    }


ARRAYS: dict[str, Callable[[], Any]] = {
    "sparse tensor": lambda: torch.zeros(N, 5).to_sparse(), "quantised tensor": lambda: torch.quantize_per_tensor(torch.zeros(N, 5), 1.0, 0, torch.qint8), "meta tensor": lambda: torch.zeros(N, 5, device="meta"), "complex tensor": lambda: torch.zeros(N, 5, dtype=torch.complex64), "gradient": lambda: torch.zeros(N, 5, requires_grad=True),
    "list of sparse": lambda: [torch.zeros(5).to_sparse()] * N, "list of meta": lambda: [torch.zeros(5, device="meta")] * N, "conjugate": lambda: torch.zeros(N, 5, dtype=torch.complex64).conj(), "csr": lambda: torch.zeros(N, 5).to_sparse_csr(), "scipy sparse": lambda: __import__("scipy.sparse").sparse.csr_matrix(np.zeros((N, 5))), "masked": lambda: np.ma.masked_array(np.zeros((N, 5)), mask=True),
    "frame": lambda: __import__("pandas").DataFrame({"a": ["x"] * N}), "series": lambda: __import__("pandas").Series(["x", None] * (N // 2)), "categorical": lambda: __import__("pandas").Categorical(["a", "b"] * (N // 2)), "nullable": lambda: __import__("pandas").array([1, None] * (N // 2)), "ragged": lambda: [[1.0], [1.0, 2.0]] * (N // 2), "list of None": lambda: [None] * N,
    "list of lists of text": lambda: [["a"]] * N, "list of dicts": lambda: [{}] * N, "generator": lambda: (x for x in range(N)), "range": lambda: range(N), "dict": lambda: {"a": 1}, "set": lambda: {1, 2}, "text": lambda: "abc", "None in list": lambda: [1.0] * (N - 1) + [None], "mixed": lambda: [1, "a"] * (N // 2), "numbers beyond 64 bits": lambda: [2**70 + i for i in range(N)], "an object": object, "0-d": lambda: np.array(1.0),
    "empty": lambda: [], "3-d": lambda: np.zeros((N, 2, 2)), "strings array": lambda: np.full((N, 5), "x"), "objects array": lambda: np.full((N, 5), object()), "void": lambda: np.zeros(N, "V3"), "dates": lambda: np.zeros((N, 5), "datetime64[s]"), "weird": Weird, "list of weird": lambda: [Weird()] * N, "bytes": lambda: b"abc", "true": lambda: True, "number": lambda: 3, "nested deep": lambda: _nested(200), "int8 tensor": lambda: torch.zeros(N, 5, dtype=torch.int8), "fractions": lambda: [__import__("fractions").Fraction(1, i + 1) for i in range(N)], "tuples": lambda: [(1, "a")] * N,
}  # fmt: skip


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def _scores() -> Iterator[tuple]:
    for argument in ("features", "labels", "source_probabilities", "gradient_norms"):
        metric = {
            "features": "logme",
            "labels": "gbc",
            "source_probabilities": "leep",
            "gradient_norms": "feature_update_ratio",
        }[argument]
        for name, make in ARRAYS.items():
            yield (
                f"score({metric}, {argument}={name})",
                partial(call, lambda a=argument, q=metric, m=make: package.score(q, **{**_good(), a: m()})),
                HARMLESS,
            )
    yield from _missing_values()
    for option in ("variant", "seed", "task", "half_sample"):
        for name, make in VALUES.items():
            yield (
                f"score({option}={name})",
                partial(call, lambda o=option, m=make: package.score("nleep", **_good(), **{o: m()})),
                HARMLESS,
            )
    for name, make in VALUES.items():
        yield f"score({name})", partial(call, lambda m=make: package.score(m(), **_good()))
        work = {
            "may_work": name in ("empty list", "list of numbers", "list of None", "an array", "a tensor")
        }  # without a score: no order
        yield f"combine({name})", partial(call, lambda m=make: package.combine(m(), m())), work
    for metric in package.all_metrics().values():
        typo = {key: _good()[key] for key in metric.inputs}
        yield (
            f"score({metric.name}, variant='typo')",
            partial(call, lambda q=metric, t=typo: package.score(q.name, **t, variant="typo")),
        )
        yield f"score({metric.name}, nosuch=1)", partial(call, lambda q=metric, t=typo: package.score(q.name, **t, nosuch=1))
        if "variant" in metric.options:
            yield f"{metric.name}(variant='typo')", partial(call, lambda q=metric, t=typo: q.function(**t, variant="typo"))
            yield f"{metric.name}(variant=None)", partial(call, lambda q=metric, t=typo: q.function(**t, variant=None))
    for options in ({"scenario": "x"}, {"scenario": None}, {"variant": "x"}, {"nosuch": 1}):
        yield f"combine({options})", partial(call, lambda o=options: package.combine([1, 2, 3], [1, 2, 3], **o))


MISSING: dict[str, list] = {
    "with None": [None, *"ab" * 12][:N], "with NaN": [float("nan"), *range(N - 1)], "with NaN among texts": [float("nan"), *"ab" * 12][:N], "with empty texts": ["", *"ab" * 12][:N], "with blanks": [" \t", *"ab" * 12][:N],
    "that are all None": [None] * N, "that are empty": [], "with NA": [__import__("pandas").NA, *"ab" * 12][:N],
}  # fmt: skip


def _missing_values() -> Iterator[tuple]:
    """Labels and groups of which some are missing, for metrics with and without groups."""

    def computed(metric: str, inputs: dict[str, Any]) -> Any:
        from hf_transferability.evaluate_module import Transferability

        return Transferability(metric).compute(**inputs)

    good = {"predictions": _good()["features"], "references": _good()["labels"]}
    for name, values in MISSING.items():
        for argument in ("references", "groups"):
            for metric in ("default", "logme", "knn"):
                yield (
                    f"{argument} {name}, through evaluate ({metric})",
                    partial(call, lambda m=metric, a=argument, v=values: computed(m, {**good, a: v})),
                )
        for metric in ("logme", "knn"):
            for argument in ("labels", "groups"):
                arrays = {"features": _good()["features"], "labels": _good()["labels"], argument: values}
                yield f"score({metric}, {argument} {name})", partial(call, lambda m=metric, a=arrays: package.score(m, **a))


def _features(good: SimpleNamespace) -> Iterator[tuple]:
    file = str(good.arrays)
    for name, make in VALUES.items():
        yield f"rank_features({name})", partial(call, lambda m=make: package.rank_features(m(), cache_dir="arrays"))
        for option in ("metrics", "parameters", "scenario", "variant", "seed", "cache_dir", "intervals"):
            yield (
                f"rank_features({option}={name})",
                partial(
                    call,
                    lambda o=option, m=make: package.rank_features(
                        [file], **{"metrics": ["logme"], "cache_dir": "arrays", "intervals": False, o: m()}
                    ),
                ),
                HARMLESS,
            )
    yield "rank_features(nosuch=1)", partial(call, lambda: package.rank_features([file], nosuch=1))


def _others(good: SimpleNamespace) -> Iterator[tuple]:
    from hf_transferability.checkpoints.options import LoadOptions
    from hf_transferability.data.options import SampleOptions
    from hf_transferability.training.grids import run_grid
    from hf_transferability.training.pretraining import PretrainingOptions, pretrain
    from hf_transferability.training.settings import Protocol

    def ranking() -> Any:
        return package.rank_features([str(good.arrays)], metrics=["logme"], intervals=False, cache_dir="arrays")

    for name, make in VALUES.items():
        yield f"save({name})", partial(call, lambda m=make: ranking().save(m()))
        yield f"run_grid({name}, ...)", partial(call, lambda m=make: run_grid(m(), [str(good.checkpoint)], "out"))
        yield f"run_grid(..., {name})", partial(call, lambda m=make: run_grid(str(good.dataset), m(), "out"))
        yield (
            f"run_grid(grid={name})",
            partial(call, lambda m=make: run_grid(str(good.dataset), [NO_CHECKPOINT], "out", grid=m())),
        )
        yield (
            f"run_grid(folder={name})",
            partial(call, lambda m=make: run_grid(str(good.dataset), [NO_CHECKPOINT], m())),
            HARMLESS,
        )
        yield (
            f"run_grid(seeds={name})",
            partial(call, lambda m=make: run_grid(str(good.dataset), [NO_CHECKPOINT], "out", seeds=m(), grid="small")),
            HARMLESS,
        )
        yield f"pretrain({name}, ...)", partial(call, lambda m=make: pretrain(m(), str(good.checkpoint), "out"))
        yield f"pretrain(architecture={name})", partial(call, lambda m=make: pretrain([str(good.dataset)], m(), "out"))
        for field in ("epochs", "dropout", "image_size", "sample_seed"):
            yield f"Protocol({field}={name})", partial(call, lambda f=field, m=make: Protocol(**{f: m()})), HARMLESS
        for field in ("epochs", "batch_size", "learning_rate", "seed", "max_steps"):
            yield (
                f"PretrainingOptions({field}={name})",
                partial(call, lambda f=field, m=make: PretrainingOptions(**{f: m()})),
                HARMLESS,
            )
        for field in ("pooling", "model_args"):
            yield f"LoadOptions({field}={name})", partial(call, lambda f=field, m=make: LoadOptions(**{f: m()})), HARMLESS
        for field in ("class_level", "sample_size", "seed", "draw", "task", "window", "frame"):
            yield f"SampleOptions({field}={name})", partial(call, lambda f=field, m=make: SampleOptions(**{f: m()})), HARMLESS
    for name, config in {
        "deep": b'{"a":' * 20_000,
        "deep lists": b"[" * 200_000,
        "a list": b"[]",
        "undecodable": b"\xff",
    }.items():
        yield f"a local copy whose configuration is {name}", partial(_local_copy, config), HARMLESS
    yield "run_grid(epoch=1)", partial(call, lambda: run_grid(str(good.dataset), [NO_CHECKPOINT], "out", epoch=1))
    yield "pretrain(nosuch=1)", partial(call, lambda: pretrain([str(good.dataset)], str(good.checkpoint), "out", nosuch=1))


def _local_copy(config: bytes, folder: Path) -> int:
    """A candidate whose published results are looked for by what its configuration names."""
    from hf_transferability.ranking.candidates import Candidate
    from hf_transferability.ranking.known import read_known, with_known

    (folder / "config.json").write_bytes(config)
    (candidate,), _ = with_known([Candidate(str(folder))], read_known(), {})
    assert candidate.facts["known_elsewhere"] is None
    return 0
