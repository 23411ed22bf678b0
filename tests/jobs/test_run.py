"""A ranking by jobs is that of one machine, whatever becomes of single jobs, and nothing costs money unasked."""

import hashlib
import json
import zipfile

import pytest
from helpers.people import ALICE, head, rows

NAMES = ("lab/one", "lab/two", "lab/three", "lab/none")
WORDS = ("rank", "lab/x-rays", *NAMES, "--jobs", "l4x1", "--per-job", "2", "--format", "json")
LEAKS = ("--leak-check", "20")
OWN = ("seconds", "date", "hardware", "micro_batch")  # columns that say how it was computed


def without_own(document: dict) -> dict:
    shown = [{name: value for name, value in row.items() if name not in OWN} for row in document["rows"]]
    return document | {"rows": shown}


START, ONE_JOB = "^/api/jobs/alice_secret$", "^/api/jobs/alice_secret/[0-9a-f]+(/cancel)?$"
JOBS = ("--jobs", "cpu-basic", "--per-job", "1", "--push-to", "lab/pool", "--yes")


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
    world.hub.requests.clear()
    by_jobs = world.alice(*WORDS, *LEAKS, "--push-to", "lab/by-jobs", "--yes")
    one = world.alice(*WORDS[:6], *LEAKS, "--format", "json", "--push-to", "lab/by-one")
    assert (by_jobs.status, one.status) == (1, 1), by_jobs.err  # there is no lab/none
    asked = [request.path for request in world.hub.requests if request.method == "HEAD" and "/parts/" in request.path]
    assert [path.rpartition("/")[2] for path in asked] == ["1.json", "2.json"]  # each part is read once
    expected = json.loads(one.out)
    assert [row["error"] is None for row in expected["rows"]] == [True, True, True, False]
    assert "leak check: 3 model cards name no source dataset, for example that of lab/one." in expected["notes"]
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
    assert not [file for file in head(world.hub, "lab/by-jobs").files if file.startswith("parts/")]
    published, expected_rows = rows(world.hub, "lab/by-jobs"), rows(world.hub, "lab/by-one")
    names = [name for name in published if name not in ("benchmark", "date", "hardware")]
    key = ["source", "metric", "target"]
    same = published[names].sort_values(key, ignore_index=True).equals(expected_rows[names].sort_values(key, ignore_index=True))
    assert same and set(published["metric"]) >= {"consensus", "logme"}


FAULTS = {  # name -> faults of the machines, those of the Hub, and how many jobs are started in place of two
    "one never starts": (["", "waits"], [], 3),
    "one dies before its work": (["dies"], [], 3),
    "one dies after its work": (["", "dies late"], [], 2),
    "the answer to a start is lost": ([], [(START, {"methods": {"POST"}, "lost": True, "times": 1})], 2),
    "that of one that dies is lost, too": (["dies"], [(START, {"methods": {"POST"}, "lost": True, "times": 1})], 3),
    "a start does not arrive": ([], [(START, {"methods": {"POST"}, "reset": True, "times": 1})], 2),
    "looks at jobs have no answer": ([], [(ONE_JOB, {"methods": {"GET"}, "lost": True, "times": 2})], 2),
    "the stop of one has no answer": (["waits"], [(ONE_JOB, {"methods": {"POST"}, "lost": True, "times": 1})], 3),
    "the parts cannot be read at once": ([], [("/lab/faulty/resolve/.*parts", {"status": 503, "times": 2})], 2),
    "what they print is lost": ([], [("/logs$", {"reset": True})], 2),
}


@pytest.fixture(scope="module")
def table_of_one_machine(world):
    return without_own(json.loads(world.alice("rank", "lab/x-rays", *NAMES[:3], "--format", "json").out))


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_once_the_table_is_that_of_one_machine(world, faults, table_of_one_machine, fault):
    world.machines.faults, planned, n_jobs = list(FAULTS[fault][0]), *FAULTS[fault][1:]
    for address, how in planned:
        faults.add(address, **how)
    before = len(world.machines.jobs)
    world.hub.requests.clear()
    words = ("--jobs", "l4x1", "--per-job", "2", "--push-to", "lab/faulty", "--yes", "--start-minutes", "0.05")
    done = world.alice("rank", "lab/x-rays", *NAMES[:3], *words, "--format", "json")
    assert done.status == 0, done.err
    assert without_own(json.loads(done.out)) == table_of_one_machine
    assert len(world.machines.jobs) - before == n_jobs, done.err
    assert not planned or [request for request in world.hub.requests if request.fault]


@pytest.mark.parametrize("names", [("lab/one", "lab/two"), ("lab/one", "lab/three")], ids=["one architecture", "two"])
def test_what_depends_on_the_whole_pool_is_decided_over_it(world, names):
    """A job of one candidate cannot know whether the pool is of one architecture, which decides on the paper's score."""
    words = ("rank", "lab/x-rays", *names, "--metric", "transferability", "--no-intervals", "--format", "json")
    by_jobs = world.alice(*words, *JOBS, "--job-namespace", "lab")
    assert {job.namespace for job in world.machines.jobs[-2:]} == {"lab"}
    assert "`job_namespace` must be one of alice_secret, lab; got 'x'" in world.alice(*words, *JOBS, "--job-namespace", "x").err
    assert without_own(json.loads(by_jobs.out)) == without_own(json.loads(world.alice(*words).out))


