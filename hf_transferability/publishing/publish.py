"""Publish tables as a Hub dataset, without losing or repeating rows when several people write at once.

The newest rows are read, new rows are merged into them by key, and the result is sent as one commit on top of the commit that
was read. If another commit came first, or the response was lost, the newest rows are read again.
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

_ATTEMPTS = 20  # if several people publish at once, one of them succeeds in each round


@dataclass(frozen=True)
class Published:
    """What a publication changed, or would change after a dry run.

    Attributes:
        repo_id: OWNER/NAME of the dataset.
        merged: table -> its merged rows.
        address: URL of the commit or pull request, or of the dataset if nothing changed.
        how: "commit", "pull request", "nothing" (the dataset had all rows) or "dry run".
        notes: further remarks for the user.
    """

    repo_id: str
    merged: dict[str, Merged]
    address: str
    how: str
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """One line on the changes for each table."""
        return [f"{name}: {_counts(merged)}" for name, merged in self.merged.items()]


def check_destination(repo_id: str, token: str | None = None) -> None:
    """Check, before a long computation, that its results can be published. A dataset that does not exist can be created.

    Raises:
        UsageError: an invalid id.
        PublishError: not logged in, no access, or the name is in use for something else.
    """
    writing.check_id(repo_id)
    account = writing.read_account(token)
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
    """Merge tables into a Hub dataset, which is created if it does not exist.

    Failed runs are left out; `notes` states their number.

    Args:
        new: table -> frame with provenance in every row; see `tables.TABLES` and `tables.PROVENANCE`.
        repo_id: OWNER/NAME.
        private: create a new dataset as private.
        create_pr: True always opens a pull request, False never; default only if the account may not write.
        token: default that of `hf auth login`.
        dry_run: change nothing. A public dataset needs no login then; with a login, missing permissions are reported.

    Raises:
        UsageError: an invalid id, no rows, a frame with other columns than its table, or rows without provenance.
        PublishError: not logged in, no access, a name in use, or a Hub that cannot be reached.
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
    """Read, merge and commit; again if another commit came first."""
    account = None if dry_run and not writing.has_token(token) else writing.read_account(token, dry_run)
    attempted: Published | None = None
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
            qualifier = "that can be seen without login" if account is None else "yet"
            notes = [] if head else [f"There is no dataset {repo_id} {qualifier}; it would be made."]
            return Published(repo_id, merged, dataset_address(repo_id), "dry run", notes)
        if not _changed(head, merged):  # also after a commit with a lost response
            return attempted or Published(repo_id, merged, dataset_address(repo_id), "nothing")
        attempted = Published(repo_id, merged, dataset_address(repo_id), "commit")
        try:
            return _write(head, merged, account, create_pr, token)
        except writing.HeadMovedError:
            continue
    raise PublishError(
        f"others keep writing to {repo_id} at the same time. Run again later: rows that have arrived are not added twice."
    )


def _write(
    head: Snapshot, merged: dict[str, Merged], account: writing.Account, create_pr: bool | None, token: str | None
) -> Published:
    """Make the commit, or the pull request if one is requested or only that is allowed."""
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
    proposed = {name: table for name, table in changed.items() if len(table.fresh)}
    # Duplicates disappear only from tables that are written completely.
    merged = {
        name: table if name in proposed and table.replaced else replace(table, repeated=0) for name, table in merged.items()
    }
    if not proposed:
        return Published(head.repo_id, merged, dataset_address(head.repo_id), "nothing", notes)
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
    """The tables to write. Ground truth in several files is one of them, as its picture shows only the rows of one file."""
    scattered = len(_table_files(head, "ground_truth")) > 1
    return {name: table for name, table in merged.items() if table.differs or (name == "ground_truth" and scattered)}


def _check_is_benchmark(head: Snapshot, token: str | None) -> None:
    """Check that a dataset is a benchmark of this package; the files of any other dataset are not changed."""
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
    """The rows of a table at the head; keys may be repeated after a merged pull request."""
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
                f"{file} of {head.repo_id} is no longer a table: {error} Correct or remove it on the Hub."
            ) from error
    return pd.concat(frames, ignore_index=True)


def _table_files(head: Snapshot, name: str) -> list[str]:
    return [file for file in head.files if file.startswith(f"data/{name}/") and file.endswith(".parquet")]


def _files(head: Snapshot, changed: dict[str, Merged], token: str | None) -> tuple[dict[str, bytes], list[str]]:
    """The files of a commit (every changed table in one file, the picture, the card), and the paths that it removes."""
    files = {f"data/{name}/rows.parquet": _parquet(merged.frame) for name, merged in changed.items()}
    delete = [file for name in changed for file in _table_files(head, name) if file not in files]
    plot = card.PLOT in head.files
    if "ground_truth" in changed:
        picture = _plot(changed["ground_truth"].frame)
        if picture is not None:
            files[card.PLOT] = picture
        elif plot:  # the old picture shows outdated rows
            delete.append(card.PLOT)
        plot = picture is not None
    files["README.md"] = _card(head, changed, plot, token)
    return files, delete


def _proposed_files(head: Snapshot, changed: dict[str, Merged], token: str | None) -> tuple[dict[str, bytes], list[str]]:
    """The files of a pull request, and the paths that it removes.

    New rows are in a new file, so that the pull request cannot conflict with later commits. A complete table is written if
    rows replace others, or if the files of the table have other columns, as those of older versions of this package:
    `datasets` needs equal columns in all files. The card is changed only for new tables.
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
    """Whether the columns of a file of the table differ from those of these rows."""
    from pyarrow import parquet

    return any(set(parquet.read_schema(fetch(head, file, token)).names) != set(rows) for file in _table_files(head, name))


def _card(head: Snapshot, changed: dict[str, Merged], plot: bool, token: str | None) -> bytes:
    present = {name for name in tables.TABLES if name in changed or _table_files(head, name)}
    return card.render(head.repo_id, present, plot, _read_card(head, token)).encode()


def _plot(ground_truth: "pd.DataFrame") -> bytes | None:
    """A picture of the ground truth as PNG; None if matplotlib is not installed."""
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
    except (ValueError, TypeError) as error:  # an additional column with values of several types
        raise UsageError(f"the rows cannot be written: {error}. Drop or correct that column.") from error
    return stream.getvalue()


def _digest(frame: "pd.DataFrame") -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:12]


def _message(changed: dict[str, Merged]) -> str:
    """A commit message that is equal exactly if the published rows are equal, so that a repeated proposal is recognised."""
    parts = [f"{name} ({_counts(merged, only_changes=True)}, {_digest(merged.fresh)})" for name, merged in changed.items()]
    return f"Rows of {', '.join(parts)}"


def _counts(merged: Merged, only_changes: bool = False) -> str:
    counts = {"added": merged.added, "replaced": merged.replaced}
    if not only_changes:
        counts["unchanged"] = merged.unchanged
    if merged.repeated and not only_changes:
        counts["duplicates removed"] = merged.repeated
    text = ", ".join(f"{number} {change}" for change, number in counts.items())
    if merged.older and not only_changes:
        text += f", {merged.older} left out because those on the Hub are as new or newer"
    return text


def dataset_address(repo_id: str) -> str:
    """Where a dataset is shown."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{repo_id}"
