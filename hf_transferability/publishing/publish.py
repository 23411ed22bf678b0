"""Publish tables as a Hub dataset that others can load, extend and trust.

The newest rows are read, the new ones are merged into them by key, and both go back in one commit on top of the commit that was
read. If somebody else was faster, or the answer was lost, the head is read again: no row is lost, and none is there twice.
"""

import hashlib
import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hf_transferability.benchmark import tables
from hf_transferability.errors import PublishError, UsageError
from hf_transferability.hub import explain, fetch, writing
from hf_transferability.hub.cached import Snapshot
from hf_transferability.publishing import card
from hf_transferability.publishing.merging import Merged, merge

if TYPE_CHECKING:
    import pandas as pd

_ATTEMPTS = 20  # of writers who publish at once one succeeds in each round


@dataclass(frozen=True)
class Published:
    """What a publication changed, or in a dry run would change.

    Attributes:
        merged: table -> how its rows were merged.
        address: of the commit, the pull request, or, if nothing changed, the dataset.
        how: "commit", "pull request", "nothing" (all rows were there) or "dry run".
        notes: what the user should know beside it.
    """

    repo_id: str
    merged: dict[str, Merged]
    address: str
    how: str
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What changed, table by table."""
        return [f"{name}: {_counts(merged)}" for name, merged in self.merged.items()]


def check_destination(repo_id: str, token: str | None = None) -> None:
    """Refuse before a long run what could not be published to afterwards. A dataset that is missing could be made.

    Raises:
        UsageError: not a dataset's id.
        PublishError: not logged in, no access, or the name is taken by something else.
    """
    writing.check_id(repo_id)
    account = writing.logged_in(token)
    head = writing.find_dataset(repo_id, token)
    if head is None:
        writing.check_may_create(repo_id, account)
    else:
        _check_is_benchmark(head, token)


def publish(
    new: Mapping[str, "pd.DataFrame"],
    repo_id: str,
    *,
    private: bool = False,
    create_pr: bool | None = None,
    token: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Merge tables into a Hub dataset, which is made if it is missing.

    Runs of one's own that failed are left out, and `notes` says how many.

    Args:
        new: table -> frame with provenance in every row; see `tables.TABLES` and `tables.PROVENANCE`.
        repo_id: OWNER/NAME.
        private: make a new dataset private.
        create_pr: True opens a pull request, False never; default only where the account may not write.
        token: default the one of `hf auth login`.
        dry_run: change nothing, and need no login for a public dataset; who is logged in is told what could not be made.

    Raises:
        UsageError: not an id, no rows, a frame that is not the table that it should be, or rows without provenance.
        PublishError: not logged in, no access, a name that is taken, a Hub that cannot be reached.
    """
    writing.check_id(repo_id)
    frames = {name: tables.check_provenance(frame, name, f"table {name}") for name, frame in new.items() if len(frame)}
    notes = []
    if "runs" in frames and (failed := tables.failed(frames["runs"])).any():
        notes.append(f"{failed.sum()} of {len(failed)} runs failed and are left out.")
        frames["runs"] = frames["runs"][~failed].reset_index(drop=True)
    frames = {name: frame for name, frame in frames.items() if len(frame)}
    if not frames:
        raise UsageError("`new` must have at least one row to publish, runs that failed aside; got none.")
    published = _merge_and_write(frames, repo_id, private, create_pr, token, dry_run)
    return replace(published, notes=[*notes, *published.notes])


