"""Fine-tuned results of the candidates of a run in other studies: bundled results, and a user's own tables."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hf_transferability import hub
from hf_transferability.benchmark import ground_truth, known, tables
from hf_transferability.checkpoints.cards import named_ids
from hf_transferability.errors import UsageError
from hf_transferability.names import expanded, plain_name
from hf_transferability.ranking.candidates import Candidate

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_TABLES = (".parquet", ".csv", ".json")
_WEIGHTS = (".safetensors", ".bin")


def read_known(origins: Sequence[str | Path] = (), token: str | None = None) -> known.KnownResults:
    """The bundled results, extended by the ground truth at each origin.

    Args:
        origins: a table of ground truth as .parquet, .csv or .json; a folder with such a table, as `finetune` writes it; or a
            Hub dataset "owner/name" of results, as `benchmark publish` makes it.
        token: Hub token.

    Raises:
        UsageError: there is no ground truth, or it cannot be read.
    """
    results = known.bundled()
    for origin in origins:
        results = results.extended(_ground_truth(str(origin), token))
    return results


def with_known(
    candidates: Sequence[Candidate], results: known.KnownResults, dataset: Mapping[str, Any], token: str | None = None
) -> tuple[list[Candidate], dict[str, Any]]:
    """The candidates with what is known of them elsewhere among their facts, and the studies that say it.

    The facts: known_elsewhere, known_targets, known_medical, known_studies; None and [] where nothing is known.

    Args:
        candidates: with their names as the user gave them, and their revisions.
        results: from `read_known`.
        dataset: provenance of the target; studies that hold it are left out.
        token: Hub token, to ask whether a local copy has the weights of the repository that it names.

    Returns:
        The candidates, and a dict: "studies": name -> citation of those that say something, and "left_out": the names of those
        that hold the target.
    """
    names = [plain_name(str(dataset.get("id") or "")), dataset.get("config"), dataset.get("fingerprint")]
    others, left_out = results.without(str(name) for name in names if name)
    hashed = bool((others.percentiles.digest != "").any())
    described = [_described(candidate, others, hashed, token) for candidate in candidates]
    studies = sorted({study for candidate in described for study in candidate.facts["known_studies"]})
    return described, {"studies": {study: results.citations.get(study, "") for study in studies}, "left_out": left_out}


def _described(candidate: Candidate, results: known.KnownResults, hashed: bool, token: str | None) -> Candidate:
    folder = expanded(candidate.name)
    local = os.path.isdir(folder)  # False for a name that no file system takes
    digests = [str(candidate.revision or ""), *(_weights_sha256(folder) if hashed else ())] if local else []
    result = results.of(str(folder.resolve()) if local else candidate.name, digests)
    if local and result is None:
        result = _of_the_original(folder, results, token)
    facts = {
        "known_elsewhere": result.value if result else None,
        "known_targets": result.targets if result else None,
        "known_medical": result.medical if result else None,
        "known_studies": list(result.studies) if result else [],
    }
    return replace(candidate, facts={**candidate.facts, **facts})


def _of_the_original(folder: Path, results: known.KnownResults, token: str | None) -> known.Known | None:
    """The results of the repository that a local copy names, if the Hub states the same sha256 for its weights."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text("utf-8")) if file.is_file() else {}  # reading a named pipe would never end
    except (OSError, ValueError, RecursionError):  # the loader says what is wrong with it
        config = {}
    names = named_ids(config) if isinstance(config, dict) else []
    resolved = folder.resolve()
    for repo_id in dict.fromkeys([*names, f"{resolved.parent.name}/{resolved.name}"]):
        if (result := results.of(repo_id)) is None:
            continue
        try:
            stated = hub.resolve_model(repo_id, token=token).sha256
        except Exception as error:  # offline, or gated: then nothing is known
            log.debug("the published results of %s are left out", repo_id, exc_info=error)
            continue
        if {digest for path, digest in stated.items() if path.endswith(_WEIGHTS)} & set(_weights_sha256(folder)):
            return result
    return None


def _weights_sha256(folder: Path) -> list[str]:
    """The sha256 of every file of weights in a folder."""
    digests = []
    for path in sorted(folder.iterdir()):
        if path.suffix in _WEIGHTS and path.is_file():
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


def _ground_truth(origin: str, token: str | None) -> "pd.DataFrame":
    """The ground truth at one origin, with the `domain` of its targets if it is known; of the runs, if only they are there."""
    path = expanded(origin)
    if path.is_file():
        return tables.read(path, "ground_truth")
    find = _files_of_folder(path) if path.is_dir() else _files_of_hub(origin, token)
    truth = _read(find("ground_truth"), "ground_truth")
    if truth is None and (runs := _read(find("runs"), "runs")) is not None:
        truth = ground_truth.from_runs(runs)
    if truth is None:
        raise UsageError(
            f"`known` must have ground truth; got {origin}, which has none. Give a table, or a folder or dataset with one."
        )
    targets = _read(find("targets"), "targets")
    if targets is None:
        return truth
    return truth.merge(targets[["benchmark", "target", "domain"]], on=["benchmark", "target"], how="left")


def _files_of_folder(folder: Path) -> Callable[[str], list[Path]]:
    """A function that lists the files of a table in a folder, laid out as `finetune` or a Hub dataset has them."""

    def find(name: str) -> list[Path]:
        beside = sorted(file for file in folder.glob(f"{name}.*") if file.suffix in _TABLES)
        return beside[:1] or sorted(folder.glob(tables.data_files(name)))

    return find


def _files_of_hub(repo_id: str, token: str | None) -> Callable[[str], list[Path]]:
    """A function that downloads the files of a table in a Hub dataset and lists them."""
    if repo_id.count("/") != 1 or repo_id.startswith((".", "/", "~")):
        raise UsageError(f"`known` must be a file, a folder or a dataset OWNER/NAME; got {repo_id!r}. Check the path.")

    def find(name: str) -> list[Path]:
        try:
            return [hub.fetch(head, file, token) for file in head.files if PurePosixPath(file).match(tables.data_files(name))]
        except Exception as error:
            raise UsageError(hub.explain(error, "dataset", repo_id)) from error

    try:
        head = hub.dataset_head(repo_id, token)
    except Exception as error:
        raise UsageError(hub.explain(error, "dataset", repo_id)) from error
    return find


def _read(files: Sequence[Path], name: str) -> "pd.DataFrame | None":
    import pandas as pd

    return pd.concat([tables.read(file, name) for file in files], ignore_index=True) if files else None
