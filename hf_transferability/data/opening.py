"""A Hub id, a local folder or a loaded dataset becomes one split with its account, before anything is drawn."""

import itertools
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from hf_transferability import errors, hub
from hf_transferability.data import foreign, hub_files, listing, local_images, tables
from hf_transferability.data.account import Account
from hf_transferability.data.columns import find_image_column
from hf_transferability.data.folder_cache import cache_folder
from hf_transferability.data.image_files import Place, place_of
from hf_transferability.data.local_folder import local_folder, may_be_path, refuse_several
from hf_transferability.data.local_tables import local_tables
from hf_transferability.data.named_images import refuse_absent
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.split_columns import refuse_split_column
from hf_transferability.data.split_words import kinds_within, split_kind
from hf_transferability.data.table_splits import refuse_merged
from hf_transferability.data.unread import configured_files, named_images, split_list_note, unread_files
from hf_transferability.data.unreadable import dataset_error, refuse_unlabelled_archives
from hf_transferability.errors import TargetError, TransferabilityError, UsageError, first_line, unknown_name
from hf_transferability.escaping.terminal import printable
from hf_transferability.quiet import without_log

_CARD = "Correct `data_files` of the dataset's card."
_NAMED_BY_SPLIT = (*listing.TABLES, *listing.ARCHIVES)  # endings of files whose names tell their split


@dataclass(frozen=True)
class Opened:
    """One split of a dataset.

    Attributes:
        table: a `datasets.Dataset`, or an `IterableDataset` of a stream.
        where: id, revision, config and split, for the provenance.
        place: where its images may lie; None for a dataset that the user has built.
        account: what the dataset holds and what was left out.
        files: paths or URLs of its data files, where a builder of `datasets` reads them; for errors.
    """

    table: Any
    where: dict[str, Any]
    place: Place | None
    account: Account
    files: tuple[str, ...] = ()


def open_dataset(dataset: Any, options: SampleOptions, token: str | None = None) -> Opened:
    """Open the split that the options choose.

    Args:
        dataset: a Hub id, a local folder (Hub layout, class folders or `save_to_disk`), or a dataset loaded by `datasets`.
        options: config, split, revision, class_level, image_column, streaming and follow_links are used here.
        token: Hub token; default the one of `hf auth login`.

    Raises:
        UsageError: an unknown dataset or split, a class that would be lost, or folders that can be read in several ways.
        TargetError: no network or no access, a damaged dataset, or one that names files elsewhere.
    """
    if not isinstance(dataset, str | Path):
        _check_loaded(dataset)
        opened = _open_loaded(dataset, options.split, "(in memory)", None)
        return _with_checked_rows(opened, options)
    name = str(dataset)
    folder = local_folder(name)
    if folder is None:
        opened = open_hub_dataset(name, options, token, by_user=True)
    else:
        opened = _open_folder(name, folder, options, token)
    opened = _with_checked_rows(opened, options)
    if options.class_level is not None and opened.account.class_level is None:
        raise UsageError(f"`class_level` acts on folders of images only; the labels of {name} are in a column. Leave it out.")
    return opened


def split_names(
    dataset: Any, *, config: str | None = None, revision: str | None = None, token: str | None = None, **others: Any
) -> list[str]:
    """Names of the splits of a dataset: a Hub id, a local folder or a loaded `datasets.DatasetDict`.

    Args:
        dataset: as in `open_dataset`.
        config, revision: as in `SampleOptions`.
        token: Hub token.
        **others: further options of `SampleOptions`.

    Raises:
        UsageError: an unknown dataset, or a single split in memory.
        TargetError: no network or no access.
    """
    if isinstance(dataset, dict):
        return [str(name) for name in dataset]
    if not isinstance(dataset, str | Path):
        raise UsageError(f"`dataset` must have named splits; got {type(dataset).__name__}. Pass a DatasetDict.")
    options = SampleOptions(config=config, revision=revision, **others)
    folder = local_folder(str(dataset))
    if folder is None:
        return _builder_splits(_hub_builder(str(dataset), options, token)[0])
    if _is_saved(folder):
        return [str(name) for name in _load_saved(folder)]
    # Whoever asks for the names chooses one of them, also where names of files tell them only partly.
    images = _image_folder(folder, replace(options, split=options.split or "train"))
    if images is not None:
        return [str(name) for name in images[0]]
    return _builder_splits(_folder_builder(folder, options, token)[0])


