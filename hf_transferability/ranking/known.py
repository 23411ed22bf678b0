"""What fine-tuning elsewhere says of the candidates of a run: the bundled results, and tables of one's own beside them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hf_transferability import hub
from hf_transferability.benchmark import ground_truth, known, tables
from hf_transferability.errors import UsageError
from hf_transferability.names import plain_name
from hf_transferability.results import Row

if TYPE_CHECKING:
    import pandas as pd

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


def add_known(rows: Sequence[Row], results: known.KnownResults, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Put what is known into the rows: known_elsewhere, known_targets, known_medical, known_studies; None and [] if nothing is.

    Args:
        rows: each with its "checkpoint" as the user named it, and its "revision".
        results: of `read_known`.
        dataset: provenance of the target; studies that hold it are left out.

    Returns:
        "studies": name -> citation of those that say something, and "left_out": the names of those that hold the target.
    """
    names = [plain_name(str(dataset.get("id") or "")), dataset.get("config"), dataset.get("fingerprint")]
    others, left_out = results.without(str(name) for name in names if name)
    hashed = bool((others.percentiles.digest != "").any())
    for row in rows:
        folder = Path(row["checkpoint"]).expanduser()
        local = folder.is_dir()
        digests = [str(row["revision"] or ""), *(_weights_sha256(folder) if hashed else ())] if local else []
        found = others.of(str(folder.resolve()) if local else row["checkpoint"], digests)
        row["known_elsewhere"] = found.value if found else None
        row["known_targets"] = found.targets if found else None
        row["known_medical"] = found.medical if found else None
        row["known_studies"] = list(found.studies) if found else []
    studies = sorted({study for row in rows for study in row["known_studies"]})
    return {"studies": {study: results.citations.get(study, "") for study in studies}, "left_out": left_out}


def _weights_sha256(folder: Path) -> list[str]:
    """The sha256 of every file of weights in a folder."""
    digests = []
    for path in sorted(folder.iterdir()):
        if path.suffix in _WEIGHTS and path.is_file():
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


def _ground_truth(origin: str, token: str | None) -> "pd.DataFrame":
    """The ground truth at one origin; where only the runs are there, that of the runs."""
    path = Path(origin).expanduser()
    if path.is_file():
        return tables.read(path, "ground_truth")
    for name in ("ground_truth", "runs"):
        if path.is_dir():
            files = sorted(file for file in path.glob(f"{name}.*") if file.suffix in _TABLES)[:1]
            files += sorted(path.glob(tables.data_files(name)))
        else:
            files = _from_hub(origin, name, token)
        if files:
            return _read(files, name)
    raise UsageError(
        f"`known` must have ground truth; got {origin}, which has none. Give a table, or a folder or dataset with one."
    )


def _from_hub(repo_id: str, name: str, token: str | None) -> list[Path]:
    """The files of a table in a Hub dataset, downloaded."""
    if repo_id.count("/") != 1 or repo_id.startswith((".", "/", "~")):
        raise UsageError(f"`known` must be a file, a folder or a dataset OWNER/NAME; got {repo_id!r}. Check the path.")
    try:
        head = hub.dataset_head(repo_id, token)
        return [hub.fetch(head, file, token) for file in head.files if PurePosixPath(file).match(tables.data_files(name))]
    except Exception as error:
        raise UsageError(hub.explain(error, "dataset", repo_id)) from error


def _read(files: Sequence[Path], name: str) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.concat([tables.read(file, name) for file in files], ignore_index=True)
    return ground_truth.from_runs(frame) if name == "runs" else frame
