"""Errors of the Hub clients as one or two sentences that say what to do."""

import errno
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from hf_transferability.errors import first_line
from hf_transferability.hub.cached import cached_commits
from hf_transferability.hub.retries import (
    LONGEST_WAIT,
    TEMPORARY_STATUS,
    cannot_connect,
    caused_by,
    chain,
    is_connection_error,
    is_lost_connection,
    requested_wait,
    response_of,
)
from hf_transferability.hub.verified import DamagedFileError
from hf_transferability.names import similar_folder

_CANNOT_STORE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}


def explain(error: Exception, kind: str, name: str) -> str:
    """What happened and what to do, in one or two sentences.

    Args:
        error: from a Hub client.
        kind: "model" or "dataset".
        name: OWNER/NAME, or OWNER/NAME@REVISION.
    """
    repo_id = name.partition("@")[0]
    address = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    if caused_by(error, GatedRepoError):
        return (
            f"{kind} {name} is gated: ask for access at {address}, then log in with `hf auth login` "
            "(or set HF_TOKEN) and run again."
        )
    if caused_by(error, DisabledRepoError):
        return f"{kind} {name} has been disabled on the Hub. Choose another."
    if caused_by(error, RevisionNotFoundError):
        return f"{kind} {name} has no such revision. See {address}/commits/main for those that exist."
    if caused_by(error, RepositoryNotFoundError):
        return (
            f"{kind} {name} is neither a local folder nor found on the Hub. Check the spelling; "
            "if it is private, log in with `hf auth login` (or set HF_TOKEN)."
        )
    if caused_by(error, HFValidationError):
        return f"{name!r} is neither an existing local folder nor a valid Hub id (owner/name). Check the spelling."
    if caused_by(error, DamagedFileError):
        return f"{kind} {name}: {error}. Run again later, or over another connection; what is finished is kept."
    if response := response_of(error):
        return _explain_status(response, kind, name)
    if caused_by(error, OfflineModeIsEnabled) or (constants.HF_HUB_OFFLINE and is_connection_error(error)):
        return f"offline mode is on (HF_HUB_OFFLINE) and {kind} {name} is not in the local cache.{_cached_note(kind, repo_id)}"
    if full := next((link for link in chain(error) if isinstance(link, OSError) and link.errno in _CANNOT_STORE), None):
        return (
            f"{kind} {name} cannot be stored in {constants.HF_HOME}: {full.strerror}. "
            "Free some space there, or set HF_HOME to another folder."
        )
    if is_connection_error(error) and not cannot_connect(error):
        return (
            f"the connection to the Hub at {constants.ENDPOINT} broke while {kind} {name} was read ({_detail(error)}). "
            "Run again: what is finished is kept."
        )
    if is_connection_error(error) or caused_by(error, LocalEntryNotFoundError):
        return (
            f"no network: {kind} {name} is not a local folder, and the Hub at {constants.ENDPOINT} cannot be reached "
            f"({_detail(error)}).{_cached_note(kind, repo_id)} Check the connection and run again."
        )
    return f"the Hub failed for {kind} {name}: {first_line(error)}. Run again later; what is finished is kept."


def explain_name(error: Exception, kind: str, name: str) -> str:
    """As `explain`, for what a user gave as a folder or a Hub id: if a folder is called nearly so, it comes first.

    Args:
        error: from a Hub client.
        kind: "model" or "dataset".
        name: as the user gave it.
    """
    similar, of_hub = similar_folder(name), explain(error, kind, name)
    if not similar or caused_by(error, GatedRepoError, DisabledRepoError, RevisionNotFoundError):  # these are on the Hub
        return of_hub
    if caused_by(error, RepositoryNotFoundError):
        login = "If it is private there, log in with `hf auth login` (or set HF_TOKEN)."
        return f"there is no folder {name}, and no such {kind} on the Hub.{similar} {login}"
    no_folder = f"there is no folder {name}.{similar}"
    return no_folder if caused_by(error, HFValidationError) else f"{no_folder} If it is on the Hub: {of_hub}"


