"""The target dataset: a Hub id, a local folder or a `datasets.Dataset` becomes a sample of encoded images with class codes."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from hf_transferability import hub
from hf_transferability.data.image_files import image_bytes, place_of
from hf_transferability.data.images import ImageReport, Images, Window
from hf_transferability.data.labels import LabelReader, find_label_column
from hf_transferability.data.sampling import Reservoir, draw_sample, sample_size
from hf_transferability.errors import TargetError, TransferabilityError, UsageError, unknown_name

SMALLEST_SAMPLE = 12  # below this no gradient batch of floor(n / 6) images can hold two of one class
_DARK = 128  # 15-bit images and less: scans of 12 bits reach 16 of 255 when 65535 is white


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
        provenance: what was drawn from where, for the row of results.
        flags: flags that hold for every candidate on this target, with their details.
        files: each image's file and folder, "" where the dataset does not say, to name a corrupt one.
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

    def __len__(self) -> int:
        return len(self.images)


def load_target(
    dataset: "str | Path | datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict",
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    sample: int | str | None = None,
    draw: str = "random",
    seed: int = 0,
    streaming: bool = False,
    window: Window | None = None,
    token: str | None = None,
) -> Target:
    """Draw a sample of a labelled image dataset. Images are read, not yet decoded: see `check_images`.

    Args:
        dataset: a Hub id, a local folder (Hub layout, imagefolder or `save_to_disk`), or a dataset loaded by `datasets`.
        config: the dataset's configuration, where it has several.
        split: any split expression of `datasets`; default "train", or the only split unless that is the test split.
        revision: branch, tag or commit of a Hub dataset; resolved to a commit first.
        image_column: default the only column of type Image.
        label_column: default the only ClassLabel column, else a column called label, labels, target or class.
        sample: number of images, "all", or None for 100 x classes (1,000 for a regression target).
        draw: "random" or "stratified".
        seed: of the draw and the order.
        streaming: sample a dataset larger than the disk by a seeded reservoir.
        window: (low, high) for images of more than 8 bits.
        token: Hub token; default the one of `hf auth login`.

    Raises:
        UsageError: an unknown dataset, split or column; labels that are missing, continuous or of one class; too few images.
        TargetError: no network or no access, or an image outside the dataset; see `image_bytes`.
    """
    if window is not None and not window[0] < window[1]:
        raise UsageError(f"`window` must be (low, high) with low below high; got {window!r}. Exchange or part them.")
    if isinstance(dataset, str | Path):
        table, where = _open(str(dataset), config, split, revision, streaming, token)
        place = place_of(where["id"], where["revision"])
    else:
        table, chosen_split = _loaded(dataset, split)
        where = {"id": "(in memory)", "revision": None, "config": None, "split": chosen_split}
        place = None
    streaming = isinstance(table, datasets.IterableDataset)
    features = table.features
    if features is None:
        raise UsageError(f"`streaming` must be off for {where['id']}: the stream does not declare its columns. Load it whole.")
    image_column = _image_column(features, image_column)
    label_column = find_label_column(features, label_column, image_column)
    reader = LabelReader(label_column, features[label_column])
    if image_column not in _image_columns(features) or features[image_column].decode:
        table = table.cast_column(image_column, datasets.Image(decode=False))
    table = table.select_columns([image_column, label_column]).with_format(None)
    if draw == "stratified" and (reader.multi or reader.numbers):
        kind = "a multi-label target; {} holds lists" if reader.multi else "a regression target; {} holds numbers"
        raise UsageError(f"`draw` must be random for {kind.format(label_column)}. Leave it out.")

    try:
        if streaming:
            records, labels, positions, available = _draw_from_stream(table, image_column, reader, sample, draw, seed)
        else:
            raw = table[label_column][:]
            reader.refuse_missing(raw, range(len(raw)))
            chosen = draw_sample(reader.group_codes(raw), sample, draw, seed)
            records = table.select(chosen)[image_column][:] if len(chosen) else []
            labels, positions, available = [raw[i] for i in chosen], chosen.tolist(), len(raw)
        encoded = [image_bytes(record, place, token) for record in records]
    except TransferabilityError:
        raise
    except Exception as error:
        raise _dataset_error(error, where["id"]) from error
    task, codes, class_names = reader.encode(labels)
    # Of a stream, nobody knows what else there is.
    absent = set() if streaming or task != "single_label" else set(reader.encode(raw)[2]) - set(class_names)
    provenance = {
        **where,
        "image_column": image_column,
        "label_column": label_column,
        "task": task,
        "images_available": available,
        "draw": draw,
        "seed": seed,
        "window": list(window) if window else None,
    }
    target = _target(Images(encoded, window), codes, class_names, task, positions, provenance)
    flags = {"class_not_drawn": ", ".join(sorted(absent))} if absent else {}
    files = ["/".join(Path((record or {}).get("path") or "").parts[-2:]) for record in records]
    return replace(target, files=files, flags=target.flags | flags)


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
        UsageError: 16-bit values that need a window, or too few images or classes left.
    """
    report = report or target.images.inspect(progress)
    if report.corrupt and not skip_corrupt:
        named = [" ".join(filter(None, (f"row {row}", file))) for row, file in zip(target.positions, target.files, strict=True)]
        rows = [f"{named[i]} ({reason})" for i, reason in list(report.corrupt.items())[:5]]
        more = f" and {len(report.corrupt) - 5} more" if len(report.corrupt) > 5 else ""
        raise TargetError(
            f"{len(report.corrupt)} of {len(target)} images cannot be decoded: {', '.join(rows)}{more}. "
            "Mend or remove them, or pass --skip-corrupt to leave them out."
        )
    flags = {}
    if deep := {mode: n for mode, n in report.modes.items() if mode == "F" or mode.startswith("I")}:
        low, high = target.images.window or (None, None)
        scale = f"{low:g}..{high:g}" if low is not None else "their own range" if set(deep) == {"F"} else "0..65535"
        flags["windowed"] = f"{sum(deep.values())} images of mode {', '.join(deep)} by {scale}"
        if report.brightest is not None and report.brightest < _DARK:
            flags["windowed"] += f", which leaves them dark (at most {report.brightest} of 255): choose --window LOW,HIGH"
    if report.corrupt:
        flags["corrupt_skipped"] = f"{len(report.corrupt)} of {len(target)} images"
    kept = [i for i in range(len(target)) if i not in report.corrupt]
    codes, class_names = target.labels[kept], target.class_names
    if target.task == "single_label":
        present, codes = np.unique(codes, return_inverse=True)
        class_names = [class_names[i] for i in present]
    provenance = {**target.provenance, "modes": report.modes, "corrupt_skipped": len(report.corrupt)}
    positions = [target.positions[i] for i in kept]
    checked = _target(target.images.subset(kept), codes, class_names, target.task, positions, provenance)
    flags |= {name: target.flags[name] for name in ("class_not_drawn",) if name in target.flags}
    return replace(checked, flags={**checked.flags, **flags}, files=[target.files[i] for i in kept]), report


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
    digest.update(repr((codes.shape, images.window)).encode())
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


