"""Let `evaluate.load("transferability")` find the metric by its bare name, and find the folders that go to the Hub.

evaluate searches a bare name in the current folder, then on the Hub in an organisation of Hugging Face, and then in its
cache of modules. `register` writes a script into that cache which imports this package; pip cannot do it, since installing a
wheel runs no code. This module imports neither evaluate nor torch, so it loads at once.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from hf_transferability.errors import TransferabilityError
from hf_transferability.files import replace_file

_PACKAGE = Path(__file__).resolve().parent
_HASH_LENGTH = 64  # evaluate looks into every folder whose name has this length, and only into those


def hub_folder(name: str) -> Path:
    """A folder that goes to the Hub, by its path in the repository ("metrics/transferability").

    It is inside the package if that was installed from a wheel, and beside it in a checkout or an editable install.
    """
    installed = _PACKAGE / "for_hub" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


METRIC_PATH = str(hub_folder("metrics/transferability"))
"""Folder of the evaluate module: `evaluate.load(METRIC_PATH)` needs neither a network nor `register`."""


def register() -> Path:
    """Let `evaluate.load("transferability")` find the metric, online and offline, in this user's Hugging Face cache.

    Safe to call again, also from several processes at once. Call it again after HF_HOME or HF_MODULES_CACHE has changed, but
    not after an update of the package. A folder that would make evaluate's look-up fail is renamed to end in ".broken".

    Returns:
        The script that evaluate will find.

    Raises:
        TransferabilityError: the cache cannot be written to.
    """
    script = Path(METRIC_PATH, "transferability.py").read_bytes()
    versions = _modules_cache() / "evaluate_modules" / "metrics" / "evaluate-metric--transferability"
    folder = versions / hashlib.sha256(script).hexdigest()
    path = folder / "transferability.py"
    try:
        versions.mkdir(parents=True, exist_ok=True)
        _move_broken_versions(versions, but=folder)
        if not folder.is_dir():
            _add_folder(folder, script)
        if not path.is_file() or path.read_bytes() != script:
            replace_file(path, script)
        os.utime(path)  # evaluate takes the newest version
    except OSError as error:
        raise TransferabilityError(
            f"the metric cannot be registered in {versions}: {error.strerror or error}. Set HF_HOME to a folder that you can "
            "write to, or use evaluate.load(hf_transferability.METRIC_PATH)."
        ) from error
    return path


def _modules_cache() -> Path:
    """evaluate's cache of modules, from the same environment variables as in its config.py."""
    home = os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    home = os.path.expanduser(os.getenv("HF_HOME", home))
    return Path(os.getenv("HF_MODULES_CACHE", os.path.join(home, "modules")))


def _move_broken_versions(versions: Path, but: Path) -> None:
    """Rename versions without a script, which an interrupted download leaves: one of them makes the look-up fail."""
    for version in versions.iterdir():
        if len(version.name) == _HASH_LENGTH and version != but and not (version / "transferability.py").is_file():
            with contextlib.suppress(FileNotFoundError):  # another process has renamed it
                version.rename(_unused(version.with_name(f"{version.name}.broken")))


def _unused(path: Path) -> Path:
    number = 1
    candidate = path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}{number}")
    return candidate


def _add_folder(folder: Path, script: bytes) -> None:
    """Make the folder with the script in one step, so that no other process sees it without the script."""
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent, ignore_cleanup_errors=True) as part:
        staged = Path(part, "staged")
        staged.mkdir()
        (staged / "transferability.py").write_bytes(script)
        try:
            staged.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process has made it, with the same script
                raise