def _merge_and_write(
    frames: Mapping[str, "pd.DataFrame"], repo_id: str, private: bool, create_pr: bool | None, token: str | None, dry_run: bool
) -> Published:
    """Read, merge and commit, again if somebody else was faster."""
    account = None if dry_run and not writing.has_token(token) else writing.logged_in(token, dry_run)
    sent: Published | None = None
    for _ in range(_ATTEMPTS):
        head = writing.find_dataset(repo_id, token, dry_run)
        if head is None and account is not None:
            writing.check_may_create(repo_id, account)
            head = None if dry_run else writing.create_dataset(repo_id, private, token)
        if head is not None:
            _check_is_benchmark(head, token)
            if private and not head.private:
                raise PublishError(f"{repo_id} is public, and everybody could read the rows. Make it private in its settings.")
        merged = {name: merge(_read(head, name, token) if head else None, frame, name) for name, frame in frames.items()}
        if dry_run or head is None or account is None:
            seen = "that can be seen without login" if account is None else "yet"
            missing = [] if head else [f"There is no dataset {repo_id} {seen}; it would be made."]
            return Published(repo_id, merged, _address(repo_id), "dry run", missing)
        if not _changed(head, merged):  # also where the answer to a commit was lost
            return sent or Published(repo_id, merged, _address(repo_id), "nothing")
        sent = Published(repo_id, merged, _address(repo_id), "commit")
        try:
            return _write(head, merged, account, create_pr, token)
        except writing.HeadMovedError:
            continue
    raise PublishError(f"others write to {repo_id} all the time. Run again later: rows that have arrived are not added twice.")


def _write(
    head: Snapshot, merged: dict[str, Merged], account: writing.Account, create_pr: bool | None, token: str | None
) -> Published:
    """Make the commit, or the pull request where one is asked for or nothing else allowed."""
    changed, notes = _changed(head, merged), []
    if not create_pr:
        message = _message(changed)
        try:
            address = writing.commit(head, *_files(head, changed, token), message, token)
            return Published(head.repo_id, merged, address, "commit")
        except writing.NoWriteAccessError as error:
            if create_pr is False:
                raise PublishError(
                    f"{account.name} may not write to {head.repo_id} ({error}). Propose a pull request, "
                    "or ask its owner for access."
                ) from error
            notes = [f"{account.name} may not write to {head.repo_id}, so this is a pull request."]
    proposed = {name: each for name, each in changed.items() if len(each.fresh)}
    # Only a table that is written whole is rid of its duplicates.
    merged = {name: each if name in proposed and each.replaced else replace(each, repeated=0) for name, each in merged.items()}
    if not proposed:
        return Published(head.repo_id, merged, _address(head.repo_id), "nothing", notes)
    try:
        message = _message(proposed)
        files = _proposed_files(head, proposed, token)
        address = writing.open_pull_request(head, *files, message, account.name, token)
    except writing.NoWriteAccessError as error:
        raise PublishError(
            f"{account.name} may neither write to {head.repo_id} nor propose a pull request ({error}). Log in with "
            "`hf auth login` and a token that may write, or ask its owner for access."
        ) from error
    return Published(head.repo_id, merged, address, "pull request", notes)


def _changed(head: Snapshot, merged: Mapping[str, Merged]) -> dict[str, Merged]:
    """The tables that are to be written; ground truth in several files, too, as the picture does not show the others."""
    scattered = len(_table_files(head, "ground_truth")) > 1
    return {name: each for name, each in merged.items() if each.differs or (name == "ground_truth" and scattered)}


def _check_is_benchmark(head: Snapshot, token: str | None) -> None:
    """Refuse a dataset that holds something else, whose card and files are not ours to change."""
    text = _read_card(head, token)
    if text is not None and card.is_ours(text, head.repo_id):
        return
    if others := sorted({*head.files} - {"README.md", ".gitattributes"}):
        raise PublishError(
            f"{head.repo_id} is a dataset of another kind: it holds {others[0]} and has no tag {card.TAG}. Choose another name."
        )


def _read_card(head: Snapshot, token: str | None) -> str | None:
    if "README.md" not in head.files:
        return None
    try:
        return fetch(head, "README.md", token).read_text("utf-8")
    except Exception as error:
        raise PublishError(explain(error, "dataset", head.repo_id)) from error


def _read(head: Snapshot, name: str, token: str | None) -> "pd.DataFrame | None":
    """A table's rows at the head; a key may be there twice, after a pull request was merged."""
    import pandas as pd

    files = _table_files(head, name)
    if not files:
        return None
    frames = []
    for file in files:
        try:
            path = fetch(head, file, token)
        except Exception as error:
            raise PublishError(explain(error, "dataset", head.repo_id)) from error
        try:
            frames.append(tables.read(path, name))
        except UsageError as error:
            raise PublishError(
                f"{file} of {head.repo_id} is no longer a table: {error} Mend or remove it on the Hub."
            ) from error
    return pd.concat(frames, ignore_index=True)


