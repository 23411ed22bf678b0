"""The next network is loaded while the present one is extracted, and nothing else changes."""

import gc
import threading
import weakref

import numpy as np
import pytest
import timm
import torch
from timm.models import save_for_hf
from transformers import ViTConfig, ViTModel

from hf_transferability import rank
from hf_transferability.checkpoints import loading
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.extraction import passes
from hf_transferability.ranking import candidates, downloads, loading_ahead
from hf_transferability.ranking.downloads import Downloads
from hf_transferability.ranking.loading_ahead import load_ahead, release

OPTIONS = {"metrics": ["transferability", "logme"], "intervals": False}
VARYING = ("seconds", "date")  # of the run, not of its results


@pytest.fixture
def on_accelerator(monkeypatch):
    """Networks are loaded ahead, as on an accelerator; gives the threads of every call of `load`."""
    monkeypatch.setattr(candidates, "is_worth_it", lambda device: True)
    threads, load = [], loading.load

    def counted(source):
        threads.append(threading.current_thread())
        return load(source)

    monkeypatch.setattr(loading, "load", counted)
    return threads


def rows(ranking):
    return [{name: value for name, value in row.items() if name not in VARYING} for row in ranking.rows]


def test_rows_are_the_same(target, pool, tmp_path, on_accelerator, monkeypatch):
    ahead = rank(target, pool, cache_dir=tmp_path / "ahead", **OPTIONS)
    assert [thread is threading.main_thread() for thread in on_accelerator] == [True, False, False]
    monkeypatch.setattr(candidates, "is_worth_it", lambda device: False)
    assert rows(rank(target, pool, cache_dir=tmp_path / "now", **OPTIONS)) == rows(ahead)
    assert on_accelerator[3:] == [threading.main_thread()] * 3


def test_the_next_is_loaded_while_the_present_one_is_extracted(target, pool, tmp_path, on_accelerator, monkeypatch):
    loaded, extract, load = threading.Event(), passes.extract, load_ahead

    def loads(source):
        network = load(source)
        loaded.set()
        return network

    def extracting(*given, **options):
        assert loaded.wait(20)
        return extract(*given, **options)

    monkeypatch.setattr(candidates, "load_ahead", loads)
    monkeypatch.setattr(passes, "extract", extracting)
    ranking = rank(target, pool[:2], cache_dir=tmp_path, **OPTIONS)
    assert [row["error"] for row in ranking.rows] == [None, None]


def test_what_fails_ahead_fails_in_its_turn(target, pool, make_checkpoint, tmp_path, on_accelerator, monkeypatch):
    broken = make_checkpoint(seed=9)
    (broken / "model.safetensors").write_bytes(b"no weights")
    names = [pool[0], str(broken), pool[1]]
    ahead = rank(target, names, cache_dir=tmp_path / "ahead", **OPTIONS)
    monkeypatch.setattr(candidates, "is_worth_it", lambda device: False)
    now = rank(target, names, cache_dir=tmp_path / "now", **OPTIONS)
    assert [row["error"] for row in ahead.rows] == [row["error"] for row in now.rows]
    assert sum(row["error"] is not None for row in ahead.rows) == 1


def test_cached_candidates_are_not_loaded(target, pool, tmp_path, on_accelerator):
    rank(target, pool[1:2], cache_dir=tmp_path, **OPTIONS)
    on_accelerator.clear()
    rank(target, pool, cache_dir=tmp_path, **OPTIONS)
    assert len(on_accelerator) == 2


def test_a_race_keeps_the_networks_that_it_needs_again(target, pool, tmp_path, on_accelerator):
    from hf_transferability.ranking.network_cache import NetworkCache

    kept, checkpoint = NetworkCache(), load_ahead(resolve(pool[0]))
    kept.keep("a", checkpoint)
    assert kept.get("a") is checkpoint
    options = {"metrics": ["logme"], "intervals": False, "race": True, "keep": 2, "sample_size": 48}
    ahead = rank(target, pool, cache_dir=tmp_path, **options)
    assert [row["error"] for row in ahead.rows] == [None] * len(pool)


def test_no_random_numbers_of_the_program_are_drawn(pool):
    before = torch.get_rng_state()
    assert load_ahead(resolve(pool[0])) is not None
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope="module")
def folders(make_checkpoint, tmp_path_factory):
    """A network of transformers, one without a head that its configuration names, and one of timm."""
    vit = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=24, patch_size=8
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("convnext_atto", num_classes=7)
    for module in network.modules():
        if "Norm" in type(module).__name__ and getattr(module, "bias", None) is not None:
            module.bias.data.fill_(0.01)
    of_timm = tmp_path_factory.mktemp("checkpoint")
    save_for_hf(network, str(of_timm), model_config={"num_classes": 7}, safe_serialization=True)
    return [make_checkpoint(vit), make_checkpoint(vit, model_class=ViTModel), of_timm]


@pytest.mark.parametrize("number", range(3), ids=["classifier", "headless", "timm"])
def test_a_network_that_was_loaded_ahead_is_the_same(folders, number):
    source = resolve(str(folders[number]))
    now, again, ahead = loading.load(source), loading.load(source), load_ahead(source)
    weights, others = now.network.state_dict(), ahead.network.state_dict()
    assert weights.keys() == others.keys()
    drawn = {name for name, weight in again.network.state_dict().items() if not torch.equal(weight, weights[name])}
    assert drawn <= {"classifier.weight"}  # a head that is not stored: it is drawn, and not used
    assert {name for name in weights if not torch.equal(weights[name], others[name])} <= drawn
    assert (now.facts, now.flags, now.has_source_head) == (ahead.facts, ahead.flags, ahead.has_source_head)
    pixels = now.preprocess(list(np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)))
    with torch.no_grad():
        assert torch.equal(now.forward(pixels)[0], ahead.forward(pixels)[0])


def test_where_memory_is_short_nothing_is_loaded(pool, monkeypatch):
    monkeypatch.setattr(loading_ahead, "free_memory", lambda: 1000)
    assert load_ahead(resolve(pool[0])) is None


def test_a_released_network_holds_no_weights(pool):
    checkpoint = load_ahead(resolve(pool[0]))
    release(checkpoint)
    assert sum(tensor.nbytes for tensor in checkpoint.network.state_dict().values()) == 0


def test_networks_nobody_asks_for_are_let_go(pool, monkeypatch):
    """The second candidate's is ready, and the third is asked for."""
    ready = threading.Event()
    networks = []

    def load(source):
        networks.append(weakref.ref(network := torch.nn.Linear(2, 2)))
        ready.set()
        return network

    ahead = Downloads(["a", "b", "c"], LoadOptions(), lambda source: True)
    monkeypatch.setattr(downloads, "resolve", lambda name, options: resolve(pool[0]))
    ahead.start_after("a", load)
    assert ready.wait(20)
    ahead.resolve("c")
    assert ahead.take("b") is None
    for thread in threading.enumerate():
        if thread.name == "download":
            thread.join(20)
    gc.collect()
    assert networks[0]() is None


def test_only_one_network_is_built_at_a_time(pool, monkeypatch):
    """transformers changes settings of the whole program while it builds one."""
    inside, most, build = [0], [0], loading._load

    def watched(source, folder):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        checkpoint = build(source, folder)
        inside[0] -= 1
        return checkpoint

    monkeypatch.setattr(loading, "_load", watched)
    threads = [threading.Thread(target=loading.load, args=(resolve(name),)) for name in pool]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most[0] == 1
