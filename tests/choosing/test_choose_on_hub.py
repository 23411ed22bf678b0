"""`choose --push-to` with the real clients: what is published once, whatever is lost, and that nothing is sent unasked."""

import json
import re
import time
from types import SimpleNamespace

import pytest
from helpers.inputs import resnet_config
from helpers.loopback_hub import LoopbackHub
from helpers.people import ALICE, Person, head, repository, rows

NAMES = ("lab/one", "lab/two", "lab/three")
COMMIT = "/commit/main"


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_target, make_checkpoint, libraries):
    """`hub` with a dataset and three models; `alice`, who is somebody else's process after `another`; her `folder`."""
    place = tmp_path_factory.mktemp("alice")
    everyone: list[Person] = []
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens={ALICE: {"*"}}, writes={ALICE: {"lab"}}) as hub:
        hub.commit("dataset", "lab/x-rays", make_target(n=48, n_classes=3, splits=("train", "validation", "test")))
        for seed, name in enumerate(NAMES):
            hub.commit("model", name, make_checkpoint(resnet_config(width=4), seed=seed, size=16))

        def another() -> Person:
            everyone.append(Person(libraries, hub.environment(place / "home"), place, ALICE))
            return everyone[-1]

        yield SimpleNamespace(hub=hub, another=another, folder=place)
        for person in everyone:
            person.close()
            assert ALICE not in person.printed
        assert not hub.leaks() and not hub.unknown()
        for path in place.rglob("*"):
            assert not path.is_file() or ALICE.encode() not in path.read_bytes()


@pytest.fixture(scope="module")
def alice(world):
    return world.another()


@pytest.fixture
def faults(world):
    yield world.hub.faults
    world.hub.faults.clear()


def words(folder: str, *more: str) -> list[str]:
    return ["choose", "lab/x-rays", *NAMES, "--budget", "1000", "--output", folder, "--format", "json", *more]


def check_published(world, repo_id: str, folder: str) -> None:
    """Every score of the ranking is in the dataset once, and files of the choice name it as their source."""
    ranking = json.loads((world.folder / folder / "ranking.json").read_text())
    published = rows(world.hub, repo_id)
    assert sorted(set(published["source"])) == sorted(row["checkpoint"] for row in ranking["rows"])
    assert not published.duplicated(["source", "metric", "target", "variant"]).any()
    first = ranking["rows"][0]
    logme = published[(published["metric"] == "logme") & (published["source"] == first["checkpoint"])]
    assert logme["score"].tolist() == pytest.approx([first["logme"]])
    address = f"/datasets/{repo_id}\n"
    entries = "".join(path.read_text() for path in (world.folder / folder / ".eval_results").iterdir())
    assert address in (world.folder / folder / "model_card.md").read_text()
    assert f"url: {world.hub.url}{address}" in entries


def runs(world, folder: str) -> dict:
    """File -> time of its last change, of the short runs."""
    return {path: path.stat().st_mtime_ns for path in (world.folder / folder / "runs").rglob("run-*.json")}


def test_nothing_is_sent_unasked_and_the_scores_when_asked(world, alice):
    world.hub.requests.clear()
    first = alice(*words("asked"))
    assert first.status == 0, first.err
    assert {request.method for request in world.hub.requests} <= {"GET", "HEAD"}
    assert json.loads(first.out)["by"] == "fine-tuning"
    made = runs(world, "asked")
    assert len(made) >= 4
    again = alice(*words("asked", "--push-to", "lab/asked"))
    assert f"published: {world.hub.url}/datasets/lab/asked" in again.err
    assert json.loads(again.out)["recommended"] == json.loads(first.out)["recommended"] and runs(world, "asked") == made
    check_published(world, "lab/asked", "asked")
    assert "all rows are there already" in alice(*words("asked", "--push-to", "lab/asked")).err
    check_published(world, "lab/asked", "asked")  # the address stays


@pytest.mark.parametrize(
    "fault", [{"lost": True}, {"lost": True, "reset": True}, {"reset": True}, {"status": 503}, {"status": 412}], ids=str
)
def test_a_fault_while_it_publishes_loses_nothing(world, alice, faults, fault):
    repo_id = f"lab/{re.sub('[^a-z0-9]+', '-', str(fault).lower()).strip('-')}"
    faults.add(COMMIT, methods={"POST"}, times=1, **fault)
    done = alice(*words("asked", "--push-to", repo_id))
    assert done.status == 0, done.err
    assert [request for request in world.hub.requests if request.fault]
    check_published(world, repo_id, "asked")
    assert len(repository(world.hub, repo_id).commits) <= 3  # that of the repository, and one or two


def test_where_the_hub_stays_away_the_choice_is_there_and_the_same_command_publishes_it(world, alice, faults):
    faults.add(COMMIT, methods={"POST"}, status=503)
    failed = alice(*words("away", "--push-to", "lab/away"))
    assert failed.status == 1
    assert "the ranking is complete, but not published: the Hub is busy or broken (503" in failed.err
    assert json.loads(failed.out)["recommended"] in NAMES  # it is printed before it is published
    made = runs(world, "away")
    assert (world.folder / "away" / "choice.html").exists() and len(made) >= 4
    faults.clear()
    done = alice(*words("away", "--push-to", "lab/away"))
    assert done.status == 0, done.err
    assert runs(world, "away") == made
    check_published(world, "lab/away", "away")


def wait_for(found) -> None:
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_while_it_fine_tunes_and_while_it_publishes_it_goes_on(world, faults):
    folder = world.folder / "killed"
    first = world.another()
    first.start(*words("killed", "--push-to", "lab/killed"))
    wait_for(lambda: runs(world, "killed"))
    first._process.kill()
    made = runs(world, "killed")
    assert not (folder / "choice.json").exists() and repository(world.hub, "lab/killed") is None

    faults.add("/lab/killed" + COMMIT, methods={"POST"}, times=1, delay=1.0)
    second = world.another()
    second.start(*words("killed", "--push-to", "lab/killed"))
    wait_for(lambda: repository(world.hub, "lab/killed"))  # the commit comes next, and hangs
    second._process.kill()
    time.sleep(1.5)  # until the Hub has done what it was asked for
    assert {path: changed for path, changed in runs(world, "killed").items() if path in made} == made
    choice, whole = json.loads((folder / "choice.json").read_text()), runs(world, "killed")

    done = world.another()(*words("killed", "--push-to", "lab/killed"))
    assert done.status == 0, done.err
    assert json.loads(done.out)["recommended"] == choice["recommended"] and runs(world, "killed") == whole
    check_published(world, "lab/killed", "killed")
    assert [file for file in head(world.hub, "lab/killed").files if "scores" in file]
