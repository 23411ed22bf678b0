"""A Hub with machines for jobs, somebody who ranks by them, and the process that stands for the machines."""

import threading
from types import SimpleNamespace

import pytest
from helpers.inputs import resnet_config
from helpers.loopback_hub import LoopbackHub
from helpers.loopback_hub.jobs import Machines
from helpers.people import ALICE, BOB, Person

TOKENS = {ALICE: {"*"}, BOB: set()}
WRITES = {ALICE: {"alice_secret", "lab"}, BOB: {"bob_secret"}}


@pytest.fixture(scope="package")
def world(tmp_path_factory, make_target, make_checkpoint, libraries):
    """`hub`, `machines` and `alice`; the Hub has a dataset and three models, and a process runs its jobs one by one."""
    place, one_at_a_time = tmp_path_factory.mktemp("world"), threading.Lock()

    def run(job):
        words = job.spec["command"]
        with one_at_a_time:
            done = machine(*words[words.index("hf_transferability") + 1 :], token=job.secrets["HF_TOKEN"])
        return done.status, done.err.splitlines()

    machines = Machines(run)
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens=TOKENS, writes=WRITES, jobs=machines) as hub:
        hub.commit("dataset", "lab/x-rays", make_target(n=40), private=True)
        for seed, name in enumerate(("one", "two", "three")):
            hub.commit("model", f"lab/{name}", make_checkpoint(resnet_config(width=4) if seed == 2 else None, seed=seed))
        people = []
        for name in ("alice", "machine"):
            (place / name).mkdir()
            people.append(Person(libraries, hub.environment(place / name / "home"), place / name, ALICE))
        alice, machine = people
        yield SimpleNamespace(hub=hub, machines=machines, alice=alice)
        for person in people:
            person.close()
            assert "hf_alice" not in person.printed
        assert not hub.leaks()
        assert not hub.unknown()