def test_jobs_that_still_run_are_taken_up(world, faults):
    """The command fails while a job waits; the same command finds it, and does not start another. A wheel goes along."""
    wheel = world.alice.folder / "hf_transferability-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x", "")
    words = ("rank", "lab/x-rays", "lab/one", "--jobs", "cpu-basic", "--push-to", "lab/again", "--yes", "--wheel", wheel.name)
    world.machines.faults = ["waits"]
    faults.add("^/api/jobs/alice_secret/[0-9a-f]+$", status=403, times=1)
    n_started = len(world.machines.jobs)
    failed = world.alice(*words, "--start-minutes", "0.02")
    job = world.machines.jobs[-1]
    assert failed.status == 1
    assert f"stop one with `hf jobs cancel ID`: {job.id}" in failed.err
    assert job.spec["command"][3].startswith(
        f"hf-transferability[adapters,medical] @ {world.hub.url}/datasets/lab/again/resolve"
    )
    assert job.spec["command"][3].endswith(f"#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}")  # no other wheel runs
    again = world.alice(*words, "--start-minutes", "0.02")
    assert again.status == 0, again.err
    assert f"job 1 runs already: {world.hub.url}/jobs/alice_secret/{job.id}" in again.err
    assert len(world.machines.jobs) == n_started + 2  # the first never got a machine
    assert [file for file in head(world.hub, "lab/again").files if file.endswith(wheel.name)]


def test_lost_jobs_are_failed_rows_and_the_same_command_takes_up_the_rest(world, faults):
    """A job that never gets a machine is given up twice; what the others did is not done again."""
    words = (*WORDS, "--push-to", "lab/waits", "--yes", "--start-minutes", "0.02", "--no-intervals")
    world.machines.faults = ["", "waits", "waits"]
    first = world.alice(*words)
    assert first.status == 1
    errors = {row["checkpoint"]: row["error"] for row in json.loads(first.out)["rows"]}
    assert errors["lab/one"] is None
    assert "lost 2 times: it had no machine within 0.02 minutes" in errors["lab/three"]
    stages = [job.stage for job in world.machines.jobs[-3:]]
    assert stages == ["COMPLETED", "CANCELED", "CANCELED"]
    n_started = len(world.machines.jobs)
    assert [file for file in head(world.hub, "lab/waits").files if file.startswith("parts/")]
    again = world.alice(*words)
    assert len(world.machines.jobs) == n_started + 1
    assert [row["error"] is None for row in json.loads(again.out)["rows"]] == [True, True, True, False], again.err


def test_nothing_is_sent_before_the_cost_is_agreed_to(world):
    world.hub.requests.clear()
    index = "each job installs hf-transferability[adapters,medical]==0.1.0 from the package index: make sure that this version"
    plan = (index, "job 1: lab/one, lab/two", "job 2: lab/three, lab/none", "2 jobs on l4x1 (1 x L4 with 24 GB, 8 vCPU, 30 GB)")
    for words, status in ((("--dry-run",), 0), ((), 2)):
        done = world.alice(*WORDS, "--push-to", "lab/unpaid", *words)
        assert (done.status, done.out) == (status, "")
        assert [line for line in plan if line not in done.err] == []
    assert "Add --yes to start them" in done.err
    several = world.alice("rank", "lab/x-rays", "lab/one", "--jobs", "l4x4", "--push-to", "lab/unpaid", "--dry-run")
    assert "each job uses only one GPU" in several.err
    assert {request.method for request in world.hub.requests} <= {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--jobs", "l4"), "`jobs` must be one of cpu-basic, l4x1, l4x4; got 'l4'. Did you mean l4x"),
        (("--image-column", "scan.py"), "takes for a file to upload; got '--image-column=scan.py'"),
        (("./mine",), "`checkpoints` must be on the Hub for jobs, which see no folder of yours; got './mine'"),
        (("--processor", "/"), "`processor` must be on the Hub for jobs"),
        (("--wheel", "none.whl"), "none.whl cannot be read. Build one."),
        (("--part", "a/1"), "`part` must have a dataset to go to, and no jobs of its own"),
    ],
)
def test_what_no_job_could_do_is_refused(world, words, text):
    done = world.alice(*WORDS, *words, "--push-to", "lab/refused", "--yes")
    assert (done.status, done.out) == (2, "")
    assert text in done.err


def test_without_credit_or_login_it_says_what_to_do(world, faults):
    words = (*WORDS, "--yes", "--push-to")
    n_started = len(world.machines.jobs)
    faults.add("^/api/jobs/alice_secret$", methods={"POST"}, status=402)
    done = world.alice(*words, "lab/poor")
    assert (done.status, done.out) == (1, "")
    assert "the Hub starts no job for alice_secret without credit (402)" in done.err
    faults.clear()
    faults.add("^/api/jobs/alice_secret$", status=403)
    assert "your token may not use the jobs of alice_secret (403)" in world.alice(*words, "lab/poor").err
    assert "you are not logged in to the Hub" in world.alice(*words, "lab/poor", token=None).err
    assert len(world.machines.jobs) == n_started
