"""Parts of a ranking in a Hub dataset: each job puts what it has scored beside the tables, and who asked for it takes all.

Rows of the tables say what holds for a whole pool, such as the scenario, so they are made of the parts, not by the jobs.
"""

import json
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from hf_transferability.errors import PublishError, UsageError, first_line
from hf_transferability.hub import explain, fetch, writing
from hf_transferability.hub.cached import Snapshot
from hf_transferability.publishing import card
from hf_transferability.ranking.parts import Part, from_dict

_FOLDER = "parts"
_NAME = re.compile(r"([\w-][\w.-]*)/([1-9][0-9]{0,5})")  # RUN/NUMBER
_ATTEMPTS = 20  # if several jobs end at once, one of them succeeds in each round


def check_name(name: str) -> None:
    """Refuse what names no part.

    Raises:
        UsageError: it is not RUN/NUMBER.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"`part` must be RUN/NUMBER, such as xrays/1; got {name!r}. Correct it.")


def put_part(part: Part, name: str, repo_id: str, token: str | None = None) -> str:
    """Put a part into a dataset; returns the address of the commit.

    Args:
        part: scored candidates.
        name: RUN/NUMBER.
        repo_id: OWNER/NAME; made if it does not exist.
        token: default that of `hf auth login`.

    Raises:
        UsageError: a wrong name.
        PublishError: no write access, or no network.
    """
    check_name(name)
    content = json.dumps(part.to_dict(), indent=1).encode()
    return change_files(repo_id, {f"{_FOLDER}/{name}.json": content}, (), f"Part {name} of a ranking", token)


def read_parts(
    repo_id: str, run: str, token: str | None = None, read: Mapping[int, Part] = MappingProxyType({})
) -> dict[int, Part]:
    """The parts of a run that a dataset holds, by number; none where there is no such dataset.

    Args:
        repo_id: OWNER/NAME.
        run: first part of their names.
        token: default that of `hf auth login`.
        read: those that were read before, which are not read again.

    Raises:
        PublishError: no access, no network, or a file that is no part.
    """
    head = writing.find_dataset(repo_id, token)
    parts = dict(read)
    if head is None:
        return parts
    for file in _files(head, run):
        if _number(file) in parts:
            continue
        try:
            parts[_number(file)] = from_dict(json.loads(fetch(head, file, token).read_text("utf-8")))
        except ValueError as error:
            raise PublishError(
                f"{file} of {repo_id} is no part of a ranking ({first_line(error)}). Remove it on the Hub and run again."
            ) from error
        except Exception as error:
            raise PublishError(explain(error, "dataset", repo_id)) from error
    return parts


def remove_parts(repo_id: str, run: str, token: str | None = None) -> None:
    """Remove the parts of a run, after its rows have been published.

    Raises:
        PublishError: no write access, or no network.
    """
    head = writing.find_dataset(repo_id, token)
    if head and (files := _files(head, run)):
        change_files(repo_id, {}, files, f"Remove the parts of {run}", token)


def change_files(
    repo_id: str, files: Mapping[str, bytes], delete: Collection[str], message: str, token: str | None = None
) -> str:
    """Make one commit to a dataset of results, which is made if it does not exist; returns its address.

    Raises:
        PublishError: no write access, or no network.
    """
    for _ in range(_ATTEMPTS):
        head = writing.find_dataset(repo_id, token) or writing.create_dataset(repo_id, False, token)
        new = {} if "README.md" in head.files else {"README.md": card.first(repo_id).encode()}
        try:
            return writing.commit(head, {**files, **new}, delete, message, token)
        except writing.HeadMovedError:
            continue
        except writing.NoWriteAccessError as error:
            raise PublishError(
                f"you may not write to {repo_id} ({error}), but jobs write their results there. Choose a name of your "
                "own, or ask its owner for access."
            ) from error
    raise PublishError(f"others keep writing to {repo_id} at the same time. Run again later: what has arrived is kept.")


def _files(head: Snapshot, run: str) -> list[str]:
    start = f"{_FOLDER}/{run}/"
    names = {file: file.removeprefix(f"{_FOLDER}/").removesuffix(".json") for file in head.files if file.endswith(".json")}
    return [file for file, name in names.items() if file.startswith(start) and _NAME.fullmatch(name)]


def _number(file: str) -> int:
    return int(file.rsplit("/", 1)[1].removesuffix(".json"))
