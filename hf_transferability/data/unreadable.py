"""What `datasets` raises for datasets that it cannot read, as errors that say what to do."""

import os
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any

import datasets

from hf_transferability import hub
from hf_transferability.data import hub_files
from hf_transferability.data.listing import TABLES
from hf_transferability.data.text_encoding import first_not_utf8, not_utf8
from hf_transferability.errors import TargetError, TransferabilityError, UsageError, first_line
from hf_transferability.escaping.terminal import printable

_TABLES_IN_MESSAGE = 3


def dataset_error(error: Exception, name: str, files: Sequence[str] = ()) -> Exception:
    """What `datasets` raised, as an error that says what to do.

    Args:
        error: the exception.
        name: the dataset.
        files: paths or URLs of its data files, as far as they are known.
    """
    damaged = isinstance(error, datasets.exceptions.DatasetGenerationError) or type(error).__module__.startswith("pyarrow")
    if isinstance(error, datasets.exceptions.DatasetGenerationError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the outer text says nothing
    text = first_line(error)[:300]
    if hub.is_connection_error(error):
        return TargetError(hub.explain(error, "dataset", name))
    if known := _of_tables(error, name, files):
        return known
    if "Dataset scripts are no longer supported" in text or "trust_remote_code" in text:
        return UsageError(
            f"dataset {name} needs a loading script, which `datasets` no longer runs. "
            "Choose a copy in parquet or imagefolder layout."
        )
    if "Invalid string class label" in text:
        remedy = hub_files.DOWNLOAD.format(name)
        return UsageError(f"dataset {name} holds class folders in archives, whose classes `datasets` cannot tell. {remedy}")
    if "must be present as dictionary key in metadata" in text:
        first = f"{hub_files.DOWNLOAD.format(name)} " if any("://" in path for path in files) else ""
        return UsageError(
            f"metadata of {name} must have a column file_name, with commas between columns. {first}Correct its first line."
        )
    if "Invalid metadata file_name" in text:
        return TargetError(f"metadata of {name} names a file outside the dataset. Correct it, or choose another dataset.")
    if isinstance(error, ValueError | FileNotFoundError) and not damaged:
        # The texts of `datasets` name the configurations and files that exist.
        return UsageError(
            f"dataset {name}: {' '.join(str(error).split()).rstrip('.')[:400]}. Check --config, --split and the files."
        )
    return TargetError(f"dataset {name} cannot be loaded: {type(error).__name__}: {text}. Check that its files are whole.")


def _of_tables(error: BaseException, name: str, files: Sequence[str]) -> TransferabilityError | None:
    """The error for a table that is not in UTF-8, for tables of different columns, or for a damaged archive; else None."""
    tables = [path for path in files if path.lower().endswith(tuple(TABLES))]
    first = f"{hub_files.DOWNLOAD.format(name)} " if any("://" in path for path in files) else ""
    for cause in _causes(error):
        text = str(cause)
        if isinstance(cause, UnicodeDecodeError) or "Invalid UTF8" in text or ("nvalid" in text and "UTF-8 sequence" in text):
            return not_utf8(first_not_utf8(tables) or f"a table of {name}", first)
        if len(tables) > 1 and ("does not exist in schema" in text or isinstance(cause, datasets.table.CastError)):
            shown = ", ".join(printable(os.path.basename(path)[-40:]) for path in tables[:_TABLES_IN_MESSAGE])
            more = ", ..." if len(tables) > _TABLES_IN_MESSAGE else ""
            return UsageError(
                f"the tables of {name} have different columns ({shown}{more}). {first}"
                "Give them the same columns, or move those that name no images away."
            )
        if isinstance(cause, tarfile.TarError):
            return TargetError(f"an archive of {name} cannot be read. Download it again, or unpack it and pass the folder.")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def refuse_unlabelled_archives(builder: Any, name: str) -> None:
    """Refuse archives of images without files of labels beside these (WebDataset), such as an archive of class folders.

    Args:
        builder: of the dataset.
        name: the dataset.

    Raises:
        UsageError: names an archive.
    """
    columns = builder.info.features or {}
    images = [column for column, feature in columns.items() if isinstance(feature, datasets.Image)]
    if builder.name != "webdataset" or set(columns) - {*images, "__key__", "__url__"}:
        return
    file = next(str(path) for paths in builder.config.data_files.values() for path in paths)
    first = f"Download it (`hf download {name} --repo-type dataset`), unpack" if "://" in file else "Unpack"
    raise UsageError(
        f"dataset {name} holds archives of images without labels, such as {printable(os.path.basename(file)[-40:])}. "
        f"{first} them, and pass the folder."
    )
