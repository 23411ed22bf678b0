"""Bad checkpoints, through `rank` on a small good dataset."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bad_input.datasets import CARD_VALUES
from hf_transferability.cli import main


def rank(good: SimpleNamespace, checkpoint: str, *words: str) -> int:
    words = ("--metric", "knn", "--no-intervals", "--cache-dir", str(good.folder / "arrays"), *words)
    return main(["rank", str(good.dataset), checkpoint, *words])


def changed(good: SimpleNamespace, change: Callable[[Path], Any], folder: Path, words: tuple[str, ...] = ()) -> int:
    shutil.copytree(good.checkpoint, folder / "c")
    change(folder / "c")
    return rank(good, "c", *words)


def _set(file: str, key: str, value: Any) -> Callable[[Path], None]:
    def change(checkpoint: Path) -> None:
        content = json.loads((checkpoint / file).read_text())
        (checkpoint / file).write_text(json.dumps({**content, key: value}))

    return change


def _write(file: str, content: bytes | str) -> Callable[[Path], Any]:
    return lambda checkpoint: (checkpoint / file).write_bytes(content if isinstance(content, bytes) else content.encode())


VALUES: dict[str, Any] = {
    "null": None, "text": "x", "negative": -1, "zero": 0, "huge": 10**9, "beyond 64 bits": 2**70, "float": 1.5, "list": [1, "a"], "dict": {"a": 1}, "true": True, "empty": [], "deep": [[[[1]]]],
}  # fmt: skip
KEYS = (
    "num_channels",
    "embedding_size",
    "hidden_sizes",
    "depths",
    "layer_type",
    "hidden_act",
    "model_type",
    "architectures",
    "id2label",
    "label2id",
    "num_labels",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "auto_map",
    "problem_type",
    "out_features",
    "quantization_config",
)
PROCESSOR_KEYS = (
    "image_mean",
    "image_std",
    "size",
    "image_processor_type",
    "do_resize",
    "resample",
    "rescale_factor",
    "crop_size",
)
HARMLESS = {"may_work": True}


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    for key in KEYS:
        for name, value in VALUES.items():
            yield f"config {key}: {name}", partial(changed, good, _set("config.json", key, value)), HARMLESS
    for key in PROCESSOR_KEYS:
        for name, value in VALUES.items():
            yield f"processor {key}: {name}", partial(changed, good, _set("preprocessor_config.json", key, value)), HARMLESS
    yield from _configurations(good)
    yield from _cards(good)
    yield from _weights(good)
    yield from _names(good)
    yield from _other(good)


def _configurations(good: SimpleNamespace) -> Iterator[tuple]:
    texts: dict[str, bytes | str] = {
        "empty": b"", "text": b"hello", "number": b"1", "list": b"[]", "null": b"null", "undecodable": b"\xff\xfe", "deep": b'{"a":' * 20_000, "deep lists": b"[" * 200_000, "NaN": b"{\"model_type\": NaN}", "no keys": b"{}", "only type": b'{"model_type": "resnet"}',
        "unknown type": b'{"model_type": "nosuch\\u001b[31m"}', "text model": b'{"model_type": "bert"}', "audio model": b'{"model_type": "wav2vec2"}', "long": b'{"model_type": "' + b"x" * 10**6 + b'"}', "large number": b'{"model_type": "resnet", "depths": [' + b"9" * 5000 + b"]}",
    }  # fmt: skip
    for file in ("config.json", "preprocessor_config.json"):
        for name, text in texts.items():
            yield f"{file} is {name}", partial(changed, good, _write(file, text)), HARMLESS
        yield f"{file} missing", partial(changed, good, lambda c, f=file: (c / f).unlink()), HARMLESS
        yield f"{file} is a folder", partial(changed, good, lambda c, f=file: ((c / f).unlink(), (c / f).mkdir()))
        yield f"{file} is a fifo", partial(changed, good, lambda c, f=file: ((c / f).unlink(), os.mkfifo(c / f)))
    layers = 10**6
    yield "10^6 layers in a stage", partial(changed, good, _set("config.json", "depths", [layers] * 4))
    yield "10^6 stages", partial(changed, good, _set("config.json", "depths", [1] * layers)), HARMLESS
    for kind in ("vit", "beit", "dinov2", "swin", "convnext", "deit"):
        many = {
            "model_type": kind,
            "num_hidden_layers": layers,
            "depths": [layers] * 4,
            "hidden_size": 12,
            "image_size": 16,
            "patch_size": 8,
        }
        yield f"{kind} of 10^6 layers", partial(changed, good, _write("config.json", json.dumps(many)))
        wide = {
            "model_type": kind,
            "hidden_size": 10**7,
            "intermediate_size": 10**9,
            "embed_dim": 10**7,
            "hidden_sizes": [10**7] * 4,
            "image_size": 16,
        }
        yield f"{kind} 10^7 wide", partial(changed, good, _write("config.json", json.dumps(wide)))
        yield (
            f"{kind} of images 10^6 wide",
            partial(
                changed, good, _write("config.json", json.dumps({"model_type": kind, "image_size": 10**6, "patch_size": 1}))
            ),
        )
    yield "10^6 labels", partial(changed, good, _set("config.json", "id2label", {str(i): "x" for i in range(10**6)})), HARMLESS


def _cards(good: SimpleNamespace) -> Iterator[tuple]:
    for key in ("license", "datasets", "model-index", "base_model", "tags", "language", "library_name"):
        for name, value in CARD_VALUES.items():
            yield (
                f"card {key}: {name}",
                partial(changed, good, _write("README.md", f"---\n{json.dumps({key: value})}\n---\n")),
                HARMLESS,
            )
    bombs = (
        "---\na0: &a0 [x,x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
        + "datasets: *a11\n---\n"
    )
    texts: dict[str, bytes | str] = {
        "no YAML": "---\n[\n---\n", "undecodable": b"---\nlicense: \xff\n---\n", "aliases": bombs, "deep": "---\na: " + "[" * 10_000 + "\n---\n", "very deep": "---\na: " + "{a: " * 100_000 + "\n---\n", "large": "---\nlicense: mit\n---\n" + "x" * 50_000_000,
        "a large head": "---\n" + "".join(f"k{i}: {i}\n" for i in range(500_000)) + "---\n", "dashes": "---\n" * 200_000, "blanks": "---" + " " * 200_000 + "\n", "a circle": "---\ndatasets: &a [*a]\n---\n", "an object": "---\ndatasets: !!python/object/apply:os.system ['true']\n---\n", "control": "---\nlicense: \"\\x1b[31mmit\"\n---\n", "empty": "", "NUL": b"---\nlicense: \0\n---\n",
    }  # fmt: skip
    for name, text in texts.items():
        yield f"card: {name}", partial(changed, good, _write("README.md", text)), HARMLESS
    yield "card is a folder", partial(changed, good, lambda c: (c / "README.md").mkdir()), HARMLESS
    yield "card is a fifo", partial(changed, good, lambda c: os.mkfifo(c / "README.md")), HARMLESS
    yield "card links to a device", partial(changed, good, lambda c: os.symlink("/dev/zero", c / "README.md")), HARMLESS


def _weights(good: SimpleNamespace) -> Iterator[tuple]:
    file = "model.safetensors"
    contents = {
        "empty": b"", "short": b"\x01", "text": b"hello world", "huge header": struct.pack("<Q", 2**62), "no JSON": struct.pack("<Q", 1) + b"{", "no tensors": struct.pack("<Q", 2) + b"{}", "an LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a pickle": b"\x80\x04N.", "zeros": b"\0" * 1000, "HTML": b"<html>404</html>",
    }  # fmt: skip
    for name, content in contents.items():
        yield f"weights: {name}", partial(changed, good, _write(file, content))
    yield "weights cut", partial(changed, good, lambda c: os.truncate(c / file, (c / file).stat().st_size // 2))
    yield "weights missing", partial(changed, good, lambda c: (c / file).unlink())
    yield "weights are a folder", partial(changed, good, lambda c: ((c / file).unlink(), (c / file).mkdir()))
    yield "weights are a fifo", partial(changed, good, lambda c: ((c / file).unlink(), os.mkfifo(c / file)))
    yield "weights link to a device", partial(changed, good, lambda c: ((c / file).unlink(), os.symlink("/dev/zero", c / file)))
    yield "weights link to themselves", partial(changed, good, lambda c: ((c / file).unlink(), os.symlink(file, c / file)))
    for name, change in _TENSORS.items():
        yield f"weights: {name}", partial(changed, good, partial(_tensors, change)), HARMLESS
    index = {
        "empty": b"",
        "number": b"1",
        "list": b"[]",
        "no map": b"{}",
        "map of numbers": b'{"weight_map": {"a": 1}}',
        "missing part": b'{"weight_map": {"a": "gone.safetensors"}}',
        "outside": b'{"weight_map": {"a": "../x.safetensors"}}',
        "absolute": b'{"weight_map": {"a": "/etc/passwd"}}',
        "deep": b'{"weight_map":' * 20_000,
        "undecodable": b"\xff",
        "map is a list": b'{"weight_map": []}',
    }
    for name, content in index.items():
        yield (
            f"index: {name}",
            partial(changed, good, lambda c, t=content: ((c / file).unlink(), (c / f"{file}.index.json").write_bytes(t))),
        )
    for pickle in (
        "pytorch_model.bin",
        "model.pt",
        "x.ckpt",
        "weights.h5",
        "tf_model.h5",
        "flax_model.msgpack",
        "open_clip_pytorch_model.bin",
    ):
        for words in ((), ("--allow-pickle",)):
            yield (
                f"only {pickle} {' '.join(words)}",
                partial(
                    changed, good, lambda c, p=pickle: ((c / file).unlink(), (c / p).write_bytes(b"\x80\x04N.")), words=words
                ),
            )


def _tensors(change: Callable[[dict], Any], checkpoint: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(checkpoint / "model.safetensors")
    change(tensors)
    save_file(
        {name: value.contiguous() for name, value in tensors.items()},
        checkpoint / "model.safetensors",
        metadata={"format": "pt"},
    )


def _every(function: Callable[[Any], Any]) -> Callable[[dict], None]:
    def change(tensors: dict) -> None:
        for name in tensors:
            if tensors[name].is_floating_point():
                tensors[name] = function(tensors[name])

    return change


_TENSORS: dict[str, Callable[[dict], Any]] = {
    "NaN": _every(lambda t: t * float("nan")), "infinite": _every(lambda t: t / 0), "zero": _every(lambda t: t * 0), "huge": _every(lambda t: t * 1e30), "half": _every(lambda t: t.half()), "bfloat16": _every(lambda t: t.bfloat16()), "double": _every(lambda t: t.double()),
    "integers": _every(lambda t: t.int()), "booleans": _every(lambda t: t > 0), "transposed": _every(lambda t: t.t() if t.ndim == 2 else t), "flat": _every(lambda t: t.flatten()), "empty": _every(lambda t: t.flatten()[:0]), "one more axis": _every(lambda t: t[None]), "complex": _every(lambda t: t.to(__import__("torch").complex64)),
    "float8": _every(lambda t: t.to(__import__("torch").float8_e4m3fn)), "none": lambda tensors: tensors.clear(), "half of them": lambda tensors: [tensors.pop(name) for name in list(tensors)[::2]], "other names": lambda tensors: [tensors.__setitem__(f"x.{name}", tensors.pop(name)) for name in list(tensors)], "long names": lambda tensors: tensors.__setitem__("x" * 100_000, next(iter(tensors.values())).clone()), "control names": lambda tensors: tensors.__setitem__("\x1b[31m", next(iter(tensors.values())).clone()),
}  # fmt: skip


def _names(good: SimpleNamespace) -> Iterator[tuple]:
    from bad_input import datasets

    names = [(name, act.args[0]) for name, act, *_ in datasets._places()]
    names += [("revision", "a/b@"), ("revision of blanks", "a/b@ "), ("revision of dots", "a/b@../../x"), ("long revision", "a/b@" + "x" * 5000), ("revision NUL", "a/b@\0"), ("revision undecodable", "a/b@" + os.fsdecode(b"\xff")), ("a weights file", str(good.checkpoint / "model.safetensors")), ("timm", "timm:nosuch"), ("two at", "a/b@c@d"), ("hub of timm", "hf-hub:timm/x")]  # fmt: skip
    for name, text in names:
        yield f"named {name}", partial(lambda text, folder: rank(good, text), text)
        yield (
            f"processor named {name}",
            partial(lambda text, folder: rank(good, str(good.checkpoint), "--processor", text), text),
        )


def _other(good: SimpleNamespace) -> Iterator[tuple]:
    yield "empty folder", lambda folder: ((folder / "c").mkdir(), rank(good, "c"))[1]
    yield (
        "undecodable bytes in the folder",
        lambda folder: (
            shutil.copytree(good.checkpoint, os.fsdecode(b"./\xff\xfe")),
            rank(good, os.fsdecode(b"./\xff\xfe"), "--output", "o.json", "--report", "o.html", "--format", "csv"),
        )[1],
        HARMLESS,
    )
    yield (
        "control characters in the folder",
        lambda folder: (shutil.copytree(good.checkpoint, "./\x1b[31m"), rank(good, "./\x1b[31m"))[1],
        HARMLESS,
    )
    yield (
        "undecodable file beside",
        partial(changed, good, lambda c: (c / os.fsdecode(b"\xff.json")).write_bytes(b"")),
        HARMLESS,
    )
    yield "300 files", partial(changed, good, lambda c: [(c / f"{i}.json").write_bytes(b"") for i in range(300)]), HARMLESS
    for arguments in (
        "x",
        "=",
        "=1",
        "a=",
        "in_chans=x",
        "img_size=-1",
        "img_size=99999999",
        "a=" + "[" * 10_000,
        "a=" + "9" * 10_000,
        "depth=1000000",
        "\x1b=1",
        "a=__import__('os')",
    ):
        yield (
            f"model argument {arguments[:30]!r}",
            partial(lambda a, folder: rank(good, str(good.timm), "--model-args", a), arguments),
        )
    for architecture in (
        "x",
        "timm:",
        "timm:nosuch",
        "timm:../x",
        "timm:\0",
        "timm:" + "x" * 5000,
        "torch:resnet",
        "",
        "timm:resnet18\x1b",
    ):
        yield (
            f"architecture {architecture[:30]!r}",
            partial(
                lambda a, folder: rank(good, str(good.checkpoint / "model.safetensors"), "--architecture", a), architecture
            ),
        )
    for content in (
        b"",
        b"1",
        b"[]",
        b"{}",
        b'{"base_model_name_or_path": 3}',
        b'{"base_model_name_or_path": ".", "peft_type": "LORA"}',
        b'{"base_model_name_or_path": "~nosuchuser", "peft_type": "X"}',
        b"[" * 20_000,
        b"\xff",
    ):
        yield (
            f"adapter {content[:40]!r}",
            partial(
                changed,
                good,
                lambda c, t=content: (
                    (c / "adapter_config.json").write_bytes(t),
                    (c / "model.safetensors").rename(c / "adapter_model.safetensors"),
                    (c / "config.json").unlink(),
                ),
            ),
        )
    for content in (
        b"",
        b"1",
        b"[]",
        b"{}",
        b'{"model_cfg": 1}',
        b'{"model_cfg": {"embed_dim": "x"}}',
        b"[" * 20_000,
        b'{"model_cfg": {"embed_dim": 8, "vision_cfg": {"layers": 1000000, "width": 64, "image_size": 16, "patch_size": 8}, "text_cfg": {"layers": 1}}}',
    ):
        yield (
            f"open_clip {content[:60]!r}",
            partial(
                changed,
                good,
                lambda c, t=content: (
                    (c / "open_clip_config.json").write_bytes(t),
                    (c / "model.safetensors").rename(c / "open_clip_model.safetensors"),
                    (c / "config.json").unlink(),
                ),
            ),
        )
    for content in (
        b'{"architecture": 1}',
        b'{"architecture": "nosuch"}',
        b'{"architecture": "resnet18", "pretrained_cfg": 1}',
        b'{"architecture": "resnet18", "model_args": 1}',
        b'{"architecture": "resnet18", "num_classes": -1}',
        b'{"architecture": "resnet18", "num_classes": 10000000000000}',
        b'{"architecture": "vit_tiny_patch16_224", "model_args": {"depth": 1000000}}',
        b'{"architecture": null, "pretrained_cfg": {}}',
        b'{"architecture": "resnet18", "model_args": {"x": 1}}',
        b'{"architecture": "resnet18", "global_pool": 3}',
        b'{"architecture": "resnet18", "pretrained_cfg": {"mean": "x", "input_size": [3]}}',
    ):
        yield (
            f"timm {content[:80]!r}",
            partial(
                changed,
                good,
                lambda c, t=content: ((c / "config.json").write_bytes(t), (c / "preprocessor_config.json").unlink()),
            ),
            HARMLESS,
        )
