"""Write to the Hub: check the account, create a repository, and make one atomic commit or pull request.

A commit names its parent. So after a lost response it can be sent again: either it is made now, or the head has moved.
"""

import contextlib
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import logging, validate_repo_id

from hf_transferability.errors import PublishError, UsageError, first_line
from hf_transferability.hub.cached import Snapshot
from hf_transferability.hub.messages import explain_publishing
from hf_transferability.hub.reading import TIMEOUT, dataset_head
from hf_transferability.hub.retries import call, caused_by, response_of

_HEAD_MOVED_STATUS = (409, 412)


class HeadMovedError(Exception):
    """Another commit came first, or an earlier attempt succeeded without a response: read the head again."""


class NoWriteAccessError(Exception):
    """The account may not commit; it may still open a pull request."""


@dataclass(frozen=True)
class Account:
    """The account of a token.

    Attributes:
        name: name of the user.
        namespaces: the user's own and those of their organizations.
        role: role of the token: "read", "write" or "fineGrained".
    """

    name: str
    namespaces: tuple[str, ...]
    role: str


def check_id(repo_id: str, kind: str = "dataset") -> None:
    """Check the form of a repository id.

    Raises:
        UsageError: it is not OWNER/NAME, or it has characters that the Hub does not allow.
    """
    reason = ""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        reason = f" ({first_line(error)})"
    if reason or repo_id.count("/") != 1:
        raise UsageError(f"`repo_id` must be a {kind}'s OWNER/NAME on the Hub; got {repo_id!r}{reason}. Correct it.")


def has_token(token: str | None = None) -> bool:
    """Whether there is a token: the argument, or that of `hf auth login` or HF_TOKEN."""
    return token is not None or get_token() is not None


def read_account(token: str | None = None, dry_run: bool = False) -> Account:
    """The account of a token.

    Args:
        token: default that of `hf auth login` or HF_TOKEN.
        dry_run: whether nothing will be sent, for the error.

    Raises:
        PublishError: not logged in, a token that the Hub does not accept, or no network.
    """
    if not has_token(token):
        raise PublishError(
            "you are not logged in to the Hub. Log in with `hf auth login` and a token that may write, or set HF_TOKEN."
        )
    try:
        identity = call(HfApi(token=token).whoami)
    except Exception as error:
        raise PublishError(explain_publishing(error, "", dry_run=dry_run)) from error
    organizations = [organization["name"] for organization in identity.get("orgs") or ()]
    role = ((identity.get("auth") or {}).get("accessToken") or {}).get("role") or ""
    return Account(identity["name"], (identity["name"], *organizations), role)


def find_dataset(repo_id: str, token: str | None = None, dry_run: bool = False) -> Snapshot | None:
    """A dataset at its newest commit.

    Args:
        repo_id: OWNER/NAME.
        token: default that of `hf auth login` or HF_TOKEN.
        dry_run: whether nothing will be sent, for the error.

    Returns:
        None if the account sees no such dataset and the name is free.

    Raises:
        PublishError: it is gated or disabled, the name is that of a model or Space, or the Hub does not answer.
    """
    try:
        return dataset_head(repo_id, token)
    except Exception as error:
        if not caused_by(error, RepositoryNotFoundError) or caused_by(error, GatedRepoError):
            raise PublishError(explain_publishing(error, repo_id, dry_run=dry_run)) from error
    api = HfApi(token=token)
    for kind, request in (("model", api.model_info), ("Space", api.space_info)):
        try:
            call(request, repo_id, timeout=TIMEOUT)
        except Exception as error:
            if caused_by(error, RepositoryNotFoundError):
                continue
            raise PublishError(explain_publishing(error, repo_id, dry_run=dry_run)) from error
        raise PublishError(
            f"{repo_id} is a {kind} on the Hub, and there is no dataset of that name. Choose another name, or, to have both, "
            f"make the dataset first: `hf repos create {repo_id} --type dataset`."
        )
    return None


def check_may_create(repo_id: str, account: Account) -> None:
    """Check that the account may create a dataset.

    Raises:
        PublishError: a namespace of somebody else, or a token that may only read.
    """
    owner = repo_id.split("/")[0]
    if owner not in account.namespaces:
        raise PublishError(
            f"there is no dataset {repo_id} that you may see, and as {account.name} you may not make one under {owner}. "
            f"Choose {account.name}/{repo_id.split('/')[1]}, or, if it is private, ask {owner} for access."
        )
    if account.role == "read":
        raise PublishError(
            f"there is no dataset {repo_id}, and your token may only read. Log in with `hf auth login` and one that may write."
        )


