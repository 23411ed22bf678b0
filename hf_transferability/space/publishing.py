"""Put a Space on the Hub in one commit: its folder, this package as a wheel, its requirements, and the page's benchmarks.

The wheel lets the Space build although no package index has this package. The Hub installs requirements.txt before it copies
the other files, so a wheel named there would not be found; each app.py unpacks it instead.
"""

import email
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from hf_transferability import hub
from hf_transferability.errors import PublishError, UsageError
from hf_transferability.hub import writing
from hf_transferability.hub.cached import Snapshot
from hf_transferability.registration import hub_folder
from hf_transferability.space import benchmarks

METRIC = "metrics/transferability"
SPACES = {"space": "space", METRIC: ""}  # folder -> the extra that its app needs
_ATTEMPTS = 3


def publish(
    folder: str, repo_id: str, *, wheel: str | Path | None = None, private: bool = False, token: str | None = None
) -> str:
    """Make a Space, or update it; returns the address of the commit.

    Args:
        folder: one of SPACES.
        repo_id: OWNER/NAME.
        wheel: a wheel of this package; default: built from the checkout that it runs from.
        private: make a new Space private.
        token: Hub token; default the one of `hf auth login`.

    Raises:
        UsageError: a wrong id, no wheel and no checkout, or a file that is not this package's wheel.
        PublishError: not logged in, no write access, a Space with another app, or no network.
    """
    writing.check_id(repo_id, "Space")
    if folder == METRIC and repo_id.split("/")[-1] != "transferability":
        raise UsageError(
            f"`publish` must be OWNER/transferability, since evaluate reads the metric's name from it; got {repo_id!r}."
        )
    files = contents(folder, Path(wheel) if wheel else None)
    writing.read_account(token)
    for _ in range(_ATTEMPTS):
        head = writing.create_space(repo_id, private, token)
        _check_app(head, token)
        old = [name for name in head.files if name.endswith(".whl") and name not in files]
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*about to commit a data file", UserWarning)  # intended here
                return writing.commit(head, files, old, "Space of hf-transferability", token)
        except writing.HeadMovedError:
            continue
        except writing.NoWriteAccessError as error:
            raise PublishError(f"you may not write to the Space {repo_id}: {error}. Choose a name of your own.") from error
    raise PublishError(f"the Space {repo_id} is being changed by someone else. Run again in a few minutes.")


def contents(folder: str, wheel: Path | None = None) -> dict[str, bytes]:
    """The files of the Space: path -> content.

    Raises:
        UsageError: see `publish`.
    """
    files = {path.name: path.read_bytes() for path in sorted(hub_folder(folder).iterdir()) if path.is_file()}
    with tempfile.TemporaryDirectory(prefix="hf-transferability-wheel-") as built:
        wheel = wheel or build_wheel(Path(built))
        files["requirements.txt"] = requirements(wheel, SPACES[folder]).encode()
        files[wheel.name] = wheel.read_bytes()
        if folder == "space":
            benchmarks.write(path := Path(built, benchmarks.FILE))
            files[benchmarks.FILE] = path.read_bytes()
    return files


def requirements(wheel: Path, extra: str = "") -> str:
    """The requirements of a wheel of this package, with one of its extras, as the text of requirements.txt.

    Raises:
        UsageError: no such file, or not this package's wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            metadata = email.message_from_bytes(archive.read(name))
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise UsageError(f"`wheel` must be a wheel of hf-transferability; {wheel} cannot be read. Build one.") from error
    if metadata["Name"] != "hf-transferability" or not wheel.name.startswith("hf_transferability-"):
        raise UsageError(f"`wheel` must be a wheel of hf-transferability; got {wheel.name} of {metadata['Name']}. Build one.")
    needed = []
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            requirement.marker = None
            needed.append(str(requirement))
    return "".join(f"{line}\n" for line in sorted(needed))


def build_wheel(folder: Path) -> Path:
    """Build a wheel of the checkout that this package runs from, in `folder`; the checkout itself is not changed.

    Raises:
        UsageError: the package does not run from a checkout, or the build fails.
    """
    package = Path(__file__).parents[1]
    root = package.parent
    if not (root / "pyproject.toml").is_file():
        raise UsageError(
            "`wheel` must be given where the package was not installed from a checkout; got none. Pass --wheel FILE."
        )
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in (package.name, "metrics", "space"):
        shutil.copytree(root / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(source)]
    if _setuptools_is_new():  # without it pip fetches it first
        command.insert(4, "--no-build-isolation")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last_line = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UsageError(f"the wheel cannot be built here: {last_line}. Build it elsewhere and pass --wheel FILE.")
    return next(folder.glob("hf_transferability-*.whl"))


def _setuptools_is_new() -> bool:
    try:
        return importlib.util.find_spec("setuptools") is not None and int(version("setuptools").partition(".")[0]) >= 77
    except PackageNotFoundError:
        return False


def _check_app(head: Snapshot, token: str | None) -> None:
    """Refuse to overwrite a Space with another app."""
    if "app.py" not in head.files:
        return
    try:
        known = "hf_transferability" in hub.fetch(head, "app.py", token).read_text("utf-8", "replace")
    except Exception as error:
        raise PublishError(hub.explain(error, "Space", head.repo_id)) from error
    if not known:
        raise PublishError(f"{head.repo_id} is a Space with another app, which would be overwritten. Choose another name.")
