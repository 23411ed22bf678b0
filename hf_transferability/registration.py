"""Where the evaluate module lies, and how `evaluate.load("transferability")` finds it without its folder.

evaluate looks a bare name up in the current folder, then on the Hub under an organisation of Hugging Face's own, and
then in its cache of modules. `register` puts a script there that imports this package: pip cannot, since installing a
wheel runs no code. This module imports neither evaluate nor torch, so it is quick.
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
    """A folder that goes to the Hub, by its place in the repository ("metrics/transferability").

    It lies inside the package when that was installed from a wheel, and beside it in a checkout or an editable install.
    """
    installed = _PACKAGE / "for_hub" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


METRIC_PATH = str(hub_folder("metrics/transferability"))
"""Folder of the evaluate module: `evaluate.load(METRIC_PATH)` needs neither a network nor `register`."""


def register() -> Path:
    """Let `evaluate.load("transferability")` find the metric, online and offline, in this user's Hugging Face cache.

    Safe to call again, also from several processes at once. Call it once more after HF_HOME or HF_MODULES_CACHE has
    changed; a newer version of the package needs nothing. A folder that would make evaluate's look-up fail is renamed,
    with ".broken" at its end.

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
            f"the metric cannot be registered in {versions}: {error.strerror or error}. Set HF_HOME to a folder that you may "
            "write to, or use evaluate.load(hf_transferability.METRIC_PATH)."
        ) from error
    return path


def _modules_cache() -> Path:
    """evaluate's cache of modules, from the environment as its config.py reads it."""
    home = os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    home = os.path.expanduser(os.getenv("HF_HOME", home))
    return Path(os.getenv("HF_MODULES_CACHE", os.path.join(home, "modules")))


def _move_broken_versions(versions: Path, but: Path) -> None:
    """Rename versions without a script, as an interrupted download leaves them: one of these fails the whole look-up."""
    for version in versions.iterdir():
        if len(version.name) == _HASH_LENGTH and version != but and not (version / "transferability.py").is_file():
            with contextlib.suppress(FileNotFoundError):  # another process was first
                version.rename(_unused(version.with_name(f"{version.name}.broken")))


def _unused(path: Path) -> Path:
    number = 1
    candidate = path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}{number}")
    return candidate


def _add_folder(folder: Path, script: bytes) -> None:
    """Make the folder with the script in it in one step, so that no other process sees it without."""
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent, ignore_cleanup_errors=True) as part:
        staged = Path(part, "staged")
        staged.mkdir()
        (staged / "transferability.py").write_bytes(script)
        try:
            staged.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was first, with the same script
                raise
