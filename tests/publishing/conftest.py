"""The Hub and the people of all tests of publishing; at the end, no token may have been printed or stored."""

import pytest
from helpers.loopback_hub import LoopbackHub
from helpers.people import ALICE, BOB, PARTNER, READER, TOKENS, WRITES, Person, repository
from helpers.score_rows import scores


@pytest.fixture(scope="package")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="package")
def hub(tmp_path_factory):
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens=TOKENS, writes=WRITES) as running:
        yield running
        assert not running.leaks()
        assert not running.unknown()


@pytest.fixture(scope="package")
def people(hub, place, libraries):
    """Alice and her partner of one laboratory, each with a home of their own."""
    both = []
    for name, token in (("alice", ALICE), ("partner", PARTNER)):
        (place / name).mkdir()
        both.append(Person(libraries, hub.environment(place / name / "home"), place / name, token))
    yield both
    for person in both:
        person.close()
    _check_that_no_token_leaked(both, hub, place)


def _check_that_no_token_leaked(people, hub, place):
    """Tokens are neither printed nor stored, and go to no other host."""
    assert not hub.leaks()
    for person in people:
        assert "hf_" not in person.printed.replace("hf_transferability", "")
    files = [path for path in place.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not [token for token in (ALICE, BOB, READER, PARTNER) if token.encode() in content]


@pytest.fixture
def alice(people):
    return people[0]


@pytest.fixture
def with_rows(alice, hub):
    """with_rows(repo_id) publishes a first row to a dataset unless it has rows."""

    def ensure(repo_id: str) -> None:
        if repository(hub, repo_id) is None:
            assert alice.publish(repo_id, scores("first")).status == 0

    return ensure


@pytest.fixture
def faults(hub):
    yield hub.faults
    hub.faults.clear()


@pytest.fixture(scope="package")
def paper(people, hub):
    """The output of publishing the bundled benchmark, after a dry run."""
    alice = people[0]
    dry = alice("benchmark", "publish", "lab/paper", "--dry-run")
    assert (dry.status, "would be made" in dry.err) == (0, True)
    assert repository(hub, "lab/paper") is None
    first = alice("benchmark", "publish", "lab/paper", "--private")
    assert first.out == dry.out
    return first
