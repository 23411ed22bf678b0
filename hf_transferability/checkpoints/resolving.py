"""A checkpoint's name becomes exact files: a commit of the Hub, or the hashed files of a local folder."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_transferability import hub
from hf_transferability.checkpoints.formats.choosing import DESCRIBED, adapter_base, choose
from hf_transferability.checkpoints.formats.files import CONFIGURATION, Choice, PickleOnlyError
from hf_transferability.checkpoints.formats.pooling_choice import words_of_card
from hf_transferability.checkpoints.formats.reviewed import reviewed
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.source import Source
from hf_transferability.errors import CheckpointError, shown
from hf_transferability.names import expanded, similar_folder

_LONGEST = 1000  # characters of a name in an error


def resolve(name: str, options: LoadOptions | None = None, **changes: Any) -> Source:
    """Resolve a checkpoint to exact files.

    Args:
        name: "owner/name", "owner/name@revision" (also "@refs/pr/4"), a local folder, or a file of weights.
        options: what may be read and how.
        changes: fields of `LoadOptions` that replace those of `options`.

    Raises:
        CheckpointError: not found, no access, no network, or no weights in a safe format.
    """
    options = replace(options or LoadOptions(), **changes)
    source = _located(name, options)
    if source.layout == "adapter":
        folder = source.fetch()
        base = resolve(adapter_base(name, folder), replace(options, processor=None))
        source = replace(source, base=base, key=f"{source.key} on {base.key}")
    if options.processor is not None:
        lender = _located(options.processor, replace(options, processor=None), processor_only=True)
        source = replace(source, lender=lender, key=f"{source.key} processor {lender.key}")
    if identity := options.identity():
        source = replace(source, key=f"{source.key} {identity}")
    return source


def on_this_machine(source: Source) -> Source:
    """A source that another machine has resolved, at its place on this one.

    Raises:
        CheckpointError: its folder is not here, or has other files.
    """
    changes: dict[str, Any] = {
        part: on_this_machine(other) for part in ("base", "lender") if (other := getattr(source, part)) is not None
    }
    if source.folder is not None:
        path = expanded(source.name)
        folder = path if path.is_dir() else path.parent
        if not all(os.path.isfile(folder / file) for file in source.files):
            raise CheckpointError(f"{source.name} is not on every machine. Copy it to all, or name a checkpoint of the Hub.")
        if f"sha256:{_digest(folder, source.files)}" != source.revision:
            raise CheckpointError(f"{source.name} has other files on another machine. Copy it from one machine to all.")
        changes["folder"] = folder
    return replace(source, **changes)


def _located(name: str, options: LoadOptions, processor_only: bool = False) -> Source:
    if "\0" in name or not name.strip():
        raise CheckpointError(f"a checkpoint must be a Hub id or a folder; got {shown(name)}. Correct it.")
    path = expanded(name)
    if os.path.isdir(path) or (os.path.isfile(path) and options.architecture is not None):
        folder = path if path.is_dir() else path.parent
        files = _files(name, folder) if path.is_dir() else (path.name,)
        if options.architecture is None:
            _refuse_several(name, folder, files)
        choice = _chosen(name, files, options, processor_only)
        revision = f"sha256:{_digest(folder, choice.files)}"
        words = words_of_card(folder) if "README.md" in choice.files else ()
        key = f"{revision} card {' '.join(words)}" if words else revision  # they may decide the pooling
        return Source(name, revision, key, choice.pickle, choice.files, folder, None, choice.layout, options)
    if os.path.isfile(path):
        raise CheckpointError(
            f"{name} is a file, so its architecture is unknown. Name its folder, or pass --architecture timm:NAME."
        )
    if path.is_absolute() or name.startswith((".", "~")):
        raise CheckpointError(f"there is no folder {name[:_LONGEST]}.{similar_folder(name) or ' Check the path.'}")
    repo_id, _, revision = name.partition("@")
    try:
        model = hub.resolve_model(repo_id, revision or None, options.token)
    except Exception as error:
        raise CheckpointError(hub.explain_name(error, "model", name)) from error
    known = reviewed(repo_id)
    if known and known.architecture and not options.architecture and "config.json" not in model.files and not processor_only:
        options = replace(options, architecture=f"timm:{known.architecture}")
    try:
        choice = _chosen(name, model.files, options, processor_only)
    except PickleOnlyError as error:
        if (reference := hub.pull_request_with_safetensors(repo_id, options.token)) is None:
            raise
        raise PickleOnlyError(
            f"{name} has only pickle weights, but its pull request {reference} has safetensors. Rank {repo_id}@{reference}."
        ) from error
    key = f"{repo_id}@{model.commit}"
    return Source(name, model.commit, key, choice.pickle, choice.files, None, model, choice.layout, options)


def _refuse_several(name: str, folder: Path, files: tuple[str, ...]) -> None:
    """Refuse a folder of checkpoints that is no checkpoint itself.

    Raises:
        CheckpointError: says how to name them.
    """
    if any(file in DESCRIBED for file in files):
        return
    count = len({file.parent for described in DESCRIBED for file in folder.glob(f"*/{described}")})
    if count:
        raise CheckpointError(
            f"{name} is no checkpoint but a folder with checkpoints, {count} in all. Name {name.rstrip('/')}/* instead."
        )


def _files(name: str, folder: Path) -> tuple[str, ...]:
    """The regular files of a folder; pipes and devices may never end.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    try:
        return tuple(sorted(file.name for file in folder.iterdir() if os.path.isfile(file)))
    except OSError as error:
        raise CheckpointError(f"the folder {name} cannot be read: {error.strerror}. Check its permissions.") from error


def _chosen(name: str, files: tuple[str, ...], options: LoadOptions, processor_only: bool) -> Choice:
    """The files to load: those of a layout, or only those that describe an image processor."""
    if not processor_only:
        return choose(name, files, options)
    kept = tuple(file for file in files if file in CONFIGURATION and file != "README.md")
    if not kept:
        raise CheckpointError(f"{name} has no image processor to lend. Name a checkpoint with a preprocessor_config.json.")
    return Choice("processor", kept, False)


def _digest(folder: Path, files: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file != "README.md":
            with (folder / file).open("rb") as opened:
                digest.update(f"{file}\0".encode("utf-8", "surrogateescape") + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
