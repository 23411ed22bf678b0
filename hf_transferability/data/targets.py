"""The target dataset: a Hub id, a local folder or a `datasets.Dataset` becomes a sample of encoded images with class codes."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import datasets
import numpy as np

from hf_transferability.data import frames
from hf_transferability.data.account import Account
from hf_transferability.data.columns import find_image_column
from hf_transferability.data.drawing import Drawn, draw
from hf_transferability.data.duplicates import Origins, duplicates, examples_by_file, examples_by_row
from hf_transferability.data.group_hints import group_note
from hf_transferability.data.groups import SMALLEST, check_group_column, group_codes, group_names
from hf_transferability.data.header_flags import header_flags
from hf_transferability.data.headers import read_header
from hf_transferability.data.image_files import file_and_folder, image_bytes
from hf_transferability.data.images import DECODING_VERSION, ImageReport, Images
from hf_transferability.data.label_forms import alike, copies, may_be_parts, missing_names
from hf_transferability.data.labels import LabelReader, find_label_column
from hf_transferability.data.medical.convert import Medical
from hf_transferability.data.medical.image import one_grey
from hf_transferability.data.opening import Opened, open_dataset, split_names
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.path_notes import path_notes
from hf_transferability.data.sampling import IMAGES_PER_CLASS, LARGEST_DEFAULT, SMALLEST_SAMPLE
from hf_transferability.data.split_words import split_kind
from hf_transferability.data.tables import LOGGERS
from hf_transferability.data.unreadable import dataset_error
from hf_transferability.errors import TargetError, TransferabilityError, UnknownArgument, UsageError, unknown_name
from hf_transferability.escaping.terminal import printable
from hf_transferability.quiet import without_log

__all__ = [
    "SMALLEST_SAMPLE", "Labelled", "LabelledArrays", "SampleOptions", "Target", "check_images", "class_flags", "load_target",
    "split_names",
]  # fmt: skip

READING_FLAGS = ("several_frames", "extra_channels", "windowed", "one_slice")  # images that are not used whole
_FROM_LOADING = ("class_not_drawn", *READING_FLAGS)  # flags that decoding does not change
_DARK = 128  # 15-bit images and less: scans of 12 bits reach 16 of 255 when 65535 is white


class Labelled(Protocol):
    """What a metric needs to know of a sample: `Target` and `LabelledArrays` have it."""

    @property
    def labels(self) -> np.ndarray:
        """Class codes, 0/1 columns, or numbers; see `Target`."""
        ...

    @property
    def task(self) -> str:
        """The kind of labels."""
        ...

    @property
    def key(self) -> str:
        """A digest of the sample."""
        ...

    @property
    def flags(self) -> dict[str, str]:
        """Flags that hold for every candidate."""
        ...

    @property
    def groups(self) -> np.ndarray | None:
        """Codes of images that belong together; see `Target`."""
        ...


@dataclass(frozen=True)
class LabelledArrays:
    """The labels of arrays whose images are elsewhere; attributes as in `Target`."""

    labels: np.ndarray
    task: str
    key: str
    provenance: dict[str, Any]
    flags: dict[str, str] = field(default_factory=dict)
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Target:
    """A drawn sample of a target dataset, in seeded random order.

    Attributes:
        images: the sample's images, uint8 RGB on access.
        labels: class codes [n_samples]; 0/1 [n_samples, n_labels] for a multi-label target; floats [n_samples] for a
            regression target.
        class_names: one per code or label column, those that occur in the sample.
        task: "single_label", "multi_label" or "regression".
        positions: each image's row in the split, to name a corrupt one.
        key: sha256 of the encoded images and labels in order: two samples of one key give equal arrays.
        provenance: what was drawn from where, for the row of results; "account" says what the dataset holds.
        flags: flags that hold for every candidate on this target, with their details.
        files: each image's file and folder, "" where the dataset does not say, to name a corrupt one.
        group_names: each image's group as the dataset names it; empty without a group column. They may name patients: only
            `groups` and counts leave the process.
        hashes: perceptual hashes uint64 [n_samples, duplicates.WORDS], once the images have been decoded; else None.
        account_here: the account with names of files, for who runs this; "" where it has none.
        notes_here: what else names files, one sentence each.
    """

    images: Images
    labels: np.ndarray
    class_names: list[str]
    task: str
    positions: list[int]
    key: str
    provenance: dict[str, Any]
    flags: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    group_names: list[str] = field(default_factory=list, repr=False)
    hashes: np.ndarray | None = field(default=None, repr=False)
    account_here: str = field(default="", repr=False)
    notes_here: tuple[str, ...] = field(default=(), repr=False)

    @property
    def groups(self) -> np.ndarray | None:
        """Codes int64 [n_samples] of images that belong together, in order of appearance; None without a group column."""
        return group_codes(self.group_names) if self.group_names else None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def origins(self) -> Origins:
        """The row and file of every image."""
        return Origins(self.positions, self.files)

    def named(self, position: int) -> str:
        """An image by row, and by folder and file where it is one, for who has to repair it; not for what is kept."""
        file = self.files[position] if self.files else ""
        return f"row {self.positions[position]}{f' {printable(file)}' if file else ''}"

    @property
    def account(self) -> str:
        """What the dataset holds, what is used and what is left out, in one line; "" for a target made by hand.

        It may name files, and so is told to who runs this; what is kept and published is in `provenance`.
        """
        return self.account_here or str(self.provenance.get("account", {}).get("line", ""))


def load_target(
    dataset: "str | Path | datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict",
    options: SampleOptions | None = None,
    *,
    token: str | None = None,
    **by_name: Any,
) -> Target:
    """Draw a sample of a labelled image dataset. Images are read, not yet decoded: see `check_images`.

    Args:
        dataset: a Hub id, a local folder (Hub layout, class folders or `save_to_disk`), or a dataset loaded by `datasets`.
        options: which images and labels, and how; see `SampleOptions`.
        token: Hub token; default the one of `hf auth login`.
        **by_name: options of `SampleOptions` by name in place of `options`; `sample` is short for `sample_size`.

    Raises:
        UsageError: an unknown dataset, split or column; labels that are missing or may mean two things; a class that would
            vanish; a window that cannot act; one class or too few images.
        TargetError: no network or no access, a damaged dataset, or an image outside it; see `image_bytes`.
    """
    options = _options(options, by_name)
    opened = open_dataset(dataset, options, token)
    features = opened.table.features
    if features is None:
        raise UsageError(
            f"`streaming` must be off for {opened.where['id']}: the stream does not declare its columns. Load it whole."
        )
    image_column = find_image_column(features, options.image_column)
    label_column = find_label_column(features, options.label_column, image_column)
    if options.group_column is not None:
        check_group_column(features, options.group_column, (image_column, label_column))
    reader = LabelReader(label_column, features[label_column], task=options.task, separator=options.label_separator)
    try:
        with without_log(*LOGGERS):  # of a stream
            drawn = draw(opened.table, image_column, reader, options, opened.place)
        drawn = _with_path_notes(drawn, opened, reader)
        if options.group_column is None and (note := group_note(opened.table, (image_column, label_column))):
            drawn = replace(drawn, notes=(*drawn.notes, note))
        medical = Medical()
        encoded = [medical.convert(image_bytes(record, opened.place, token), options) for record in drawn.records]
    except TransferabilityError:
        raise
    except Exception as error:
        raise dataset_error(error, opened.where["id"], opened.files) from error
    task, codes, class_names = reader.encode(drawn.labels)
    counts = reader.counts(drawn.all_labels or [])
    absent = set(counts) - set(class_names) if task == "single_label" else set()
    account = _account(opened, counts, drawn, reader, options)
    images = Images(encoded, options.window, frame=options.frame, max_pixels=options.max_pixels)
    flags = header_flags(images, options, medical) | ({"class_not_drawn": ", ".join(sorted(absent))} if absent else {})
    provenance = {
        **opened.where,
        "image_column": image_column,
        "label_column": label_column,
        "group_column": options.group_column,
        "task": task,
        "images_available": drawn.available,
        "draw": options.draw,
        "seed": options.seed,
        "window": list(options.window) if options.window else None,
        "frame": options.frame,
        "slice": options.slice,
        "axis": options.axis,
        "keep_masks": options.keep_masks,
        "account": account.to_dict(),
    }
    target = _target(images, codes, class_names, task, drawn.positions, provenance)
    files = [file_and_folder((record or {}).get("path") or "") for record in drawn.records]
    here = account.line(examples=True)
    return _with_groups(replace(target, files=files, flags=target.flags | flags, account_here=here), drawn.groups)


def _with_path_notes(drawn: Drawn, opened: Opened, reader: LabelReader) -> Drawn:
    """What was drawn, with notes on paths of one split that say more than the labels; see `path_notes`."""
    if "+" in str(opened.where["split"]) or not any(drawn.paths):
        return drawn
    files = opened.place is not None and any(record and record.get("bytes") is None for record in drawn.records)
    labels = drawn.labels if drawn.all_labels is None else drawn.all_labels
    if reader.names and reader.has_classes:
        labels = [reader.names[label] for label in labels]
    class_folders = opened.account.class_level is not None
    for_testing = split_kind(str(opened.where["split"]).partition("[")[0]) == "test"
    notes, examples = path_notes(drawn.paths, labels, class_folders=class_folders, files=files, for_testing=for_testing)
    return replace(drawn, notes=(*drawn.notes, *notes), examples={**drawn.examples, **examples})


def _with_groups(target: Target, names: list[str]) -> Target:
    """The target with each image's group, and their number in its provenance.

    Raises:
        UsageError: all images of the sample are of one group.
    """
    if not names:
        return target
    sizes = Counter(names)
    if len(sizes) < SMALLEST:
        raise UsageError(
            "`group_column` must have at least 2 groups in the sample; got one. Take more images, or leave it out."
        )
    counts = {"groups": len(sizes), "largest_group": max(sizes.values())}
    return replace(target, group_names=names, provenance={**target.provenance, **counts})


def groups_of_split(dataset: Any, options: SampleOptions, column: str, token: str | None = None) -> list[str]:
    """The group of every image of a split, without reading the images; see `group_names` for what may be done with them.

    Raises:
        UsageError, TargetError: as `load_target`.
    """
    table = open_dataset(dataset, options, token).table
    check_group_column(table.features, column, ())
    return group_names(column, table.select_columns([column]).with_format(None)[column][:], table.features[column])


def _options(options: SampleOptions | None, by_name: dict[str, Any]) -> SampleOptions:
    """The options, given as such or by name."""
    if "sample" in by_name:
        by_name = {**{name: value for name, value in by_name.items() if name != "sample"}, "sample_size": by_name["sample"]}
    for name in by_name:
        if name not in SampleOptions.names():
            raise UnknownArgument(unknown_name("option", name, SampleOptions.names()))
    return replace(options, **by_name) if options else SampleOptions(**by_name)


def _account(opened: Opened, counts: dict[str, int], drawn: Drawn, reader: LabelReader, options: SampleOptions) -> Account:
    """The account of the dataset with the classes of the used split."""
    notes = [*reader.notes, *drawn.notes]
    if names := alike(counts or reader.counts(drawn.labels)):
        notes.append(f"Classes {names} differ only in case or white space; correct the labels if they are one class.")
    if names := copies(counts):
        notes.append(f"Classes may be copies of others: {names}; move them away if they are.")
    if opened.account.class_level and options.class_level is None and (names := may_be_parts(counts)):
        notes.append(
            f"Folders taken as classes may hold images that are not for training: {names}; move these away if they do."
        )
    if names := missing_names(counts):
        notes.append(f"The class {names} may stand for missing labels; remove its images if it does.")
    if options.sample_size is None and len(counts) * IMAGES_PER_CLASS > LARGEST_DEFAULT < drawn.available:
        notes.append(f"The default sample is {LARGEST_DEFAULT:,} images at most; pass --sample-size for another.")
    account = opened.account.used(str(opened.where["split"]), counts, *notes)
    if len(account.rows) == 1 and -1 in account.rows.values():  # a stream that has been read to its end
        account = replace(account, rows=dict.fromkeys(account.rows, drawn.available))
    left_out, examples = {**account.left_out, **drawn.left_out}, {**account.examples, **drawn.examples}
    return replace(account, left_out=left_out, examples=examples)


def check_images(
    target: Target,
    *,
    skip_corrupt: bool = False,
    report: ImageReport | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Target, ImageReport]:
    """Decode every image once; the target without corrupt ones, and the report (pass it the next time to save the decoding).

    Raises:
        TargetError: corrupt images, named by row, unless `skip_corrupt`.
        UsageError: a frame or slice that files lack, 16-bit values that need a window, or too few images or classes left.
    """
    report = report or target.images.inspect(progress)
    frames.refuse_absent(report.corrupt, len(target), target.named, skip=skip_corrupt)
    if report.corrupt and not skip_corrupt:
        rows = [f"{target.named(i)} ({reason})" for i, reason in list(report.corrupt.items())[:5]]
        more = f" and {len(report.corrupt) - 5} more" if len(report.corrupt) > 5 else ""
        raise TargetError(
            f"{len(report.corrupt)} of {len(target)} images cannot be decoded: {', '.join(rows)}{more}; rows count from 0. "
            "Replace or remove them, or pass --skip-corrupt to leave them out."
        )
    flags = {}
    if deep := {mode: n for mode, n in report.modes.items() if mode == "F" or mode.startswith("I") or mode.endswith(";16")}:
        low, high = target.images.window or (None, None)
        scale = f"{low:g}..{high:g}" if low is not None else "their own range" if set(deep) == {"F"} else "0..65535"
        if low is None and any(read_header(file).maxval for file in target.images.encoded):
            scale += " (PGM, PPM and JPEG 2000: 0 to their largest value)"
        flags["windowed"] = f"{sum(deep.values())} images of mode {', '.join(deep)} by {scale}"
        if report.flat == sum(deep.values()) and target.images.window is not None:
            raise one_grey(target.images.window, report.flat)
        if report.flat:
            flags["windowed"] += f", {report.flat} of them one grey: choose --window LOW,HIGH"
        elif report.brightest is not None and report.brightest < _DARK:
            flags["windowed"] += f", which leaves them dark (at most {report.brightest} of 255): choose --window LOW,HIGH"
    if report.corrupt:
        flags["corrupt_skipped"] = _skipped(target, list(report.corrupt))
    readable = [i for i in range(len(target)) if i not in report.corrupt]
    codes, class_names = target.labels[readable], target.class_names
    if target.task == "single_label":
        present, codes = np.unique(codes, return_inverse=True)
        class_names = [class_names[i] for i in present]
    provenance = {**target.provenance, "modes": report.modes, "corrupt_skipped": len(report.corrupt)}
    positions = [target.positions[i] for i in readable]
    checked = _target(target.images.subset(readable), codes, class_names, target.task, positions, provenance)
    if "windowed" in flags and "windowed" in target.flags:
        flags["windowed"] = f"{target.flags['windowed']}; {flags['windowed']}"
    kept_flags = {name: target.flags[name] for name in _FROM_LOADING if name in target.flags}
    hashes = None if report.hashes is None else report.hash_array()[readable]
    checked = replace(
        checked,
        flags={**checked.flags, **kept_flags, **flags},
        files=[target.files[i] for i in readable],
        hashes=hashes,
        account_here=target.account_here,
    )
    return _with_groups(
        _with_duplicates(checked), [target.group_names[i] for i in readable] if target.group_names else []
    ), report


def _skipped(target: Target, corrupt: list[int]) -> str:
    """How many images are left out, and of which classes.

    Raises:
        TargetError: a class of which none is left.
    """
    text = f"{len(corrupt)} of {len(target)} images"
    if target.task != "single_label":
        return text
    names = [printable(str(name)) for name in target.class_names]
    drawn = np.bincount(target.labels, minlength=len(names))
    skipped = np.bincount(target.labels[corrupt], minlength=len(names))
    lost = np.flatnonzero((skipped > 0) & (skipped == drawn))
    if len(lost):
        others = f" (and {len(lost) - 1} more classes)" if len(lost) > 1 else ""
        raise TargetError(
            f"class {names[lost[0]]} would be lost: none of its {drawn[lost[0]]} images in the sample can be decoded{others}. "
            "Repair them, or move the class away."
        )
    named = [f"{names[code]} {skipped[code]}" for code in np.flatnonzero(skipped)]
    more = f" and {len(named) - 5} more classes" if len(named) > 5 else ""
    return f"{text} ({', '.join(named[:5])}{more})"


def _with_duplicates(target: Target) -> Target:
    """The target with the number of near-duplicate pairs in its provenance, and flags of those with different labels and of
    images that are nearly of one grey level, which are not compared."""
    if target.hashes is None:
        return target
    found = duplicates(target.hashes, target.labels)
    flags, notes = dict(target.flags), target.notes_here
    if found.different:
        by_row, by_file = (show(found.examples, target.origins, target.origins) for show in (examples_by_row, examples_by_file))
        flags["duplicate_labels"] = f"{found.different} pair{'s' if found.different > 1 else ''}: {by_row}"
        if by_file != by_row:
            notes = (*notes, f"Equal images with different labels: {by_file}; correct or remove one of each pair.")
    if found.without_hash:
        flags["near_constant"] = f"{found.without_hash} of {len(target)} images"
    counts = {"near_duplicates": found.pairs, "near_duplicates_of_other_labels": found.different}
    provenance = {**target.provenance, **counts, "near_constant": found.without_hash}
    return replace(target, flags=flags, notes_here=notes, provenance=provenance)


def _target(
    images: Images, codes: np.ndarray, class_names: list[str], task: str, positions: list[int], provenance: dict
) -> Target:
    if len(images) < SMALLEST_SAMPLE:
        raise UsageError(
            f"the target must have at least {SMALLEST_SAMPLE} images; got {len(images)}. Take a larger sample or split."
        )
    if task == "single_label" and len(class_names) < 2:
        raise UsageError(
            f"the target must have at least 2 classes; got only {class_names}. Choose another label column, split or sample."
        )
    digest = hashlib.sha256()
    for encoded in images.encoded:
        digest.update(hashlib.sha256(encoded).digest())
    digest.update(np.ascontiguousarray(codes, dtype="<f8" if task == "regression" else "<i8").tobytes())
    digest.update(repr((codes.shape, images.window, images.frame, images.max_pixels, DECODING_VERSION)).encode())
    key = digest.hexdigest()
    provenance = {**provenance, "images": len(images), "classes": list(class_names), "fingerprint": key}
    flags = class_flags(codes, class_names) if task == "single_label" else {}
    return Target(images, codes, class_names, task, positions, key, provenance, flags)


def class_flags(codes: np.ndarray, class_names: Sequence[str]) -> dict[str, str]:
    """Flags of classes with few images in a sample."""
    counts = np.bincount(codes, minlength=len(class_names))
    if counts.min() == 1:
        return {"single_image_class": ", ".join(class_names[i] for i in np.flatnonzero(counts == 1)[:5])}
    if counts.min() < 10:
        return {"few_images_per_class": f"{class_names[int(counts.argmin())]}: {counts.min()}"}
    return {}
