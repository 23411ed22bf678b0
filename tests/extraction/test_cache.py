"""The cache returns arrays exactly as they were stored, or none."""

import hashlib
import json
import os
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hf_transferability.extraction.cache import Arrays, Cache

KEY = {"kind": "arrays", "checkpoint": "owner/name@abc", "target": "0" * 64, "batches": "paper", "extraction": 1}


def arrays(seed: int = 0, n: int = 20, **changes) -> Arrays:
    rng = np.random.default_rng(seed)
    values = {
        "features": rng.normal(size=(n, 8)).astype(np.float32),
        "source_probabilities": rng.random((n, 3)).astype(np.float32),
        "gradient_norms": rng.random((7, 2)),
        "facts": {"parameters": 12, "licence": None, "layers": ["a", "b"], "name": "Größe"},
        "flags": {"vit_extension": "b"},
    }
    return Arrays(**{**values, **changes})


def assert_same(a: Arrays | None, b: Arrays) -> None:
    assert a is not None
    for name in ("features", "source_probabilities", "gradient_norms"):
        left, right = getattr(a, name), getattr(b, name)
        assert (left is None) == (right is None)
        if right is not None:
            assert left.dtype == right.dtype
            assert np.array_equal(left, right)
    assert (a.facts, a.flags) == (b.facts, b.flags)


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "new" / "cache")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"source_probabilities": None},
        {"gradient_norms": None},
        {"source_probabilities": None, "gradient_norms": None, "facts": {}, "flags": {}},
        {"features": np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]},  # not contiguous
        {"features": np.zeros((3, 0), dtype=np.float32)},
    ],
)
def test_round_trip(cache, changes):
    stored = arrays(**changes)
    cache.write(KEY, stored)
    assert_same(cache.read(KEY), stored)
    assert_same(Cache(cache.folder).read(KEY), stored)


def test_another_key_has_no_entry(cache):
    assert cache.read(KEY) is None
    cache.write(KEY, arrays())
    for name, value in {"checkpoint": "owner/name@abd", "target": "1" * 64, "batches": "balanced", "extraction": 2}.items():
        assert cache.read({**KEY, name: value}) is None
    assert cache.read({**KEY, "more": 1}) is None
    assert_same(cache.read(dict(reversed(KEY.items()))), arrays())  # the order of a key's parts is no part of it


def test_a_file_with_the_name_of_another_key_is_ignored(cache):
    cache.write(KEY, arrays())
    other = {**KEY, "batches": "balanced"}
    cache._path(KEY, "safetensors").rename(cache._path(other, "safetensors"))
    assert cache.read(other) is None


