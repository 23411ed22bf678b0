"""One fine-tuning run of a grid as one row of the table `runs`; whatever goes wrong in the run is in the row."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from hf_transferability import provenance
from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.errors import CheckpointError, TransferabilityError, first_line
from hf_transferability.names import plain_name, without_folders
from hf_transferability.ranking.candidates import trained_on
from hf_transferability.training.finetuning import fine_tune, normalisation_name
from hf_transferability.training.samples import Draw
from hf_transferability.training.settings import DTYPE, OWN, Protocol, Setting


@dataclass(frozen=True)
class RunContext:
    """What is the same for every run of a grid.

    Attributes:
        dataset: the target's Hub id or folder.
        draw: the target's images, of any size.
        protocol: how every run is made.
        columns: columns of `runs` with the same value in every row.
        device: where the networks are trained.
    """

    dataset: str
    draw: Draw
    protocol: Protocol
    columns: Mapping[str, Any]
    device: torch.device

    def protocol_document(self, settings: list[Setting]) -> dict[str, Any]:
        """Everything that must be equal for two calls to add runs to one folder; the content of protocol.json."""
        document = {"settings": settings, **asdict(self.protocol), "images": self.draw.fingerprint}
        return {**document, "image_size": self.protocol.image_size or OWN, "normalisation": OWN, "dtype": DTYPE}


def load_checkpoint(name: str, options: LoadOptions) -> Checkpoint | CheckpointError:
    """A network with its revision among its facts, or the error that all of its runs report.

    Args:
        name: Hub id or local folder.
        options: how it is resolved and loaded.
    """
    try:
        source = resolve(name, options)
        checkpoint = load(source)
    except CheckpointError as error:
        return error
    checkpoint.facts["revision"] = source.revision
    return checkpoint


def run_row(
    context: RunContext,
    checkpoint: Checkpoint | CheckpointError,
    setting: Setting,
    *,
    source: str,
    name: str | Path,
    seed: int,
    number: int,
    progress: Callable[[int], None] = lambda epoch: None,
) -> dict[str, Any]:
    """Fine-tune a checkpoint and return the row of the run.

    Args:
        context: what is the same for every run.
        checkpoint: the loaded network, or the error from loading it.
        setting: hyperparameters.
        source: name of the checkpoint in the row.
        name: Hub id or folder of the checkpoint.
        seed: seed of the head, the order of the images, dropout and augmentation.
        number: number of the run among those of its source.
        progress: called with the number of each finished epoch.

    Returns:
        A row of `runs`. Its status is "ok", "diverged" or, with the reason as its note, "failed".

    Raises:
        TransferabilityError: the data cannot be read, which no other run could do either.
    """
    notes = list(context.draw.notes)
    row = {
        **context.columns,
        "source": source,
        "run": number,
        "seed": seed,
        **setting._asdict(),
        "checkpoint": plain_name(name),
        "dataset_fingerprint": context.draw.fingerprint,
        "sample_size": len(context.draw.train),
        "sample_seed": context.protocol.sample_seed,
        "date": provenance.now(),
        "preprocessing": _preprocessing(context.protocol, checkpoint),
        "dtype": DTYPE,
        "validation_images": len(context.draw.validation),
        "test_images": len(context.draw.test),
    }
    if isinstance(checkpoint, CheckpointError):
        return row | _failure(str(checkpoint), name)
    row["checkpoint_revision"] = checkpoint.facts["revision"]
    row["image_size"] = _size_name(checkpoint.image_size)
    row["normalisation"] = normalisation_name(checkpoint)
    if leak := trained_on(checkpoint.facts["training_datasets"], context.dataset):
        notes.append(f"{source} was trained on {leak}, as its model card says")
    row["note"] = "; ".join(notes) or None
    return row | _outcome(context, checkpoint, setting, name, seed, progress)


def _preprocessing(protocol: Protocol, checkpoint: Checkpoint | CheckpointError) -> str:
    """From a file to the network's input, in a few words."""
    size = "own size" if isinstance(checkpoint, CheckpointError) else f"{_size_name(checkpoint.image_size)} px"
    return f"{size}, {'random views' if protocol.augment else 'no augmentation'}, dropout {protocol.dropout:g}"


def _size_name(size: tuple[int, int]) -> str:
    """Height and width, or the side of a square, in pixels."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _outcome(
    context: RunContext,
    checkpoint: Checkpoint,
    setting: Setting,
    name: str | Path,
    seed: int,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """The figures of a run, or why it failed."""
    try:
        draw = context.draw.at(checkpoint.image_size)
        figures = fine_tune(
            checkpoint, draw, setting, protocol=context.protocol, seed=seed, device=context.device, progress=progress
        )
        json.dumps(figures, allow_nan=False)  # a figure that cannot be written fails this run, not the grid
        return figures
    except TransferabilityError:
        raise
    except Exception as error:  # out of memory, or a network that cannot be trained at this size
        kind, message = type(error).__name__, first_line(error)
        return _failure(kind if message == kind else f"{kind}: {message}", name)


def _failure(reason: str, name: str | Path) -> dict[str, Any]:
    return {"status": "failed", "note": without_folders(reason, name)}