def _check_loaded(dataset: Any) -> None:
    """Refuse what is no dataset of `datasets`, nor splits of one.

    Raises:
        UsageError: something else.
    """
    tables = list(dataset.values()) if isinstance(dataset, dict) else [dataset]
    if not tables or not all(isinstance(table, datasets.Dataset | datasets.IterableDataset) for table in tables):
        raise UsageError(
            f"`dataset` must be a Hub id, a folder or a dataset of `datasets`; got {errors.shown(dataset)}. Pass one of these."
        )


def _open_folder(name: str, folder: Path, options: SampleOptions, token: str | None) -> Opened:
    place = place_of(str(folder), None, follow_links=options.follow_links)
    if _is_saved(folder):
        return _open_loaded(_load_saved(folder), options.split, name, place)
    images = _image_folder(folder, options)
    if images is not None:
        splits, account = images
        # A split may be named as its folder is, such as Training; an expression may not.
        kind = split_kind(options.split) if options.split and not set("[+") & set(options.split) else None
        chosen = kind if options.split not in splits and kind in splits else options.split
        opened = _open_loaded(splits, chosen, name, place, account)
        table = opened.table.to_iterable_dataset() if options.streaming else opened.table
        return replace(opened, table=table, where={**opened.where, "config": "default"})
    builder, notes = _folder_builder(folder, options, token)
    opened = _open_builder(builder, name, None, place, options)
    opened = replace(opened, account=replace(opened.account, notes=notes))
    return _with_unread(opened, folder, builder, options)


def _with_unread(opened: Opened, folder: Path, builder: Any, options: SampleOptions) -> Opened:
    """The opened split with what the builder of `datasets` and the rows leave of the folder, in its account.

    Raises:
        UsageError, TargetError: images in hidden folders, which a builder leaves out; rows none of which leads to an image.
    """
    files = listing.list_files(folder, options.follow_links, place_of(str(folder), None).folders)
    if builder.name in hub_files.FOLDERS:
        listing.refuse_hidden_folders(files)
    named = _named(opened, builder, options)
    refuse_absent(named, opened.place, folder, files.images)
    left_out, examples = unread_files(folder, files, configured_files(builder), named)
    notes = opened.account.notes
    note, name = split_list_note(files.others)
    if note and len(opened.account.rows) == 1:
        notes, examples = (*notes, note), {**examples, note: name}
    return replace(opened, account=replace(opened.account, left_out=left_out, examples=examples, notes=notes))


def _named(opened: Opened, builder: Any, options: SampleOptions) -> list[str] | None:
    """The image files that rows name; None where that cannot be told, as of a stream."""
    if options.streaming or opened.place is None:
        return None
    return named_images(builder, _image_column(opened.table, options), opened.place, _builder_splits(builder))


def _image_column(table: Any, options: SampleOptions) -> str | None:
    try:
        return find_image_column(table.features, options.image_column)
    except UsageError:  # the caller of `open_dataset` refuses it, if it needs the images
        return None


def _with_checked_rows(opened: Opened, options: SampleOptions) -> Opened:
    """Refuse a split of which a column says that it holds several; those that the user joins may, and a stream tells later.

    The account says which columns may divide the rows into other parts.
    """
    if not isinstance(opened.table, datasets.Dataset) or "+" in opened.where["split"]:
        return opened
    try:
        notes = refuse_split_column(opened.table, options.label_column, _image_column(opened.table, options))
    except UnicodeDecodeError as error:  # JSON is not decoded before
        raise dataset_error(error, str(opened.where["id"]), opened.files) from error
    return replace(opened, account=replace(opened.account, notes=(*opened.account.notes, *notes)))