DAMAGE = {
    "empty": lambda content: b"",
    "header cut": lambda content: content[:20],
    "arrays cut": lambda content: content[:-8],
    "garbage": lambda content: b"\xff" * len(content),
    "text": lambda content: b"not found",
    "longer": lambda content: content + b"\0" * 8,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_no_entry_and_is_replaced(cache, damage):
    cache.write(KEY, arrays())
    path = cache._path(KEY, "safetensors")
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert cache.read(KEY) is None and not cache.holds(KEY, False)
    cache.write(KEY, arrays(1))
    assert_same(cache.read(KEY), arrays(1))


@pytest.mark.parametrize("where", ["features", "norms", "a fact"])
def test_one_flipped_bit_is_noticed(cache, where):
    """In the arrays and in the facts: a wrong number is worse than to extract once more."""
    cache.write(KEY, arrays())
    path = cache._path(KEY, "safetensors")
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    names = {"features": "features", "norms": "gradient_norms"}
    at = content.index(b"facts") + 12 if where == "a fact" else 8 + size + header[names[where]]["data_offsets"][0]
    content[at] ^= 1
    path.write_bytes(content)
    assert cache.read(KEY) is None


def test_a_foreign_file_is_no_entry(cache):
    from safetensors.numpy import save_file

    path = cache._path(KEY, "safetensors")
    for metadata in (None, {"entry": "{"}, {"entry": json.dumps({"key": KEY})}):
        save_file({"features": np.zeros(2)}, path, metadata=metadata)
        assert cache.read(KEY) is None and not cache.holds(KEY, False)
    save_file({"other": np.zeros(2)}, path, metadata={"entry": json.dumps({"key": KEY, "facts": {}, "flags": {}})})
    assert cache.read(KEY) is None and not cache.holds(KEY, False)


def test_the_head_of_a_file_tells_whether_arrays_are_stored(cache):
    assert not cache.holds(KEY, False)
    cache.write(KEY, arrays(n=200_000, with_gradients=False))  # 6.4 MB of features
    tracemalloc.start()
    assert cache.holds(KEY, False) and not cache.holds(KEY, True) and not cache.holds({**KEY, "batches": "balanced"}, False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e5
    cache.write(KEY, arrays())
    assert cache.holds(KEY, True)


def test_json_entries(cache):
    assert cache.read_json(KEY) is None
    value = {"modes": {"L": 3}, "corrupt": {"4": "broken"}}
    cache.write_json(KEY, value)
    cache.write(KEY, arrays())
    assert cache.read_json(KEY) == value
    assert cache.read_json({**KEY, "kind": "images"}) is None
    path = cache._path(KEY, "entry")
    path.write_text(path.read_text().replace("3", "4"))
    assert cache.read_json(KEY) is None
    path.write_text('{"modes": {')
    assert cache.read_json(KEY) is None
    cache._path(KEY, "entry").write_bytes(b"\xff\xfe")
    assert cache.read_json(KEY) is None


def test_a_part_is_never_read(cache):
    cache.write(KEY, arrays())
    path = cache._path(KEY, "safetensors")
    part = path.with_name(f"{path.name}.1234.part")
    path.rename(part)
    assert cache.read(KEY) is None
    assert Cache(cache.folder).read(KEY) is None
    assert part.exists()  # somebody may still be writing it


def test_abandoned_parts_are_removed_later(cache):
    old, fresh = cache.folder / "a.safetensors.1.part", cache.folder / "b.safetensors.2.part"
    for part in (old, fresh):
        part.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    Cache(cache.folder)
    assert not old.exists()
    assert fresh.exists()


def test_a_write_that_fails_leaves_the_old_entry_and_no_part(cache, monkeypatch):
    cache.write(KEY, arrays())

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not cache.write(KEY, arrays(1))
    assert "No space" in cache.failure
    assert_same(cache.read(KEY), arrays())
    assert not list(cache.folder.glob("*.part"))


def test_many_writers_and_readers_of_one_key(cache):
    """Every read returns the complete entry of one writer."""
    cache.write(KEY, arrays(0))
    expected = {seed: arrays(seed, n=500) for seed in range(1, 5)}
    expected[0] = arrays(0)

    def write(seed: int) -> None:
        for _ in range(10):
            cache.write(KEY, expected[seed])

    def read() -> None:
        for _ in range(60):
            entry = cache.read(KEY)
            assert any(np.array_equal(entry.features, written.features) for written in expected.values())

    with ThreadPoolExecutor(6) as pool:
        for done in [*(pool.submit(write, seed) for seed in range(1, 5)), pool.submit(read), pool.submit(read)]:
            done.result()
    assert len(list(cache.folder.iterdir())) == 1


def test_a_writer_killed_while_writing_leaves_nothing_to_read(cache):
    code = (
        "import os, sys\n"
        "from hf_transferability.extraction.cache import Arrays, Cache\n"
        "import numpy as np, json\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), 9)\n"
        "Cache(sys.argv[1]).write(json.loads(sys.argv[2]), Arrays(np.zeros((9, 9)), None, None, {}, {}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(cache.folder), json.dumps(KEY)], check=False)
    assert done.returncode == -9
    assert len(list(cache.folder.glob("*.part"))) == 1
    assert cache.read(KEY) is None
    cache.write(KEY, arrays())
    assert_same(cache.read(KEY), arrays())


def test_default_folder_is_in_the_hubs_assets_cache():
    assert Cache().folder.parts[-4:] == ("assets", "hf-transferability", "arrays", "v1")


def test_the_digest_follows_values_form_and_name():
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert arrays(features=x).digest() == arrays(features=x.copy(order="F")).digest()
    assert arrays(features=x).digest(["features"]) == arrays(seed=1, features=x).digest(["features"])
    assert arrays(features=x).digest() != arrays(seed=1, features=x).digest()
    forms = (x, x.reshape(6, 4), x.astype(np.float64), x + 1)
    assert len({arrays(features=form).digest(["features"]) for form in forms}) == 4
    changed = arrays(features=x)
    before = changed.digest()
    changed.features = x + 1
    assert changed.digest() == arrays(features=x + 1).digest() != before


def test_the_digest_reads_each_array_once_and_copies_none(monkeypatch):
    large = arrays(n=200_000)  # 6.4 MB of features
    read = []
    sha256 = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda values: read.append(type(values)) or sha256(values))
    tracemalloc.start()
    for names in (["features"], ["features", "source_probabilities"], ["features"]):
        large.digest(names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read.count(memoryview) == 2
    assert peak < 1e6
