"""A ranking by jobs is that of one machine, whatever becomes of single jobs, and nothing costs money unasked."""

import json

import pytest
from helpers.people import ALICE, rows

NAMES = ("lab/one", "lab/two", "lab/three", "lab/none")
WORDS = ("rank", "lab/x-rays", *NAMES, "--jobs", "l4x1", "--per-job", "2", "--format", "json")
OWN = ("seconds", "date", "hardware", "micro_batch")  # columns that say how it was computed


def without_own(document: dict) -> dict:
    shown = [{name: value for name, value in row.items() if name not in OWN} for row in document["rows"]]
    return document | {"rows": shown}


@pytest.fixture
def faults(world):
    yield world.hub.faults
    world.hub.faults.clear()
    world.machines.faults.clear()


def test_the_table_of_jobs_is_that_of_one_machine(world, faults):
    """Although the answer to the first start is lost, the second job dies and the first fails after its work."""
    faults.add("^/api/jobs/alice_secret$", methods={"POST"}, lost=True, times=1)
    world.machines.faults = ["dies late", "dies"]
    before = len(world.machines.jobs)
    by_jobs = world.alice(*WORDS, "--push-to", "lab/by-jobs", "--yes")
    one = world.alice("rank", *WORDS[1:6], "--format", "json", "--push-to", "lab/by-one")
    assert (by_jobs.status, one.status) == (1, 1), by_jobs.err  # there is no lab/none
    expected = json.loads(one.out)
    assert [row["error"] is None for row in expected["rows"]] == [True, True, True, False]
    assert without_own(json.loads(by_jobs.out)) == without_own(expected)
    assert "at most $1.60" in by_jobs.err
    assert "job 2 is lost (ERROR: Job failed with exit code: 137" in by_jobs.err
    assert "[1/2] lab/one: extracted" in by_jobs.err

    started = world.machines.jobs[before:]
    assert [job.spec["labels"]["hf-transferability-part"] for job in started] == ["1-1", "2-1", "2-2"]
    for job in started:
        assert job.secrets == {"HF_TOKEN": ALICE}
        assert ALICE not in json.dumps(job.to_dict()) + " ".join(job.logs)
        assert job.spec["command"][:4] == ["uv", "run", "--with", "hf-transferability[adapters,medical]==0.1.0"]
        assert job.spec["command"][4:7] == ["python", "-m", "hf_transferability"]
    published, expected_rows = rows(world.hub, "lab/by-jobs"), rows(world.hub, "lab/by-one")
    names = [name for name in published if name not in ("benchmark", "date", "hardware")]
    key = ["source", "metric", "target"]
    same = published[names].sort_values(key, ignore_index=True).equals(expected_rows[names].sort_values(key, ignore_index=True))
    assert same and set(published["metric"]) >= {"consensus", "logme"}