def may_be_id(name: str) -> bool:
    """Whether a name has the form of a Hub id."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def is_unknown(error: Exception) -> bool:
    """Whether an error comes from a name that the Hub does not know, or that is no id."""
    return caused_by(error, RepositoryNotFoundError, HFValidationError) and not caused_by(error, GatedRepoError)


def explain_publishing(error: Exception, repo_id: str, kind: str = "dataset", dry_run: bool = False) -> str:
    """What happened during a publication and what to do, in one or two sentences.

    Args:
        error: from a Hub client.
        repo_id: OWNER/NAME; empty if the request was about the account.
        kind: "dataset" or "Space".
        dry_run: whether the publication only reads.
    """
    where = f"{kind} {repo_id}" if repo_id else "your account"
    again = f"Run again{{}}: {'a dry run sends nothing' if dry_run else 'rows that have arrived are not added twice'}."
    unknown = ", so a dry run cannot tell what would change" if dry_run else ""
    if caused_by(error, GatedRepoError, DisabledRepoError, HFValidationError, DamagedFileError):
        return explain(error, "dataset", repo_id)
    if caused_by(error, RepositoryNotFoundError) and repo_id:
        return f"there is no {where} that you may see. Check the spelling, or ask its owner for access."
    if response := response_of(error):
        status = f"{response.status_code} {response.reason_phrase}".strip()
        if response.status_code == 401:
            return (
                f"the Hub does not accept your token ({status}). "
                "Log in again with `hf auth login`, or correct or unset HF_TOKEN."
            )
        if response.status_code == 403:
            return (
                f"your token may not write to {where} ({status}). Log in with `hf auth login` and a token that may, made at "
                f"{constants.ENDPOINT}/settings/tokens, or ask its owner for access."
            )
        if response.status_code in TEMPORARY_STATUS:
            wait = requested_wait(response)
            when = f" in {wait:.0f} seconds, as it asks" if wait > LONGEST_WAIT else " in a few minutes"
            return f"the Hub is busy or broken ({status} for {where}). {again.format(when)}"
        reason = getattr(error, "server_message", None) or first_line(error)
        return f"the Hub refused what was sent to {where} ({status}): {reason}. Check the name and your access."
    if caused_by(error, OfflineModeIsEnabled):
        return f"offline mode is on (HF_HUB_OFFLINE){unknown or ', so nothing can be published'}. Unset it."
    if is_connection_error(error):
        how = "cannot be reached" if cannot_connect(error) else "broke off the connection"
        return f"the Hub at {constants.ENDPOINT} {how} ({_detail(error)}){unknown}. {again.format('')}"
    return f"the Hub failed for {where}: {first_line(error)}. {again.format(' later')}"


def _explain_status(response: Any, kind: str, name: str) -> str:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code in (401, 403):
        return (
            f"the Hub does not accept your token for {kind} {name} ({status}). Log in again with `hf auth login`, "
            "or correct or unset HF_TOKEN."
        )
    if response.status_code in TEMPORARY_STATUS:
        wait = requested_wait(response)
        when = f"in {wait:.0f} seconds, as it asks" if wait > LONGEST_WAIT else "in a few minutes"
        return (
            f"the Hub is busy or broken and did not give {kind} {name} ({status}). Run again {when}; what is finished is kept."
        )
    return f"the Hub refused {kind} {name} ({status}). Check the name and your access."


def _cached_note(kind: str, repo_id: str) -> str:
    commits = cached_commits(kind, repo_id)
    if not commits:
        return " Nothing of it is cached."
    if kind == "dataset":
        use = "leave out --revision" if constants.HF_HUB_OFFLINE else "set HF_HUB_OFFLINE=1"
        return f" Cached: commit {commits[-1]}; {use} to take it."
    pinned = f"name one as {repo_id}@COMMIT"
    return (
        f" Cached: {', '.join(commits)}; {pinned}{'' if constants.HF_HUB_OFFLINE else ' or set HF_HUB_OFFLINE=1'} to take it."
    )


def _detail(error: Exception) -> str:
    """The text of the innermost connection error."""
    links = [link for link in chain(error) if is_lost_connection(link)] or [error]
    return first_line(links[-1])
