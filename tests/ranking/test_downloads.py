"""The next candidate is resolved and downloaded while the present one is at work."""

import threading
from types import SimpleNamespace

import pytest

from hf_transferability import rank
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.errors import CheckpointError
from hf_transferability.extraction import passes
from hf_transferability.ranking import downloads
from hf_transferability.ranking.downloads import Downloads

WAIT = 20  # seconds, of which a test that passes needs none


@pytest.fixture
def asked(monkeypatch):
    """Names in the order in which they were resolved; "bad" cannot be. Fetched ones are in `fetched`."""
    log = SimpleNamespace(resolved=[], fetched=[], done=threading.Event())

    def resolve(name, options):
        log.resolved.append(name)
        if name == "bad":
            raise CheckpointError("no such thing")

        def fetch(shown):
            log.fetched.append((name, shown()))
            log.done.set()

        return SimpleNamespace(name=name, base=None, lender=None, fetch=fetch)

    monkeypatch.setattr(downloads, "resolve", resolve)
    return log


def test_the_next_is_fetched_once_and_in_silence(asked):
    ahead = Downloads(["a", "b", "c"], LoadOptions(), lambda source: True)
    ahead.resolve("a")
    ahead.start_after("a")
    ahead.start_after("a")
    assert asked.done.wait(WAIT)
    assert ahead.resolve("b").name == "b"
    ahead.start_after("c")  # the last one
    assert asked.resolved == ["a", "b"]
    assert asked.fetched == [("b", False)]


def test_what_fails_ahead_is_raised_in_its_turn(asked):
    ahead = Downloads(["a", "bad"], LoadOptions(), lambda source: True)
    ahead.start_after("a")
    with pytest.raises(CheckpointError, match="no such thing"):
        ahead.resolve("bad")


def test_what_failed_ahead_is_tried_again_in_its_turn(asked, monkeypatch):
    ahead, resolve, failed = Downloads(["a", "b"], LoadOptions(), lambda source: False), downloads.resolve, threading.Event()

    def resolve_once(name, options):
        if not failed.is_set():
            failed.set()
            raise CheckpointError("the Hub is busy")
        return resolve(name, options)

    monkeypatch.setattr(downloads, "resolve", resolve_once)
    ahead.start_after("a")
    assert failed.wait(WAIT)
    assert ahead.resolve("b").name == "b"


def test_stored_arrays_need_no_download(asked):
    looked = threading.Event()
    ahead = Downloads(["a", "b"], LoadOptions(), lambda source: looked.set())
    ahead.start_after("a")
    assert looked.wait(WAIT)
    assert ahead.resolve("b").name == "b"
    assert asked.fetched == []


def test_a_ranking_resolves_the_next_while_it_extracts(make_target, make_checkpoint, tmp_path, monkeypatch):
    began, resolve, extract = threading.Event(), downloads.resolve, passes.extract

    def resolving(name, options):
        if threading.current_thread() is not threading.main_thread():
            began.set()
        return resolve(name, options)

    def extracting(*given, **options):
        assert began.wait(WAIT)
        return extract(*given, **options)

    monkeypatch.setattr(downloads, "resolve", resolving)
    monkeypatch.setattr(passes, "extract", extracting)
    names = [make_checkpoint(seed=seed) for seed in (0, 1)]
    ranking = rank(make_target(n=24), names, cache_dir=tmp_path, metrics=["logme"], intervals=False)
    assert [row["error"] for row in ranking.rows] == [None, None]
