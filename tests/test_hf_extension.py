"""`hf transferability ...`: the file at the root starts the installed package, as an extension of the `hf` command."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT_FILE = Path(__file__).resolve().parents[1] / "hf-transferability"
HF = Path(sys.executable).with_name("hf")

pytestmark = pytest.mark.skipif(not HF.exists() or os.name == "nt", reason="the `hf` command is not beside this Python")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A home in which the file is registered as `hf extensions install` does it; `hf` looks nowhere but below HOME."""
    home = tmp_path_factory.mktemp("home")
    folder = home / ".local/share/hf/extensions/hf-transferability"
    folder.mkdir(parents=True)
    manifest = {
        "owner": "owner",
        "repo": "hf-transferability",
        "repo_id": "owner/hf-transferability",
        "short_name": "transferability",
        "executable_path": str(ROOT_FILE),
        "type": "binary",
        "installed_at": "2026-01-01T00:00:00+00:00",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {**os.environ, "HOME": str(home), "HF_TRANSFERABILITY_PYTHON": sys.executable}


def hf(environment, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(HF), *words], env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_file_is_an_executable_shell_script():
    assert ROOT_FILE.read_text().startswith("#!/bin/sh\n")
    assert stat.S_IMODE(ROOT_FILE.stat().st_mode) & 0o111 == 0o111


def test_help_and_version_are_the_programs_own(environment):
    done = hf(environment, "transferability", "--help")
    assert done.returncode == 0
    assert "usage: hf-transferability" in done.stdout
    assert hf(environment, "extensions", "exec", "transferability", "--", "--version").stdout.startswith("hf-transferability ")


def test_arguments_and_status_pass_through(environment, make_target, make_checkpoint, tmp_path):
    odd = tmp_path / "a folder [1] $HOME"
    make_checkpoint().rename(odd)
    (tmp_path / "datasets.py").write_text("raise RuntimeError('a file of the user, not the library')")
    words = ("transferability", "rank", str(make_target()), str(odd), "--format", "json", "--no-intervals")
    done = hf(environment, *words, "--cache-dir", str(tmp_path / "arrays"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["checkpoint"] == str(odd)
    assert row["error"] is None


def test_wrong_usage_is_status_2(environment):
    done = hf(environment, "transferability", "rank", "only-a-dataset")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No candidates" in done.stderr


def test_without_the_package_it_says_what_to_install(environment, tmp_path):
    """An interpreter that has no hf_transferability."""
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    done = hf({**environment, "HF_TRANSFERABILITY_PYTHON": str(bare)}, "transferability", "--version", folder=tmp_path)
    assert done.returncode == 2
    assert "is not installed for" in done.stderr
    assert "HF_TRANSFERABILITY_PYTHON" in done.stderr
    done = hf({**environment, "HF_TRANSFERABILITY_PYTHON": "/no/such/python"}, "transferability", "--version", folder=tmp_path)
    assert done.returncode == 2
    assert "/no/such/python" in done.stderr
    assert "HF_TRANSFERABILITY_PYTHON" in done.stderr
