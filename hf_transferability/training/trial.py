"""Before a grid starts: can every checkpoint be loaded and trained, at its own size or at the one that was asked for?"""

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
    """Load every checkpoint and try one step of training with it, so that no run waits hours for a failure seen at once.

    Args:
        checkpoints: name in the rows -> Hub id or folder.
        options: how they are loaded, with the size of the images.
        device: where they are trained.

    Raises:
        UsageError: checkpoints that cannot be loaded, do not take the images or cannot be trained, all with the reason.
    """
    sizes, others = [], []
    for source, name in checkpoints.items():
        checkpoint = load_checkpoint(str(name), options)
        if isinstance(checkpoint, ImageSizeError):
            sizes.append(without_folders(str(checkpoint).rpartition(". ")[0], name))
        elif isinstance(checkpoint, CheckpointError):
            others.append(without_folders(str(checkpoint), name).rstrip("."))
        elif reason := _failure(checkpoint, device):
            others.append(without_folders(f"{source} cannot be trained: {reason}", name))
    texts = []
    if sizes:
        texts.append(
            f"`image_size` must suit every checkpoint; {options.image_size} does not: {'; '.join(sizes)}. "
            "Leave out --image-size, so that each takes its own size, or leave out these checkpoints."
        )
    if others:
        texts.append(f"`checkpoints` must be networks that can be loaded and trained; {'; '.join(others)}. Leave them out.")
    if texts:
        raise UsageError(" ".join(texts))


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
