"""Names of checkpoints that lead nowhere, found before the long work: no file is read, and the Hub is rarely asked."""

import os
from collections.abc import Sequence

from hf_transferability import hub
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.errors import CheckpointError
from hf_transferability.names import expanded, similar_folder


def missing(names: Sequence[str], options: LoadOptions) -> dict[str, str]:
    """The names that stand for nothing, each with the reason; what it leaves out may still fail.

    A path that leads nowhere is missing, and so is what can be no Hub id. The Hub is asked only about an id that is spelt
    nearly like a folder beside it.

    Args:
        names: Hub ids or paths.
        options: how they are read.
    """
    reasons = {name: _why_missing(name, options) for name in dict.fromkeys(names)}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _why_missing(name: str, options: LoadOptions) -> str | None:
    path = expanded(name)
    if os.path.exists(path):
        return None
    repo_id = name.partition("@")[0]
    is_path = path.is_absolute() or name.startswith((".", "~"))
    if not is_path and hub.may_be_id(repo_id) and not similar_folder(name):
        return None
    try:
        resolve(name, options, processor=None)
    except CheckpointError as error:
        return str(error) if is_path or hub.is_unknown(error) else None
    except Exception:  # a fault becomes the row of the candidate when its turn comes
        return None
    return None