def split_names(dataset: Any, *, config: str | None = None, revision: str | None = None, token: str | None = None) -> list[str]:
    """Names of the splits of a dataset: a Hub id, a local folder or a loaded `datasets.DatasetDict`.

    Raises:
        UsageError: an unknown dataset, or a single split in memory.
        TargetError: no network or no access.
    """
    if isinstance(dataset, dict):
        return [str(name) for name in dataset]
    if not isinstance(dataset, str | Path):
        raise UsageError(f"`dataset` must have named splits; got {type(dataset).__name__}. Pass a DatasetDict.")
    folder = Path(dataset).expanduser()
    if (folder / "dataset_dict.json").exists():
        return [str(name) for name in datasets.load_from_disk(str(folder))]
    builder, _ = _builder(str(dataset), config, revision, token)
    return _splits(builder)


def _splits(builder: Any) -> list[str]:
    return [str(name) for name in list(builder.info.splits or {}) or list(builder.config.data_files or {})]


def _builder(name: str, config: str | None, revision: str | None, token: str | None) -> tuple[Any, str | None]:
    """The builder of a Hub dataset or a local folder, and the Hub's commit."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        path, commit = str(folder), None
    elif folder.is_absolute() or name.startswith((".", "~")):
        raise UsageError(f"`dataset` must be an existing folder or a Hub id; there is no folder {name}. Check the path.")
    else:
        path = name
        try:
            commit = hub.resolve_dataset(name, revision, token)
        except Exception as error:
            raise _named(error)(hub.explain(error, "dataset", name)) from error
    try:
        builder = hub.call(datasets.load_dataset_builder, path, name=config, revision=commit, token=token)
        if commit is not None and builder.hash != commit:  # what `datasets` does when the Hub fails, whatever was asked for
            raise ConnectionError(f"only commit {builder.hash} of it is cached")
    except Exception as error:
        raise _dataset_error(error, name) from error
    return builder, commit


def _open(
    name: str, config: str | None, split: str | None, revision: str | None, streaming: bool, token: str | None
) -> tuple[Any, dict[str, Any]]:
    folder = Path(name).expanduser()
    if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
        saved = datasets.load_from_disk(str(folder))
        if isinstance(saved, datasets.Dataset):
            saved = datasets.DatasetDict({str(saved.split or "train"): saved})
        table, chosen = _loaded(saved, split)
        return table, {"id": name, "revision": None, "config": None, "split": chosen}
    builder, commit = _builder(name, config, revision, token)
    try:
        chosen = _choose_split(_splits(builder), split)
        if streaming:
            table = builder.as_streaming_dataset(split=chosen)
        else:
            hub.call(builder.download_and_prepare)
            table = builder.as_dataset(split=chosen)
    except UsageError:
        raise
    except Exception as error:
        raise _dataset_error(error, name) from error
    return table, {"id": name, "revision": commit, "config": builder.config.name, "split": chosen}


def _loaded(dataset: Any, split: str | None) -> tuple[Any, str]:
    """The chosen split of a loaded dataset, and its name."""
    if not isinstance(dataset, datasets.Dataset | datasets.IterableDataset | dict):
        raise UsageError(
            f"`dataset` must be a Hub id, a folder or a dataset of `datasets`; got {type(dataset).__name__}. Convert it."
        )
    if not isinstance(dataset, dict):
        if split is not None:
            raise UsageError(
                f"`split` must be left out for a single loaded dataset; got {split!r}. Pass the split's own dataset."
            )
        return dataset, str(dataset.split or "")
    chosen = _choose_split([str(name) for name in dataset], split)
    if chosen in dataset:
        return dataset[chosen], chosen
    try:
        parts = datasets.ReadInstruction.from_spec(chosen).to_absolute({name: len(part) for name, part in dataset.items()})
    except (ValueError, AssertionError, TypeError) as error:
        raise UsageError(
            f"`split` must be a split or an expression such as train[:50%] of {', '.join(dataset)}; got {chosen!r} ({error}). "
            "Correct it."
        ) from error
    pieces = []
    for part in parts:
        rows = range(len(dataset[part.splitname]))[part.from_ : part.to]
        pieces.append(dataset[part.splitname].select(rows))
    return datasets.concatenate_datasets(pieces), chosen


def _dataset_error(error: Exception, name: str) -> Exception:
    damaged = isinstance(error, datasets.exceptions.DatasetGenerationError) or type(error).__module__.startswith("pyarrow")
    if isinstance(error, datasets.exceptions.DatasetGenerationError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the outer text says nothing
    text = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if hub.is_connection_error(error):
        return TargetError(hub.explain(error, "dataset", name))
    if "Dataset scripts are no longer supported" in text or "trust_remote_code" in text:
        return UsageError(
            f"dataset {name} needs a loading script, which `datasets` no longer runs. "
            "Choose a copy in parquet or imagefolder layout."
        )
    if isinstance(error, ValueError | FileNotFoundError) and not damaged:
        # datasets' own texts name the configurations and files that exist.
        return UsageError(f"dataset {name}: {' '.join(str(error).split()).rstrip('.')}. Check --config, --split and the files.")
    return TargetError(f"dataset {name} cannot be loaded: {type(error).__name__}: {text}. Check that its files are whole.")


def _named(error: Exception) -> type[TargetError] | type[UsageError]:
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    wrong = isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | HFValidationError)
    return UsageError if wrong and not isinstance(error, GatedRepoError) else TargetError


def _choose_split(splits: Sequence[str], asked: str | None) -> str:
    if asked is not None:
        wanted = [re.sub(r"\[.*\]$", "", part.strip()) for part in asked.split("+")]
        if splits and (unknown := [part for part in wanted if part not in splits]):
            raise UsageError(unknown_name("split", unknown[0], splits))
        return asked
    if "train" in splits:
        return "train"
    if len(splits) == 1 and "test" not in splits[0].lower():
        return splits[0]
    raise UsageError(
        f"`split` must be named: there is no train split, only {', '.join(splits) or 'none'}. "
        "Pass --split; the test split is never taken unasked, because scores on it would leak into the choice."
    )


def _image_columns(features: datasets.Features) -> list[str]:
    return [name for name, feature in features.items() if isinstance(feature, datasets.Image)]


def _image_column(features: datasets.Features, asked: str | None) -> str:
    found = _image_columns(features)
    if asked is not None:
        if asked not in features:
            raise UsageError(unknown_name("image_column", asked, features))
        feature = features[asked]
        kind = getattr(feature, "dtype", type(feature).__name__)
        stored = isinstance(feature, dict) and set(feature) == {"bytes", "path"}
        if not (asked in found or stored or re.fullmatch(r"(large_)?(string|binary)", kind)):
            raise UsageError(
                f"`image_column` must hold one image, or the path of one, in each row; {asked} holds {kind}. "
                "Choose another column."
            )
        return asked
    if len(found) != 1:
        what = f"several image columns ({', '.join(found)})" if found else f"no image column among {', '.join(features)}"
        raise UsageError(f"`image_column` must be named: there is {what}. Pass --image-column.")
    return found[0]


def _draw_from_stream(
    table: Any, image_column: str, reader: LabelReader, sample: int | str | None, draw: str, seed: int
) -> tuple[list, list, list[int], int]:
    if draw != "random" or sample == "all":
        raise UsageError("`streaming` must go with a random draw of a limited size: the whole is never in memory.")
    if sample is None and reader.names is None:
        raise UsageError("`sample_size` must be given with streaming when the labels do not declare their classes.")
    size = sample_size(sample, len(reader.names or ()))
    reservoir = Reservoir(int(size or 0), seed)
    reservoir.extend((index, row[image_column], row[reader.column]) for index, row in enumerate(table))
    drawn = reservoir.shuffled()
    labels = [label for _, _, label in drawn]
    reader.refuse_missing(labels, [row for row, _, _ in drawn])
    if sample is None and not reader.multi:
        # Declared classes may not occur; the sample is 100 x those that do, as without streaming.
        drawn = drawn[: sample_size(None, len(set(labels)))]
    positions, records, labels = (list(column) for column in zip(*drawn, strict=True)) if drawn else ([], [], [])
    return records, labels, positions, reservoir.seen
