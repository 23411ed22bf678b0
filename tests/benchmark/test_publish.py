"""Publishing with the unmodified clients, against the loopback Hub of tests/hub.

The clients read HF_ENDPOINT when they are imported, which takes seconds. So two processes, as of two people, run one command
line after the other.
"""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hub import LoopbackHub
from huggingface_hub import DatasetCard
from made import scores
from test_rankings import RANKING

from hf_transferability.benchmark import bundled, card, publish, tables
from hf_transferability.benchmark.merging import merge
from hf_transferability.hub import Snapshot

ALICE, BOB, READER, PARTNER = "hf_alice_secret", "hf_bob_secret", "hf_reader_secret", "hf_partner_secret"
TOKENS = {ALICE: {"*"}, PARTNER: {"lab/closed"}, BOB: set(), READER: set()}
WRITES = {ALICE: {"alice_secret", "lab"}, PARTNER: {"partner_secret", "lab"}, BOB: {"bob_secret"}}
SERVANT = """
import contextlib, io, json, os, sys, time, warnings
sleep, waits = time.sleep, []
def wait(seconds):
    waits.append(seconds)
    sleep(seconds / 20)
time.sleep = wait  # the clients wait often
warnings.simplefilter("error", ResourceWarning)
from hf_transferability.cli import main
answers = sys.stdout
for line in sys.stdin:
    words, token = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token
    out, err, status = io.StringIO(), io.StringIO(), 0
    waits.clear()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if words[0] == "load":
            import datasets
            loaded = datasets.load_dataset(*words[1:3], split="train", revision=words[3] if words[3:] else None)
            loaded.to_pandas().to_parquet(out_file := words[1].replace("/", "-") + ".parquet")
            print(out_file)
        elif words[0] == "merge":
            import huggingface_hub
            huggingface_hub.HfApi().merge_pull_request(words[1], int(words[2]), repo_type="dataset")
        else:
            status = main(words)
    print(json.dumps([status, out.getvalue(), err.getvalue(), waits]), file=answers, flush=True)
"""


