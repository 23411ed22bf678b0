"""What is told to the Hub: who speaks and whether they may, a new dataset, and one atomic commit or pull request.

A commit names its parent, so sending it again after a lost answer either makes it or finds that the head has moved.
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

from hf_transferability.errors import PublishError, UsageError
from hf_transferability.hub.cached import Snapshot
from hf_transferability.hub.calls import answer_of, call, find
from hf_transferability.hub.messages import explain_publishing
from hf_transferability.hub.reading import TIMEOUT, dataset_head

_MOVED = (409, 412)


class HeadMovedError(Exception):
    """Somebody else's commit came first (or one's own, whose answer was lost): read the head again."""


class NoWriteAccessError(Exception):
    """The account may not commit; it may still propose."""


@dataclass(frozen=True)
class Account:
    """Whose token it is.

    Attributes:
        namespaces: the account's own and those of its organizations.
        role: of the token: "read", "write" or "fineGrained".
    """

    name: str
    namespaces: tuple[str, ...]
    role: str


def check_id(repo_id: str, kind: str = "dataset") -> None:
    """Refuse what cannot be the id of a dataset, or of another kind of repository.

    Raises:
        UsageError: it is not OWNER/NAME, or has characters that the Hub does not allow.
    """
    why = ""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        why = f" ({str(error).splitlines()[0].rstrip('.')})"
    if why or repo_id.count("/") != 1:
        raise UsageError(f"`repo_id` must be a {kind}'s OWNER/NAME on the Hub; got {repo_id!r}{why}. Correct it.")


def has_token(token: str | None = None) -> bool:
    """Whether there is a token: this one, or that of `hf auth login` or HF_TOKEN."""
    return token is not None or get_token() is not None


def logged_in(token: str | None = None, dry_run: bool = False) -> Account:
    """Whose token it is; without `token` that of `hf auth login` or HF_TOKEN. Errors say if nothing was to be sent.

    Raises:
        PublishError: not logged in, a token that the Hub does not accept, or no network.
    """
    if not has_token(token):
        raise PublishError(
            "you are not logged in to the Hub. Log in with `hf auth login` and a token that may write, or set HF_TOKEN."
        )
    try:
        who = call(HfApi(token=token).whoami)
    except Exception as error:
        raise PublishError(explain_publishing(error, "", dry_run=dry_run)) from error
    organizations = [each["name"] for each in who.get("orgs") or ()]
    role = ((who.get("auth") or {}).get("accessToken") or {}).get("role") or ""
    return Account(who["name"], (who["name"], *organizations), role)


def find_dataset(repo_id: str, token: str | None = None, dry_run: bool = False) -> Snapshot | None:
    """A dataset at its newest commit; None if there is none that one may see, and the name is free. Errors say if nothing was
    to be sent.

    Raises:
        PublishError: it is gated or disabled, the name is that of a model or Space, or the Hub cannot be asked.
    """
    try:
        return dataset_head(repo_id, token)
    except Exception as error:
        if not find(error, RepositoryNotFoundError) or find(error, GatedRepoError):
            raise PublishError(explain_publishing(error, repo_id, dry_run=dry_run)) from error
    api = HfApi(token=token)
    for kind, ask in (("model", api.model_info), ("Space", api.space_info)):
        try:
            call(ask, repo_id, timeout=TIMEOUT)
        except Exception as error:
            if find(error, RepositoryNotFoundError):
                continue
            raise PublishError(explain_publishing(error, repo_id, dry_run=dry_run)) from error
        raise PublishError(
            f"{repo_id} is a {kind} on the Hub, and there is no dataset of that name. Choose another name, or, to have both, "
            f"make the dataset first: `hf repos create {repo_id} --type dataset`."
        )
    return None


def check_may_create(repo_id: str, account: Account) -> None:
    """Refuse to make a dataset where the Hub would.

    Raises:
        PublishError: another's namespace, or a token that may only read.
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
    """Make a dataset, unless it has come into being meanwhile; returns its newest commit.

    Raises:
        PublishError: no write access, or the Hub cannot be reached.
    """
    try:  # without `private` the owner's default holds, which an organization may have set to private
        call(HfApi(token=token).create_repo, repo_id, repo_type="dataset", private=private or None, exist_ok=True)
        return dataset_head(repo_id, token)
    except Exception as error:
        raise PublishError(explain_publishing(error, repo_id)) from error


def create_space(repo_id: str, private: bool, token: str | None = None) -> Snapshot:
    """Make a Gradio Space, unless it is there; returns its newest commit.

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
    """Make one commit on top of `head`; returns its address.

    Raises:
        HeadMovedError: `head` is no longer the newest.
        NoWriteAccessError: the account may not write.
        PublishError: everything else.
    """
    return _sent(lambda: _create_commit(head, files, delete, message, token).commit_url, head.repo_id)


def open_pull_request(
    head: Snapshot, files: Mapping[str, bytes], delete: Collection[str], message: str, author: str, token: str | None = None
) -> str:
    """Propose one commit on top of `head`; returns the address of the pull request.

    One that is open already, with the same author and message, stands for a repeated call or a lost answer.

    Raises:
        HeadMovedError: `head` is no longer the newest.
        NoWriteAccessError: the account may not even propose.
        PublishError: everything else.
    """
    api = HfApi(token=token)

    def open_once() -> str:
        for each in api.get_repo_discussions(
            head.repo_id, repo_type="dataset", author=author, discussion_type="pull_request", discussion_status="open"
        ):
            if (each.title, each.author, each.status, each.is_pull_request) == (message, author, "open", True):
                return each.url
        return str(_create_commit(head, files, delete, message, token, create_pr=True).pr_url)

    return _sent(open_once, head.repo_id)


def _create_commit(
    head: Snapshot, files: Mapping[str, bytes], delete: Collection[str], message: str, token: str | None, **options: Any
) -> Any:
    # As streams: bytes would go by Xet where hf_xet is installed, and by plain LFS elsewhere. So there is one way only.
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
    """The client would advise against streams."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _sent(send: Any, repo_id: str) -> str:
    try:
        return call(send)
    except Exception as error:
        answer = answer_of(error)
        if find(error, RemoteEntryNotFoundError) or (answer is not None and answer.status_code in _MOVED):
            raise HeadMovedError from error
        if answer is not None and answer.status_code == 403 and not find(error, GatedRepoError):
            raise NoWriteAccessError(_said(error)) from error
        raise PublishError(explain_publishing(error, repo_id)) from error


def _said(error: Exception) -> str:
    """What the server says beyond the status."""
    return str(getattr(error, "server_message", None) or "").strip().rstrip(".") if isinstance(error, HfHubHTTPError) else ""
