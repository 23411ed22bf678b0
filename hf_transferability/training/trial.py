"""Before a grid starts: can every checkpoint be trained, at its own size or at the one that was asked for?"""

from collections.abc import Mapping
from pathlib import Path

import torch

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.errors import CheckpointError, ImageSizeError, UsageError, first_line
from hf_transferability.names import without_folders
from hf_transferability.training.finetuning import Classifier
from hf_transferability.training.one_run import load_checkpoint
from hf_transferability.training.seeding import seeded

_IMAGES = 2  # batch normalisation needs more than one


def check_trainable(checkpoints: Mapping[str, str | Path], options: LoadOptions, device: torch.device) -> None:
    """Try one step of training with every checkpoint. One that cannot be loaded at all is left to its runs, which say why.

    Args:
        checkpoints: name in the rows -> Hub id or folder.
        options: how they are loaded, with the size of the images.
        device: where they are trained.

    Raises:
        UsageError: networks that do not take the images or cannot be trained, all of them with the reason.
    """
    reasons = []
    for source, name in checkpoints.items():
        checkpoint = load_checkpoint(str(name), options)
        if isinstance(checkpoint, ImageSizeError):
            reasons.append(without_folders(str(checkpoint).rpartition(". ")[0], name))
        elif not isinstance(checkpoint, CheckpointError) and (reason := _failure(checkpoint, device)):
            reasons.append(without_folders(f"{source} cannot be trained: {reason}", name))
    if reasons and options.image_size is not None:
        raise UsageError(
            f"`image_size` must suit every checkpoint; {options.image_size} does not: {'; '.join(reasons)}. "
            "Leave out --image-size, so that each takes its own size, or leave out these checkpoints."
        )
    if reasons:
        raise UsageError(f"`checkpoints` must be networks that can be trained; {'; '.join(reasons)}. Leave them out.")


def _failure(checkpoint: Checkpoint, device: torch.device) -> str | None:
    """Why a step of training fails; None where it works. The checkpoint is spent."""
    try:
        with seeded(0):
            model = Classifier(checkpoint, 2, dropout=0.0).to(device).to(memory_format=torch.channels_last).train()
            images = torch.randint(256, (_IMAGES, 3, *checkpoint.image_size), dtype=torch.uint8)
            model(images.to(device)).sum().backward()
    except Exception as error:  # each family of networks raises its own types
        return first_line(error)
    return None