def _image_folder(folder: Path, options: SampleOptions) -> tuple[datasets.DatasetDict, Account] | None:
    """The splits of a folder of images; None where its data are in tables, in archives, or described by a card.

    Raises:
        UsageError: a folder that holds neither, with what it does hold.
        TargetError: links that lead elsewhere, or a card that names files elsewhere.
    """
    foreign.check_cards(folder)
    refuse_several(folder)
    place = place_of(str(folder), None)
    files = listing.list_files(folder, options.follow_links, place.folders)
    listing.refuse_links(files, folder)
    if foreign.has_configurations(folder) or options.config is not None:
        return None
    listing.refuse_hidden_folders(files)
    if not files.images:
        if not files.tables and (kind := listing.unreadable_kind(files)):
            raise UsageError(f"dataset {folder.name} {kind}")
        return None
    if files.tables and options.image_column:
        return None
    read = local_images.read_image_folder(folder, files, options)
    return None if read is not None and files.tables and "label" not in _columns(read[0]) else read


def _columns(splits: datasets.DatasetDict) -> list[str]:
    return list(next(iter(splits.values())).column_names) if splits else []


def _folder_builder(folder: Path, options: SampleOptions, token: str | None) -> tuple[Any, tuple[str, ...]]:
    """The builder of tables, archives or a folder with a card, and notes on what it reads.

    Raises:
        UsageError: tables whose names do not tell their splits, or what `datasets` finds wrong.
        TargetError: damaged files.
    """
    path, data_files, described = str(folder), None, foreign.has_configurations(folder)
    settings: dict[str, Any] = {}
    files = listing.list_files(folder, options.follow_links, place_of(str(folder), None).folders)
    chosen = None if described else local_tables(folder, files, options)
    if chosen:  # `datasets` would take the kind of file that is the most frequent: the images
        path, data_files, settings = chosen.kind, chosen.data_files, chosen.settings
    build = partial(datasets.load_dataset_builder, path, name=options.config, data_files=data_files, token=token, **settings)
    try:
        builder = tables.with_texts(partial(build, cache_dir=cache_folder(folder)), token)
    except Exception as error:
        tables_here = [str(folder / table) for table in files.tables]
        raise dataset_error(error, folder.name, tables_here) from error
    for split, paths in (builder.config.data_files or {}).items():
        if described and split_kind(str(split)) is None:  # such as "full": its author joins them on purpose
            continue
        names = [os.path.relpath(name, folder).replace(os.sep, "/") for name in paths]
        named = [name for name in names if name.lower().endswith(_NAMED_BY_SPLIT)]
        refuse_merged(str(split), named, *([_CARD] if described else []))
        for name in names if described else ():
            if {split_kind(part) for part in name.split("/")[:-1]} - {None, split_kind(str(split))}:
                raise UsageError(f"the dataset's card takes {printable(name[-80:])} for split {split}. {_CARD}")
    return builder, chosen.notes if chosen else ()


def open_hub_dataset(name: str, options: SampleOptions, token: str | None, *, by_user: bool = False) -> Opened:
    """Open a split of a Hub dataset, whatever folders this machine has; see `open_dataset`.

    Args:
        name: Hub id.
        options, token: as in `open_dataset`.
        by_user: a user gave the name, who may have meant a folder; errors about others, such as those of a card, tell of none.
    """
    builder, commit = _hub_builder(name, options, token, by_user)
    try:
        opened = _open_builder(builder, name, commit, place_of(name, commit), options)
    except UsageError:  # folders of classes such as test_positive may have been taken for splits
        hub_files.compared(Account({}), builder, name, commit, token, options, None)
        raise
    if commit is not None and (damaged := hub.remove_damaged_files(name, commit, token)):
        shutil.rmtree(builder.cache_dir, ignore_errors=True)  # it may hold tables made of them
        raise TargetError(
            f"{len(damaged)} files of dataset {name} differ from what the Hub states, for example {damaged[0]}. Run it again."
        )
    named = _named(opened, builder, options)
    account = hub_files.compared(opened.account, builder, name, commit, token, options, named)
    return replace(opened, account=account)


