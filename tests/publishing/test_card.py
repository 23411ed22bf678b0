"""The card of a published benchmark, and its picture."""

from helpers.people import head, sources
from helpers.score_rows import scores
from huggingface_hub import DatasetCard

from hf_transferability.benchmark import bundled, tables
from hf_transferability.hub import Snapshot
from hf_transferability.publishing import card, publish
from hf_transferability.publishing.merging import merge


def test_the_card(hub, paper):
    files = head(hub, "lab/paper").files
    text = hub.store.read(files["README.md"]).decode()
    data = DatasetCard(text).data.to_dict()
    assert [config["config_name"] for config in data["configs"]] == [*tables.TABLES]
    assert [config["config_name"] for config in data["configs"] if config.get("default")] == ["scores"]
    assert {"license", "license_name", "tags", "task_categories"} <= set(data)
    for column in (*tables.TABLES["runs"].columns, *tables.PROVENANCE):
        assert f"| {column} |" in text
    assert f"]({card.PLOT})" in text
    assert hub.store.read(files[card.PLOT]).startswith(b"\x89PNG")
    assert all(part in text for part in ('load_dataset("lab/paper", "scores"', "## Licence", "@article{juodelyte2024"))
    assert all(part in text for part in ("## The package", "is on no package index", "pip install .\n"))
    assert all(part in text for part in ("## How far to trust it", "## Report a problem", "Cite this dataset as `lab/paper`"))


def test_a_card_without_ground_truth_says_why_it_has_no_picture():
    alone, both = (card.render("lab/x", names, plot=False) for names in (["scores"], ["scores", "ground_truth"]))
    note = "there is no picture. `hf-transferability finetune` makes the table `ground_truth`."
    assert note in alone
    assert note not in both
    assert note not in card.render("lab/x", ["scores", "ground_truth"], plot=True)


def test_without_matplotlib_the_card_shows_no_picture(monkeypatch):
    """Neither a new picture nor an old one with outdated rows."""
    monkeypatch.setattr(publish.importlib.util, "find_spec", lambda name: None)
    truth = tables.check_provenance(bundled.with_provenance()["ground_truth"], "ground_truth")
    head = Snapshot("lab/x", "a" * 40, (card.PLOT,), kind="dataset")
    files, delete = publish._files(head, {"ground_truth": merge(None, truth, "ground_truth")}, None)
    assert (sorted(files), delete) == (["README.md", "data/ground_truth/rows.parquet"], [card.PLOT])
    assert card.PLOT not in files["README.md"].decode()


def test_text_that_others_added_to_the_card_is_kept(alice, hub):
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


def test_a_picture_that_lacks_rows_is_redrawn(alice, hub):
    truth = bundled.with_provenance()["ground_truth"]
    some, all_rows = alice.folder / "ground_truth-some.parquet", alice.folder / "ground_truth-all.parquet"
    truth[:100].to_parquet(some)
    truth.to_parquet(all_rows)
    assert alice("benchmark", "publish", "lab/picture", str(some)).status == 0
    before = hub.store.read(head(hub, "lab/picture").files[card.PLOT])
    assert alice("benchmark", "publish", "lab/picture", str(all_rows), "--create-pr").status == 0
    assert alice("merge", "lab/picture", "1").status == 0
    repaired = alice("benchmark", "publish", "lab/picture", str(all_rows))
    assert (repaired.status, "0 added, 0 replaced, 267 unchanged" in repaired.out) == (0, True)
    files = head(hub, "lab/picture").files
    assert [path for path in files if path.endswith(".parquet")] == ["data/ground_truth/rows.parquet"]
    assert hub.store.read(files[card.PLOT]) != before
    assert "all rows are there already" in alice("benchmark", "publish", "lab/picture", str(all_rows)).err


def test_configurations_that_others_added_are_kept(alice, hub):
    assert alice.publish("lab/configs", scores("a")).status == 0
    text = hub.store.read(head(hub, "lab/configs").files["README.md"]).decode()
    more = text.replace("configs:\n", "configs:\n- config_name: notes\n  data_files: notes.csv\n")
    hub.commit("dataset", "lab/configs", {"README.md": more.encode(), "notes.csv": b"a,b\n1,2\n"})
    assert alice.publish("lab/configs", scores("b")).status == 0
    after = DatasetCard(hub.store.read(head(hub, "lab/configs").files["README.md"]).decode()).data.to_dict()
    assert [config["config_name"] for config in after["configs"]] == ["scores", "notes"]
    assert after["configs"][1] == {"config_name": "notes", "data_files": "notes.csv"}