class Person:
    """One who runs command lines, in one process; `said` is all that they ever printed."""

    def __init__(self, environment: dict[str, str], folder: Path, token: str):
        self.said, self.folder, self.token = "", folder, token
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVANT], env=environment, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *words: str, token: str | None = "") -> SimpleNamespace:
        self.start(*words, token=token)
        return self.answer()

    def start(self, *words: str, token: str | None = "") -> None:
        self._process.stdin.write(json.dumps([words, self.token if token == "" else token]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> SimpleNamespace:
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        status, out, err, waits = json.loads(line)
        self.said += out + err
        assert "Traceback" not in err
        assert "unexpected" not in err
        return SimpleNamespace(status=status, out=out, err=err, waits=waits)

    def publish(self, repo_id: str, *frames: pd.DataFrame, token: str | None = "", options: tuple = ()) -> SimpleNamespace:
        self.start_publishing(repo_id, *frames, token=token, options=options)
        return self.answer()

    def start_publishing(self, repo_id: str, *frames: pd.DataFrame, token: str | None = "", options: tuple = ()) -> None:
        files = []
        for number, frame in enumerate(frames):
            files.append(self.folder / f"scores-{self.token.split('_')[1]}-{number}.parquet")
            frame.to_parquet(files[-1], index=False)
        self.start("benchmark", "publish", repo_id, *map(str, files), *options, token=token)

    def load(self, repo_id: str, config: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / self("load", repo_id, config).out.strip())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self._process.stderr.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens=TOKENS, writes=WRITES) as running:
        yield running
        assert not running.leaks()
        assert not running.unknown()


@pytest.fixture(scope="module")
def people(hub, place):
    """Alice and her partner of one laboratory, each with a home of their own."""
    both = []
    for name, token in (("alice", ALICE), ("partner", PARTNER)):
        (place / name).mkdir()
        both.append(Person(hub.environment(place / name / "home"), place / name, token))
    yield both
    for person in both:
        person.close()


@pytest.fixture
def alice(people):
    return people[0]


@pytest.fixture
def there(alice, hub):
    """A function that publishes a first row to a dataset unless it has some."""

    def ensure(repo_id: str) -> None:
        if repository(hub, repo_id) is None:
            assert alice.publish(repo_id, scores("first")).status == 0

    return ensure


@pytest.fixture
def faults(hub):
    yield hub.faults
    hub.faults.clear()


def repository(hub, repo_id: str):
    return hub.store.get("dataset", repo_id)


def head(hub, repo_id: str):
    return repository(hub, repo_id).resolve("main")


def rows(hub, repo_id: str, table: str = "scores", ref: str = "main") -> pd.DataFrame:
    """All rows of a table, as they lie in the repository."""
    found = repository(hub, repo_id)
    files = [file for path, file in found.resolve(ref).files.items() if re.fullmatch(rf"data/{table}/[^/]+\.parquet", path)]
    return pd.concat([pd.read_parquet(io.BytesIO(hub.store.read(file))) for file in files], ignore_index=True)


def sources(hub, repo_id: str, ref: str = "main") -> list[str]:
    return sorted(rows(hub, repo_id, ref=ref)["source"])


@pytest.fixture(scope="module")
def paper(people, hub):
    """What was said when the bundled benchmark was published, after a dry run."""
    alice = people[0]
    dry = alice("benchmark", "publish", "lab/paper", "--dry-run")
    assert (dry.status, "would be made" in dry.err) == (0, True)
    assert repository(hub, "lab/paper") is None
    first = alice("benchmark", "publish", "lab/paper", "--private")
    assert first.out == dry.out
    return first


def test_the_bundled_benchmark_comes_back_whole(alice, hub, paper):
    first = paper
    assert first.status == 0, first.err
    assert "runs: 28205 added, 0 replaced, 0 unchanged" in first.out
    assert f"published: {hub.url}/datasets/lab/paper/commit/{head(hub, 'lab/paper').sha}" in first.err
    assert len(repository(hub, "lab/paper").commits) == 2  # that of the Hub and one of ours
    assert repository(hub, "lab/paper").private
    for name, frame in bundled.with_provenance().items():
        loaded = alice.load("lab/paper", name)
        whole = tables.check_provenance(frame, name).sort_values(list(tables.TABLES[name].key), ignore_index=True)
        pd.testing.assert_frame_equal(tables.check_provenance(loaded, name), whole)
        assert loaded["citation"].str.contains("2412.20172").all()
    again = alice("benchmark", "publish", "lab/paper")
    assert (again.status, "all rows are there already" in again.err) == (0, True)
    assert "scores: 0 added, 0 replaced, 2090 unchanged" in again.out
    assert len(repository(hub, "lab/paper").commits) == 2


def test_the_card(hub, paper):
    files = head(hub, "lab/paper").files
    text = hub.store.read(files["README.md"]).decode()
    data = DatasetCard(text).data.to_dict()
    assert [each["config_name"] for each in data["configs"]] == [*tables.TABLES]
    assert [each["config_name"] for each in data["configs"] if each.get("default")] == ["scores"]
    assert {"license", "license_name", "tags", "task_categories"} <= set(data)
    for column in (*tables.TABLES["runs"].columns, *tables.PROVENANCE):
        assert f"| {column} |" in text
    assert f"]({card.PLOT})" in text
    assert hub.store.read(files[card.PLOT]).startswith(b"\x89PNG")
    assert all(part in text for part in ('load_dataset("lab/paper", "scores"', "## Licence", "@article{juodelyte2024"))


def test_a_card_without_ground_truth_says_why_it_has_no_picture():
    alone, both = (card.render("lab/x", names, plot=False) for names in (["scores"], ["scores", "ground_truth"]))
    said = "there is no picture: it shows the table `ground_truth`, which `hf-transferability finetune` makes"
    assert said in alone
    assert said not in both
    assert said not in card.render("lab/x", ["scores", "ground_truth"], plot=True)


def test_without_matplotlib_the_card_shows_no_picture(monkeypatch):
    """Neither a new one nor one that shows other rows than there are now."""
    monkeypatch.setattr(publish.importlib.util, "find_spec", lambda name: None)
    truth = tables.check_provenance(bundled.with_provenance()["ground_truth"], "ground_truth")
    head = Snapshot("lab/x", "a" * 40, (card.PLOT,), kind="dataset")
    files, delete = publish._files(head, {"ground_truth": merge(None, truth, "ground_truth")}, None)
    assert (sorted(files), delete) == (["README.md", "data/ground_truth/rows.parquet"], [card.PLOT])
    assert card.PLOT not in files["README.md"].decode()


def test_what_others_wrote_into_the_card_stays(alice, hub):
    assert alice.publish("lab/card", scores("a")).status == 0
    text = hub.store.read(head(hub, "lab/card").files["README.md"]).decode()
    changed = (
        text.replace("license: other", "license: cc-by-4.0").replace("---\n\n<!--", "---\n\nOurs.\n\n<!--") + "\nTheirs.\n"
    )
    hub.commit("dataset", "lab/card", {"README.md": changed.encode(), "notes.txt": b"x"})
    assert alice.publish("lab/card", scores("b")).status == 0
    after = hub.store.read(head(hub, "lab/card").files["README.md"]).decode()
    assert "license: cc-by-4.0" in after
    assert after.index("Ours.") < after.index("# card") < after.index("Theirs.")
    assert after.count("# card\n") == 1
    assert "notes.txt" in head(hub, "lab/card").files
    assert sources(hub, "lab/card") == ["a", "b"]


def test_rows_are_merged_by_key(alice, hub):
    later = "2025-06-02T00:00:00+00:00"
    assert alice.publish("lab/merged", scores("a", "b", score=1), scores("c", score=2, date=later)).status == 0
    dry = alice.publish("lab/merged", scores("b", "c", "d", score=3), options=("--dry-run",), token=None)
    assert dry.out == "scores: 1 added, 0 replaced, 0 unchanged, 2 left out because those on the Hub are as new or newer\n"
    newer = alice.publish("lab/merged", scores("a", score=1), scores("b", "d", score=3, date=later))
    assert newer.out == "scores: 1 added, 1 replaced, 1 unchanged\n"
    found = rows(hub, "lab/merged")
    assert dict(zip(found["source"], found["score"], strict=True)) == {"a": 1, "b": 3, "c": 2, "d": 3}
    assert len(alice.load("lab/merged", "scores")) == 4


def test_two_write_at_once(people, hub, faults):
    """The first to read is the second to commit, so its parent is no longer the head."""
    alice, partner = people
    assert alice.publish("lab/both", scores("a")).status == 0
    faults.add("/lab/both/commit/main", delay=0.5, times=1)
    for turn in range(2):
        alice.start_publishing("lab/both", scores("same", f"alice-{turn}"))
        partner.start_publishing("lab/both", scores("same", f"partner-{turn}"))
        assert (alice.answer().status, partner.answer().status) == (0, 0)
    expected = sorted(["a", "same", *(f"{name}-{turn}" for name in ("alice", "partner") for turn in range(2))])
    assert sources(hub, "lab/both") == expected
    assert len(repository(hub, "lab/both").commits) == 6


def test_two_make_the_same_dataset_at_once(people, hub):
    for person in people:
        person.start_publishing("lab/new", scores("same", person.folder.name))
    assert [person.answer().status for person in people] == [0, 0]
    assert sources(hub, "lab/new") == ["alice", "partner", "same"]


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
def test_a_fault_that_passes(alice, hub, faults, there, address, fault, request):
    """After each, every row is there once."""
    there("lab/faults")
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
    assert [each for each in hub.requests if each.fault]
    assert ("retry_after" not in fault) or 7 in done.waits


def add_elsewhere(hub, before: list[str]) -> None:
    """Somebody else adds a row."""
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
        (COMMIT, {"status": 412}, "others write to lab/faults all the time"),
        (COMMIT, {"status": 400}, "refused what was sent to dataset lab/faults (400"),
        (UPLOAD, {"status": 403}, "may neither write"),
        (INFO + "$", {"status": 503}, "busy or broken (503"),
        (FILE, {"corrupt": True}, "arrived damaged twice"),
        (FILE, {"cut": 100}, "connection"),
        ("/api/whoami-v2", {"status": 401}, "does not accept your token (401"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_a_fault_that_stays_is_named(alice, hub, faults, there, address, fault, text, request):
    there("lab/faults")
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


def test_without_write_access_it_is_a_pull_request(alice, hub, faults):
    assert alice.publish("lab/open", scores("a", "b")).status == 0
    before = head(hub, "lab/open")
    faults.add("/lab/open/commit/main", methods={"POST"}, status=500, times=1)
    asked = alice.publish("lab/open", scores("a"), scores("bob"), token=BOB)
    assert asked.status == 0, asked.err
    assert "bob_secret may not write to lab/open, so this is a pull request" in asked.err.replace("\n", " ")
    assert f"proposed: {hub.url}/datasets/lab/open/discussions/1" in asked.err
    assert head(hub, "lab/open") == before
    again = alice.publish("lab/open", scores("a"), scores("bob"), token=BOB)
    assert again.err == asked.err
    assert len(repository(hub, "lab/open").discussions) == 1
    # Meanwhile the owner adds rows; the proposal does not collide with them.
    assert alice.publish("lab/open", scores("c")).status == 0
    assert alice("merge", "lab/open", "1").status == 0
    assert sources(hub, "lab/open") == ["a", "b", "bob", "c"]
    assert sorted(alice.load("lab/open", "scores")["source"]) == ["a", "b", "bob", "c"]
    assert alice.publish("lab/open", scores("d")).status == 0
    assert sources(hub, "lab/open") == ["a", "b", "bob", "c", "d"]
    assert [path for path in head(hub, "lab/open").files if path.endswith(".parquet")] == ["data/scores/rows.parquet"]


@pytest.mark.parametrize("fault", [{"lost": True}, {"lost": True, "reset": True}], ids=str)
def test_a_lost_answer_opens_no_second_pull_request(alice, hub, faults, there, fault):
    there("lab/open")
    number = len(repository(hub, "lab/open").discussions)
    faults.add("/lab/open/commit/main", times=1, **fault)
    asked = alice.publish("lab/open", scores(f"lost-{number}"), options=("--create-pr",))
    assert asked.status == 0, asked.err
    assert f"proposed: {hub.url}/datasets/lab/open/discussions/{number + 1}" in asked.err
    assert len(repository(hub, "lab/open").discussions) == number + 1
    assert f"lost-{number}" in sources(hub, "lab/open", f"refs/pr/{number + 1}")
    assert f"lost-{number}" not in sources(hub, "lab/open")


def test_a_proposal_that_replaces_rows(alice, hub, there):
    there("lab/open")
    assert alice.publish("lab/open", scores("changing")).status == 0
    later = scores("changing", score=9, date="2025-06-02T00:00:00+00:00")
    asked = alice.publish("lab/open", later, options=("--create-pr",))
    assert "scores: 0 added, 1 replaced" in asked.out
    number = len(repository(hub, "lab/open").discussions)
    assert alice("merge", "lab/open", str(number)).status == 0
    found = rows(hub, "lab/open")
    assert found["source"].is_unique
    assert found.set_index("source").loc["changing", "score"] == 9


def test_rows_that_were_merged_twice_heal(alice, hub, there):
    """Two proposals of the same row, merged one after the other."""
    there("lab/open")
    for score in (1, 2):
        row = scores("twice", score=score, date=f"2025-06-0{score}T00:00:00+00:00")
        assert alice.publish("lab/open", row, options=("--create-pr",)).status == 0
    number = len(repository(hub, "lab/open").discussions)
    for pull in (number - 1, number):
        assert alice("merge", "lab/open", str(pull)).status == 0
    assert sources(hub, "lab/open").count("twice") == 2
    present = scores("first") if "first" in sources(hub, "lab/open") else scores("a")
    proposed = alice.publish("lab/open", present, token=BOB)  # the duplicate is nothing that a proposal could remove
    assert (proposed.status, "all rows are there already" in proposed.err) == (0, True)
    assert proposed.out == "scores: 0 added, 0 replaced, 1 unchanged\n"
    assert len(repository(hub, "lab/open").discussions) == number
    healed = alice.publish("lab/open", present)
    assert healed.out == "scores: 0 added, 0 replaced, 1 unchanged, 1 duplicates removed\n"
    found = rows(hub, "lab/open").set_index("source")
    assert found.loc["twice", "score"] == 2


def test_rows_with_another_column_load_beside_the_others(alice, hub):
    """The proposal's file lies beside the table's, and `datasets` takes the columns of the one for both."""
    assert alice.publish("lab/extra", scores("a", "b", remark="mine")).status == 0
    assert alice.publish("lab/extra", scores("c"), options=("--create-pr",)).status == 0
    assert alice("merge", "lab/extra", "1").status == 0
    assert len([path for path in head(hub, "lab/extra").files if path.endswith(".parquet")]) == 2
    loaded = alice.load("lab/extra", "scores").set_index("source")["remark"]
    assert loaded.dropna().to_dict() == {"a": "mine", "b": "mine"}
    assert sorted(loaded.index) == ["a", "b", "c"]


def test_a_proposal_has_no_empty_files(alice, hub):
    """Of two tables that are published, one has nothing new but a duplicate that was merged."""
    assert alice.publish("lab/dup", scores("a")).status == 0
    for score in (1, 2):
        row = scores("t", score=score, date=f"2025-06-0{score}T00:00:00+00:00")
        assert alice.publish("lab/dup", row, options=("--create-pr",)).status == 0
    for pull in ("1", "2"):
        assert alice("merge", "lab/dup", pull).status == 0
    before = head(hub, "lab/dup").files
    truth = bundled.with_provenance()["ground_truth"][:5]
    truth.to_parquet(alice.folder / "ground_truth.parquet")
    scores("a").to_parquet(alice.folder / "scores.parquet")
    asked = alice("benchmark", "publish", "lab/dup", "scores.parquet", "ground_truth.parquet", "--create-pr")
    (alice.folder / "scores.parquet").unlink()
    assert asked.status == 0, asked.err
    new = set(repository(hub, "lab/dup").resolve("refs/pr/3").files) - set(before)
    assert len(new) == 1
    assert len(rows(hub, "lab/dup", "ground_truth", "refs/pr/3")) == 5


def test_a_picture_that_lacks_rows_is_drawn_anew(alice, hub):
    truth = bundled.with_provenance()["ground_truth"]
    some, whole = alice.folder / "ground_truth-some.parquet", alice.folder / "ground_truth-all.parquet"
    truth[:100].to_parquet(some)
    truth.to_parquet(whole)
    assert alice("benchmark", "publish", "lab/picture", str(some)).status == 0
    before = hub.store.read(head(hub, "lab/picture").files[card.PLOT])
    assert alice("benchmark", "publish", "lab/picture", str(whole), "--create-pr").status == 0
    assert alice("merge", "lab/picture", "1").status == 0
    healed = alice("benchmark", "publish", "lab/picture", str(whole))
    assert (healed.status, "0 added, 0 replaced, 267 unchanged" in healed.out) == (0, True)
    files = head(hub, "lab/picture").files
    assert [path for path in files if path.endswith(".parquet")] == ["data/ground_truth/rows.parquet"]
    assert hub.store.read(files[card.PLOT]) != before
    assert "all rows are there already" in alice("benchmark", "publish", "lab/picture", str(whole)).err


def test_two_people_with_folders_of_one_name(people, hub):
    """Each has a checkpoint called `best`: neither replaces the other's figures."""
    for day, (person, score) in enumerate(zip(people, (0.9, 0.1), strict=True), 1):
        own = scores(
            "best", score=score, checkpoint="best", checkpoint_revision=f"sha256:{score}", date=f"2025-06-0{day}T00:00:00+00:00"
        )
        assert person.publish("lab/best", own).out == "scores: 1 added, 0 replaced, 0 unchanged\n"
    assert sorted(rows(hub, "lab/best")["score"]) == [0.1, 0.9]


def test_a_dry_run_says_what_could_not_be_made(alice):
    for repo_id, token, status, text in [
        ("lab/never", BOB, 1, "as bob_secret you may not make one under lab"),
        ("reader_secret/x", READER, 1, "your token may only read"),
        ("lab/never", "hf_expired_secret", 1, "does not accept your token (401"),
        ("lab/never", None, 0, "There is no dataset lab/never that can be seen without login; it would be made."),
        ("lab/never", ALICE, 0, "There is no dataset lab/never yet; it would be made."),
    ]:
        said = alice.publish(repo_id, scores("a"), token=token, options=("--dry-run",))
        assert (said.status, text in said.err) == (status, True), said.err


def test_configurations_of_others_stay(alice, hub):
    assert alice.publish("lab/configs", scores("a")).status == 0
    text = hub.store.read(head(hub, "lab/configs").files["README.md"]).decode()
    more = text.replace("configs:\n", "configs:\n- config_name: notes\n  data_files: notes.csv\n")
    hub.commit("dataset", "lab/configs", {"README.md": more.encode(), "notes.csv": b"a,b\n1,2\n"})
    assert alice.publish("lab/configs", scores("b")).status == 0
    after = DatasetCard(hub.store.read(head(hub, "lab/configs").files["README.md"]).decode()).data.to_dict()
    assert [each["config_name"] for each in after["configs"]] == ["scores", "notes"]
    assert after["configs"][1] == {"config_name": "notes", "data_files": "notes.csv"}


@pytest.mark.parametrize("name", ["scores.json", "runs-2025.json", "mine.json", "ranking.JSON"])
def test_a_ranking_is_one_whatever_its_name(alice, name):
    (alice.folder / name).write_text(json.dumps(RANKING))
    said = alice("benchmark", "publish", "lab/names", name, "--dry-run")
    (alice.folder / name).unlink()
    assert (said.status, said.out) == (0, "scores: 6 added, 0 replaced, 0 unchanged\n"), said.err


def test_who_may_not_publish(alice, hub):
    hub.commit("dataset", "lab/closed", {"README.md": b"---\ntags: [hf-transferability]\n---\n"}, private=True)
    hub.commit("dataset", "lab/gated", {"README.md": b"---\ntags: [hf-transferability]\n---\n"}, gated=True)
    expired = "hf_expired_secret"
    count = len(hub.requests)
    for repo_id, token, text in [
        ("lab/x", None, "you are not logged in to the Hub. Log in with `hf auth login`"),
        ("lab/x", expired, "does not accept your token (401"),
        ("lab/x", BOB, "as bob_secret you may not make one under lab. Choose bob_secret/x"),
        ("reader_secret/x", READER, "your token may only read"),
        ("lab/closed", BOB, "there is no dataset lab/closed that you may see"),
        ("lab/gated", BOB, "dataset lab/gated is gated: ask for access at"),
    ]:
        refused = alice.publish(repo_id, scores("a"), token=token)
        assert (refused.status, refused.out) == (1, ""), repo_id
        assert text in refused.err
    assert {request.method for request in hub.requests[count:]} <= {"GET", "HEAD"}
    assert alice.publish("lab/closed", scores("a"), token=PARTNER).status == 0
    assert sources(hub, "lab/closed") == ["a"]


def test_names_that_are_taken(alice, hub, there):
    there("lab/public")
    hub.commit("model", "lab/model", {"config.json": b"{}"})
    hub.commit("space", "lab/space", {"app.py": b""})
    hub.commit("dataset", "lab/images", {"data/train.parquet": b"x", "README.md": b"---\nlicense: mit\n---\n# Images\n"})
    hub.commit("dataset", "lab/bare", {"data/train.parquet": b"x"})
    hub.commit("dataset", "lab/broken", {"README.md": b"---\nlicense: [mit\n---\n"})
    for repo_id, text in [
        ("lab/model", "lab/model is a model on the Hub"),
        ("lab/space", "lab/space is a Space on the Hub"),
        ("lab/images", "lab/images is a dataset of another kind: it holds data/train.parquet"),
        ("lab/bare", "lab/bare is a dataset of another kind"),
        ("lab/broken", "README.md of lab/broken has broken front matter"),
    ]:
        refused = alice.publish(repo_id, scores("a"))
        assert (refused.status, refused.out) == (1, ""), repo_id
        assert text in refused.err
    assert repository(hub, "lab/model") is None
    public = alice.publish("lab/public", scores("z"), options=("--private",))
    assert (public.status, "lab/public is public" in public.err) == (1, True)
    hub.commit("dataset", "lab/empty", {"README.md": b"---\nlicense: mit\n---\n# Empty\n"})
    assert alice.publish("lab/empty", scores("a")).status == 0
    assert b"# Empty" in hub.store.read(head(hub, "lab/empty").files["README.md"])


def test_rows_that_cannot_be_read_are_not_overwritten(alice, hub):
    assert alice.publish("lab/spoilt", scores("a")).status == 0
    hub.commit("dataset", "lab/spoilt", {"data/scores/more.parquet": b"no parquet"})
    refused = alice.publish("lab/spoilt", scores("b"))
    assert (refused.status, "data/scores/more.parquet of lab/spoilt is no longer a table" in refused.err) == (1, True)


def test_wrong_usage(alice, place):
    refused = alice.publish("lab/x", scores("a").drop(columns="hardware"))
    assert (refused.status, "source=a, target=owner/target, metric=logme, variant=default lacks hardware" in refused.err) == (
        2,
        True,
    )
    (place / "alice" / "mine.csv").write_text("a\n1\n")
    (place / "alice" / "mine.json").write_text('{"rows": []}')
    for words, text in [
        (["name"], "must be a dataset's OWNER/NAME on the Hub; got 'name'"),
        (["a/b/c"], "must be a dataset's OWNER/NAME"),
        (["lab/-x-"], "must be a dataset's OWNER/NAME"),
        (["lab/x", "--benchmark", "none"], "There are: open, paper"),
        (["lab/x", "mine.csv"], "must be a ranking saved as .json, or a table whose file's name begins with"),
        (["lab/x", "mine.json"], "must be a ranking that this version saved as JSON"),
        (["lab/x", "nowhere.json"], "nowhere.json cannot be read"),
        (["lab/x", "scores.parquet"], "there is no file scores.parquet"),
    ]:
        refused = alice("benchmark", "publish", *words)
        assert (refused.status, refused.out) == (2, ""), words
        assert text in refused.err


def test_no_token_is_told(people, hub, place):
    """After all of the above: tokens are neither printed nor stored, and go to no other host."""
    assert not hub.leaks()
    for person in people:
        assert "hf_" not in person.said.replace("hf_transferability", "")
    files = [path for path in place.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not [token for token in (ALICE, BOB, READER, PARTNER) if token.encode() in content]