def _hub_builder(name: str, options: SampleOptions, token: str | None, by_user: bool = True) -> tuple[Any, str | None]:
    """The builder of a Hub dataset, and its commit."""
    try:
        commit = hub.resolve_dataset(name, options.revision, token)
    except Exception as error:
        told = hub.explain_name(error, "dataset", name) if by_user else hub.explain(error, "dataset", name)
        no_folder = f"there is no folder {name}"
        if by_user and may_be_path(name) and not told.startswith(no_folder):
            told = f"{no_folder}; {told}"
        raise _access_error(error)(told) from error
    try:
        described = foreign.check_hub_cards(name, commit, token)
        build = partial(hub.call, datasets.load_dataset_builder, name, name=options.config, revision=commit, token=token)
        builder = tables.with_texts(build, token)
        if commit is not None and builder.hash != commit:  # what `datasets` does when the Hub fails, whatever was asked for
            raise ConnectionError(f"only commit {builder.hash} of it is cached")
    except TransferabilityError:
        raise
    except Exception as error:
        if not hub.is_connection_error(error):
            hub_files.refuse_dicom(hub_files.listed(name, commit, token) or [], name)
        raise dataset_error(error, name) from error
    hub_files.refuse_merged_tables(builder, name, described)
    return builder, commit


def _open_builder(builder: Any, name: str, commit: str | None, place: Place, options: SampleOptions) -> Opened:
    files = tuple(str(path) for paths in (builder.config.data_files or {}).values() for path in paths)
    try:
        chosen = choose_split(_builder_splits(builder), options.split)
        if options.streaming:
            _refuse_overlap(chosen, {})
            table = builder.as_streaming_dataset(split=chosen)
        else:
            with without_log(*tables.LOGGERS):
                hub.call(builder.download_and_prepare)
            known = builder.info.splits or {}
            _refuse_overlap(chosen, {split: known[split].num_examples for split in known})
            table = tables.settled(builder, builder.as_dataset(split=chosen))
    except UsageError:
        raise
    except Exception as error:
        raise dataset_error(error, name, files) from error
    refuse_unlabelled_archives(builder, name)
    known = builder.info.splits or {}
    rows = {split: known[split].num_examples if split in known else -1 for split in _builder_splits(builder)}
    where = {"id": name, "revision": commit, "config": builder.config.name, "split": chosen}
    return Opened(table, where, place, Account(rows), files)


