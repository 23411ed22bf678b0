"""Which rows of a split are drawn, from a table or from a stream: repeats and masks are left out before."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets
import numpy as np

from hf_transferability.data import masks
from hf_transferability.data.columns import undecoded
from hf_transferability.data.groups import group_codes, group_names
from hf_transferability.data.image_files import Place, image_bytes
from hf_transferability.data.labels import LabelReader
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.path_columns import PathColumns, refusing_path_columns
from hf_transferability.data.repeated_rows import refuse_different, rows_to_use
from hf_transferability.data.sampling import Reservoir, draw_sample, sample_size
from hf_transferability.data.split_columns import SplitColumns, refusing_split_column
from hf_transferability.errors import TargetError, UsageError

_STREAMED = "Of a stream, repeated images{} are looked for in the drawn sample only."


@dataclass(frozen=True)
class Drawn:
    """What was drawn of a split.

    Attributes:
        records: cells of the undecoded image column.
        labels: their settled labels.
        positions: their row numbers in the split.
        available: rows that could be drawn.
        all_labels: settled labels of these rows; None for a stream.
        groups: group of each drawn image; empty without a group column.
        left_out: reason -> number of rows that could not be drawn.
        examples: reason -> one of their files.
        notes: what else the user should know, one sentence each.
        paths: of the rows that could be drawn, of a stream those of the drawn ones; "" for none.
    """

    records: list
    labels: list
    positions: list[int]
    available: int
    all_labels: list | None
    groups: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    paths: list[str] = field(default_factory=list, repr=False)


def draw(opened_table: Any, image_column: str, reader: LabelReader, options: SampleOptions, place: Place | None) -> Drawn:
    """Draw from one split.

    Args:
        opened_table: a `datasets.Dataset` or an `IterableDataset`.
        image_column: its column of images.
        reader: of its labels; it has settled their meaning after this.
        options: group_column, keep_masks, and how to draw.
        place: where its images may lie; None for anywhere.

    Raises:
        UsageError: labels that are missing or may mean two things, rows of several splits, or options that do not fit.
        TargetError: rows that say different things of one image.
    """
    table = undecoded(opened_table, image_column)
    if isinstance(table, datasets.IterableDataset):
        return _from_stream(table, image_column, reader, options, place)
    others = [reader.column, *filter(None, [options.group_column])]
    rows = rows_to_use(opened_table, image_column, place, others)
    table = table.select_columns([image_column, *others]).with_format(None)
    return _from_table(table, image_column, reader, options, rows, place)


def _from_table(
    table: datasets.Dataset,
    image_column: str,
    reader: LabelReader,
    options: SampleOptions,
    rows: np.ndarray | None,
    place: Place | None,
) -> Drawn:
    numbers: Sequence[int] = range(len(table))
    left_out: dict[str, int] = {}
    examples: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    if rows is not None:
        left_out["repeated rows"] = len(table) - len(rows)
        table, numbers = table.select(rows), rows.tolist()
    raw = table[reader.column][:]
    paths = masks.stored_paths(table, image_column)
    read = reading(table, image_column, place)
    if paths and not options.keep_masks:
        among = masks.find_masks(paths, raw, read)
        masks.refuse_doubtful(paths, raw, among)
        called = among.notes(paths)
        notes, examples = tuple(called), dict(called)
        if found := among.found:
            kept = [i for i in range(len(table)) if i not in found]
            table, numbers, raw = table.select(kept), [numbers[i] for i in kept], [raw[i] for i in kept]
            left_out[masks.KEPT_OUT] = len(found)
            examples[masks.KEPT_OUT] = masks.shown(paths[next(iter(found))])
            notes, paths = (masks.NOTE, *notes), [paths[i] for i in kept]
            read = reading(table, image_column, place)
    reader.refuse_missing(raw, numbers)
    labels = reader.settle(raw)
    if paths and not options.keep_masks and reader.has_classes:
        masks.refuse_class_of_masks(paths, labels, reader.names, read)
    _check_draw(reader, options)
    column = options.group_column
    names = group_names(column, table[column][:], table.features[column]) if column is not None else []
    groups = group_codes(names) if names else None
    chosen = draw_sample(reader.group_codes(labels), options.sample_size, options.draw, options.seed, groups)
    return Drawn(
        table.select(chosen)[image_column][:] if len(chosen) else [],
        [labels[i] for i in chosen],
        [numbers[i] for i in chosen],
        len(labels),
        labels,
        [names[i] for i in chosen] if names else [],
        left_out,
        examples,
        notes,
        paths or [],
    )


def _from_stream(
    table: datasets.IterableDataset, image_column: str, reader: LabelReader, options: SampleOptions, place: Place | None
) -> Drawn:
    sample = options.sample_size
    if options.group_column is not None:
        raise UsageError("`group_column` must go without streaming: groups are drawn in turn, from all of their images.")
    if options.draw != "random" or sample == "all":
        raise UsageError("`streaming` must go with a random draw of a limited size: the whole is never in memory.")
    if sample is None and reader.names is None:
        raise UsageError("`sample_size` must be given with streaming when the labels do not declare their classes.")
    size = sample_size(sample, len(reader.names or ()))
    reservoir = Reservoir(int(size or 0), options.seed)
    assigning = SplitColumns.of(table.features, options.label_column)
    rows = table.select_columns([image_column, reader.column, *(set(assigning.features) - {image_column, reader.column})])
    columns = PathColumns.of(assigning.features, (image_column, reader.column))
    rows = refusing_path_columns(refusing_split_column(rows.with_format(None), assigning), columns)
    reservoir.extend((index, row[image_column], row[reader.column]) for index, row in enumerate(rows))
    drawn = reservoir.shuffled()
    raw = [label for _, _, label in drawn]
    reader.refuse_missing(raw, [row for row, _, _ in drawn])
    labels = reader.settle(raw)
    if sample is None and not reader.multi:
        # Declared classes may not occur; the sample is 100 x those that do, as without streaming.
        drawn = drawn[: sample_size(None, len(set(labels)))]
    positions, records, _ = (list(column) for column in zip(*drawn, strict=True)) if drawn else ([], [], [])
    refuse_different(records, labels[: len(drawn)], positions, place)
    paths = [(record or {}).get("path") or "" for record in records]
    called = {}
    if not options.keep_masks:
        called = _refuse_masks(paths, labels[: len(drawn)], reader, lambda row: _bytes(records[row], place))
    note = _STREAMED.format(" and masks" if any(paths) and not options.keep_masks else "")
    notes = (note, *called, *assigning.notes(), *columns.finish())
    return Drawn(records, labels[: len(drawn)], positions, reservoir.seen, None, examples=called, notes=notes, paths=paths)


def reading(table: datasets.Dataset, image_column: str, place: Place | None) -> masks.Read:
    """Gives the encoded image of a row."""
    return lambda row: _bytes(table[row][image_column], place)


def _bytes(record: Any, place: Place | None) -> bytes:
    """An encoded image; empty where it may not or cannot be read, which is told when it is used."""
    try:
        return image_bytes(record, place)
    except TargetError:
        return b""


def _refuse_masks(paths: Sequence[str], labels: Sequence[Any], reader: LabelReader, read: masks.Read) -> dict[str, str]:
    """Refuse masks in a stream; note on files that are only called so -> one of them."""
    among = masks.find_masks(paths, labels, read)
    if found := {**among.found, **among.unclear}:
        raise UsageError(
            f"the stream holds masks beside their images, such as {masks.shown(paths[next(iter(found))])}. "
            "Load it whole, or pass --keep-masks to take them as images."
        )
    if reader.has_classes:
        masks.refuse_class_of_masks(paths, labels, reader.names, read)
    return among.notes(paths)


def _check_draw(reader: LabelReader, options: SampleOptions) -> None:
    if options.draw == "stratified" and not reader.has_classes:
        kind = "a multi-label target; {} holds lists" if reader.multi else "a regression target; {} holds numbers"
        raise UsageError(f"`draw` must be random for {kind.format(reader.column)}. Leave it out.")
