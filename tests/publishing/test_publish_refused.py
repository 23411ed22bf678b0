"""Publications that are refused, and dry runs."""

from helpers.people import ALICE, BOB, PARTNER, READER, head, repository, sources
from helpers.score_rows import scores


def test_a_dry_run_reports_missing_permissions(alice):
    for repo_id, token, status, text in [
        ("lab/never", BOB, 1, "as bob_secret you may not make one under lab"),
        ("reader_secret/x", READER, 1, "your token may only read"),
        ("lab/never", "hf_expired_secret", 1, "does not accept your token (401"),
        ("lab/never", None, 0, "There is no dataset lab/never that can be seen without login; it would be made."),
        ("lab/never", ALICE, 0, "There is no dataset lab/never yet; it would be made."),
    ]:
        dry_run = alice.publish(repo_id, scores("a"), token=token, options=("--dry-run",))
        assert (dry_run.status, text in dry_run.err) == (status, True), dry_run.err


def test_accounts_without_permission(alice, hub):
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


def test_names_in_use(alice, hub, with_rows):
    with_rows("lab/public")
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
        (
            ["lab/x", "--benchmark", "none"],
            "There are: chaves2024, medmnistplus, open, open_regnet, paper, sfda_emms, transfergraph",
        ),
        (["lab/x", "mine.csv"], "must be a ranking saved as .json, or a table whose file's name begins with"),
        (["lab/x", "mine.json"], "must be a ranking that this version saved as JSON"),
        (["lab/x", "nowhere.json"], "nowhere.json cannot be read"),
        (["lab/x", "scores.parquet"], "there is no file scores.parquet"),
    ]:
        refused = alice("benchmark", "publish", *words)
        assert (refused.status, refused.out) == (2, ""), words
        assert text in refused.err