def create_dataset(repo_id: str, private: bool, token: str | None = None) -> Snapshot:
    """Create a dataset unless it exists; returns its newest commit.

    Raises:
        PublishError: no write access, or the Hub cannot be reached.
    """
    try:  # None leaves the choice to the owner's default, which an organization may have set to private
        call(HfApi(token=token).create_repo, repo_id, repo_type="dataset", private=private or None, exist_ok=True)
        return dataset_head(repo_id, token)
    except Exception as error:
        raise PublishError(explain_publishing(error, repo_id)) from error


def create_space(repo_id: str, private: bool, token: str | None = None) -> Snapshot:
    """Create a Gradio Space unless it exists; returns its newest commit.

    Raises:
        PublishError: no write access, or the Hub cannot be reached.
    """
    api = HfApi(token=token)
    try:
        call(api.create_repo, repo_id, repo_type="space", space_sdk="gradio", private=private or None, exist_ok=True)
        info = call(api.space_info, repo_id, timeout=TIMEOUT)
    except Exception as error:
        raise PublishError(explain_publishing(error, repo_id, "Space")) from error
    files = tuple(file.rfilename for file in info.siblings or [])
    return Snapshot(repo_id, str(info.sha), files, kind="space", private=bool(info.private))


def commit(head: Snapshot, files: Mapping[str, bytes], delete: Collection[str], message: str, token: str | None = None) -> str:
    """Make one commit on top of `head`; returns its URL.

    Raises:
        HeadMovedError: `head` is no longer the newest.
        NoWriteAccessError: the account may not write.
        PublishError: any other failure.
    """
    return _send(lambda: _create_commit(head, files, delete, message, token).commit_url, head.repo_id)


def open_pull_request(
    head: Snapshot, files: Mapping[str, bytes], delete: Collection[str], message: str, author: str, token: str | None = None
) -> str:
    """Open a pull request with one commit on top of `head`; returns its URL.

    If one with the same author and message is open already, after a repeated call or a lost response, that one is returned.

    Raises:
        HeadMovedError: `head` is no longer the newest.
        NoWriteAccessError: the account may not open pull requests.
        PublishError: any other failure.
    """
    api = HfApi(token=token)

    def open_once() -> str:
        for request in api.get_repo_discussions(
            head.repo_id, repo_type="dataset", author=author, discussion_type="pull_request", discussion_status="open"
        ):
            if (request.title, request.author, request.status, request.is_pull_request) == (message, author, "open", True):
                return request.url
        return str(_create_commit(head, files, delete, message, token, create_pr=True).pr_url)

    return _send(open_once, head.repo_id)


def _create_commit(
    head: Snapshot, files: Mapping[str, bytes], delete: Collection[str], message: str, token: str | None, **options: Any
) -> Any:
    # Streams always use plain LFS; bytes would use Xet if hf_xet is installed.
    adding = [CommitOperationAdd(path, io.BytesIO(content)) for path, content in files.items()]
    removing = [CommitOperationDelete(path) for path in delete]
    with _quiet():
        return HfApi(token=token).create_commit(
            head.repo_id,
            [*adding, *removing],
            commit_message=message,
            repo_type=head.kind,
            parent_commit=head.commit,
            **options,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the client's advice against streams."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _send(request: Any, repo_id: str) -> str:
    try:
        return call(request)
    except Exception as error:
        response = response_of(error)
        if caused_by(error, RemoteEntryNotFoundError) or (response is not None and response.status_code in _HEAD_MOVED_STATUS):
            raise HeadMovedError from error
        if response is not None and response.status_code == 403 and not caused_by(error, GatedRepoError):
            raise NoWriteAccessError(_server_message(error)) from error
        raise PublishError(explain_publishing(error, repo_id)) from error


def _server_message(error: Exception) -> str:
    """The server's text beyond the status; empty if there is none."""
    return str(getattr(error, "server_message", None) or "").strip().rstrip(".") if isinstance(error, HfHubHTTPError) else ""