def _table_files(head: Snapshot, name: str) -> list[str]:
    return [file for file in head.files if file.startswith(f"data/{name}/") and file.endswith(".parquet")]


def _files(head: Snapshot, changed: dict[str, Merged], token: str | None) -> tuple[dict[str, bytes], list[str]]:
    """The files of a commit, and those that it removes: every changed table in one file, the picture, the card."""
    files = {f"data/{name}/rows.parquet": _parquet(merged.frame) for name, merged in changed.items()}
    delete = [file for name in changed for file in _table_files(head, name) if file not in files]
    plot = card.PLOT in head.files
    if "ground_truth" in changed:
        drawn = _plot(changed["ground_truth"].frame)
        if drawn is not None:
            files[card.PLOT] = drawn
        elif plot:  # it would show other rows than there are
            delete.append(card.PLOT)
        plot = drawn is not None
    files["README.md"] = _card(head, changed, plot, token)
    return files, delete


def _proposed_files(head: Snapshot, changed: dict[str, Merged], token: str | None) -> tuple[dict[str, bytes], list[str]]:
    """The files of a pull request, and those that it removes: new rows in a file of their own, so that it cannot collide with
    what others write meanwhile. The whole table is written where rows replace others, and where its files have other columns
    than the new rows, as files of an older version of this package do: `datasets` loads files of the same columns
    only. The card is changed for new tables only.
    """
    files, delete = {}, []
    for name, merged in changed.items():
        if merged.replaced or _has_other_columns(head, name, merged.fresh, token):
            files[f"data/{name}/rows.parquet"] = _parquet(merged.frame)
            delete += [file for file in _table_files(head, name) if file not in files]
        else:
            files[f"data/{name}/{_digest(merged.fresh)}.parquet"] = _parquet(merged.fresh)
    if any(not _table_files(head, name) for name in changed):
        files["README.md"] = _card(head, changed, card.PLOT in head.files, token)
    return files, delete


def _has_other_columns(head: Snapshot, name: str, rows: "pd.DataFrame", token: str | None) -> bool:
    """Whether a file of the table lacks a column of these rows, or has others."""
    from pyarrow import parquet

    return any(set(parquet.read_schema(fetch(head, file, token)).names) != set(rows) for file in _table_files(head, name))


def _card(head: Snapshot, changed: dict[str, Merged], plot: bool, token: str | None) -> bytes:
    present = {name for name in tables.TABLES if name in changed or _table_files(head, name)}
    return card.render(head.repo_id, present, plot, _read_card(head, token)).encode()


def _plot(ground_truth: "pd.DataFrame") -> bytes | None:
    """A picture of the ground truth as PNG; None where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from hf_transferability.reporting import plots

    stream = io.BytesIO()
    plots.ground_truth_heatmap(ground_truth).savefig(stream, format="png", bbox_inches="tight", metadata={"Software": None})
    return stream.getvalue()


def _parquet(frame: "pd.DataFrame") -> bytes:
    stream = io.BytesIO()
    try:
        frame.to_parquet(stream, index=False, compression="zstd")
    except (ValueError, TypeError) as error:  # a column that the table does not know, of mixed kinds
        raise UsageError(f"the rows cannot be written: {error}. Drop or mend that column.") from error
    return stream.getvalue()


def _digest(frame: "pd.DataFrame") -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:12]


def _message(changed: dict[str, Merged]) -> str:
    """One line that is the same exactly when the same rows are published, so that a repeated proposal is recognised."""
    parts = [f"{name} ({_counts(merged, only_changes=True)}, {_digest(merged.fresh)})" for name, merged in changed.items()]
    return f"Rows of {', '.join(parts)}"


def _counts(merged: Merged, only_changes: bool = False) -> str:
    counts = {"added": merged.added, "replaced": merged.replaced}
    if not only_changes:
        counts["unchanged"] = merged.unchanged
    if merged.repeated and not only_changes:
        counts["duplicates removed"] = merged.repeated
    text = ", ".join(f"{number} {what}" for what, number in counts.items())
    if merged.older and not only_changes:
        text += f", {merged.older} left out because those on the Hub are as new or newer"
    return text


def _address(repo_id: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{repo_id}"
