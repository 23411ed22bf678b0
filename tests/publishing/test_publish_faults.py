"""Publication while the Hub fails, for a moment or permanently."""

import io

import pandas as pd
import pytest
from helpers.people import repository, rows, sources
from helpers.score_rows import scores

from hf_transferability.benchmark import tables

COMMIT, PREUPLOAD, BATCH, UPLOAD = "/lab/faults/commit/main", "/lab/faults/preupload/", "/objects/batch", "/upload/"
INFO, FILE = "/api/datasets/lab/faults", "scores/rows.parquet"


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        (COMMIT, {"status": 412}),
        (COMMIT, {"status": 409}),
        (COMMIT, {"status": 429, "retry_after": "7"}),
        (COMMIT, {"status": 500}),
        (COMMIT, {"status": 503}),
        (COMMIT, {"lost": True}),
        (COMMIT, {"lost": True, "reset": True}),
        (COMMIT, {"reset": True}),
        (PREUPLOAD, {"status": 503}),
        (PREUPLOAD, {"reset": True}),
        (BATCH, {"status": 500}),
        (UPLOAD, {"status": 503}),
        (UPLOAD, {"lost": True}),
        (INFO + "$", {"status": 503}),
        (INFO + "$", {"status": 429, "retry_after": "7"}),
        (INFO + "$", {"cut": 20}),
        (FILE, {"status": 503}),
        (FILE, {"reset": True}),
        (FILE, {"cut": 100}),
        (FILE, {"corrupt": True}),
        ("/api/whoami-v2", {"status": 503}),
        ("/api/validate-yaml", {"status": 500}),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else value.strip("/$"),
)
def test_a_temporary_fault(alice, hub, faults, with_rows, address, fault, request):
    """Every row arrives exactly once."""
    with_rows("lab/faults")
    before, commits = sources(hub, "lab/faults"), len(repository(hub, "lab/faults").commits)
    if address == FILE:  # rows that are not in the cache yet
        add_elsewhere(hub, before)
        before, commits = sources(hub, "lab/faults"), commits + 1
    hub.requests.clear()
    faults.add(address, times=1, **fault)
    done = alice.publish("lab/faults", scores(request.node.name))
    assert done.status == 0, done.err
    assert "scores: 1 added" in done.out
    assert sources(hub, "lab/faults") == sorted([*before, request.node.name])
    assert len(repository(hub, "lab/faults").commits) == commits + 1
    assert [served for served in hub.requests if served.fault]
    assert ("retry_after" not in fault) or 7 in done.waits


def add_elsewhere(hub, before: list[str]) -> None:
    """Add a row as somebody else."""
    more = tables.check_provenance(scores(f"other-{len(before)}"), "scores")
    stream = io.BytesIO()
    pd.concat([rows(hub, "lab/faults"), more], ignore_index=True).to_parquet(stream, index=False)
    hub.commit("dataset", "lab/faults", {"data/scores/rows.parquet": stream.getvalue()})


@pytest.mark.parametrize(
    ("address", "fault", "text"),
    [
        (COMMIT, {"status": 503}, "busy or broken (503"),
        (COMMIT, {"status": 429, "retry_after": "300"}, "in 300 seconds"),
        (COMMIT, {"reset": True}, "broke off the connection"),
        (COMMIT, {"status": 412}, "others keep writing to lab/faults"),
        (COMMIT, {"status": 400}, "refused what was sent to dataset lab/faults (400"),
        (UPLOAD, {"status": 403}, "may neither write"),
        (INFO + "$", {"status": 503}, "busy or broken (503"),
        (FILE, {"corrupt": True}, "arrived damaged twice"),
        (FILE, {"cut": 100}, "connection"),
        ("/api/whoami-v2", {"status": 401}, "does not accept your token (401"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_a_permanent_fault_is_named(alice, hub, faults, with_rows, address, fault, text, request):
    with_rows("lab/faults")
    before = sources(hub, "lab/faults")
    if address == FILE:
        add_elsewhere(hub, before)
        before = sources(hub, "lab/faults")
    faults.add(address, **fault)
    done = alice.publish("lab/faults", scores(request.node.name))
    assert (done.status, done.out) == (1, "")
    assert text in done.err
    assert done.err.count("\n") == 1
    assert sources(hub, "lab/faults") == before


@pytest.mark.parametrize("fault", [{"lost": True}, {"status": 500}, {"reset": True}], ids=str)
def test_a_dataset_is_made_in_spite_of_faults(alice, hub, faults, fault):
    name = f"lab/made-{'-'.join(fault)}"
    faults.add("/api/repos/create", times=1, **fault)
    assert alice.publish(name, scores("a")).status == 0
    assert sources(hub, name) == ["a"]