def _is_saved(folder: Path) -> bool:
    return (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()


def _load_saved(folder: Path) -> datasets.DatasetDict:
    """The splits of a `save_to_disk` folder.

    Raises:
        TargetError: it is damaged, or names files elsewhere.
    """
    foreign.check_state(folder)
    try:
        saved = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise TargetError(
            f"dataset {folder.name} cannot be loaded: {type(error).__name__}: {first_line(error)[:200]}. "
            "Check that its files are whole."
        ) from error
    return datasets.DatasetDict({str(saved.split or "train"): saved}) if isinstance(saved, datasets.Dataset) else saved


def _open_loaded(dataset: Any, split: str | None, name: str, place: Place | None, account: Account | None = None) -> Opened:
    """The chosen split of a loaded dataset."""
    if not isinstance(dataset, datasets.Dataset | datasets.IterableDataset | dict):
        raise UsageError(
            f"`dataset` must be a Hub id, a folder or a dataset of `datasets`; got {type(dataset).__name__}. Convert it."
        )
    where = {"id": name, "revision": None, "config": None}
    if not isinstance(dataset, dict):
        if split is not None:
            raise UsageError(
                f"`split` must be left out for a single loaded dataset; got {split!r}. Pass the split's own dataset."
            )
        chosen = str(dataset.split or "")
        return Opened(dataset, {**where, "split": chosen}, place, Account({chosen or "(unnamed)": _length(dataset)}))
    account = account or Account({str(key): _length(part) for key, part in dataset.items()})
    chosen = choose_split([str(key) for key in dataset], split)
    table = dataset[chosen] if chosen in dataset else _by_expression(dataset, chosen)
    return Opened(table, {**where, "split": chosen}, place, account)


def _length(table: Any) -> int:
    return len(table) if isinstance(table, datasets.Dataset) else -1


def _by_expression(dataset: Any, expression: str) -> datasets.Dataset:
    """The rows of a split expression such as train[:50%]+test."""
    try:
        lengths = {name: len(part) for name, part in dataset.items()}
        parts = datasets.ReadInstruction.from_spec(expression).to_absolute(lengths)
    except (ValueError, AssertionError, TypeError) as error:
        raise UsageError(
            f"`split` must be a split or an expression such as train[:50%] of {', '.join(dataset)}; got {expression!r} "
            f"({error}). Correct it."
        ) from error
    _refuse_overlap(expression, lengths)
    pieces = []
    for part in parts:
        rows = range(len(dataset[part.splitname]))[part.from_ : part.to]
        pieces.append(dataset[part.splitname].select(rows))
    return datasets.concatenate_datasets(pieces)


def _refuse_overlap(expression: str, lengths: dict[str, int]) -> None:
    """Refuse a split expression that takes images twice, such as train[:50%]+train.

    Args:
        expression: names existing splits only.
        lengths: split -> number of rows; those of a stream may be missing, and then a split may be named once only.

    Raises:
        UsageError: names the split.
    """
    names = [part.partition("[")[0].strip() for part in expression.split("+")]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated and all(lengths.get(name) for name in names):
        ranges: dict[str, list[tuple[int, int]]] = {}
        for part in datasets.ReadInstruction.from_spec(expression).to_absolute(lengths):
            ranges.setdefault(part.splitname, []).append((part.from_, part.to))
        repeated = [
            name
            for name, taken in ranges.items()
            if any(start < end for (_, end), (start, _) in itertools.pairwise(sorted(taken)))
        ]
    if repeated:
        raise UsageError(
            f"`split` must take each image once; {expression!r} takes images of {repeated[0]} twice. Name parts that do not "
            "overlap."
        )


def _builder_splits(builder: Any) -> list[str]:
    return [str(name) for name in list(builder.info.splits or {}) or list(builder.config.data_files or {})]


def choose_split(splits: Sequence[str], requested: str | None) -> str:
    """The requested split or split expression, else "train", else the only split unless that is the test split.

    Raises:
        UsageError: an unknown split, or several without a train split.
    """
    if requested is not None:
        wanted = [re.sub(r"\[.*\]$", "", part.strip()) for part in requested.split("+")]
        if splits and (unknown := [part for part in wanted if part not in splits]):
            raise UsageError(unknown_name("split", unknown[0], splits))
        return requested
    if "train" in splits:
        return "train"
    if len(splits) == 1 and not ("test" in splits[0].lower() or "test" in kinds_within(splits[0])):
        return splits[0]
    raise UsageError(
        f"`split` must be named: there is no train split, only {', '.join(splits) or 'none'}. "
        "Pass --split; the test split is never taken unasked, because scores on it would leak into the choice."
    )


def _access_error(error: Exception) -> type[TargetError] | type[UsageError]:
    wrong = isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | HFValidationError)
    return UsageError if wrong and not isinstance(error, GatedRepoError) else TargetError
