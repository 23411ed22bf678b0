"""How long a run of fine-tuning will take, from one measured step, before it is started."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.errors import CheckpointError
from hf_transferability.training.augmentation import Augmentation
from hf_transferability.training.finetuning import Classifier
from hf_transferability.training.seeding import seeded
from hf_transferability.training.settings import Protocol


@dataclass(frozen=True)
class Step:
    """What one batch costs.

    Attributes:
        training: seconds of a step of training.
        evaluation: seconds of a batch that is only evaluated.
        batch_size: images of the batch.
    """

    training: float
    evaluation: float
    batch_size: int


@dataclass(frozen=True)
class Images:
    """How many images a run trains on, validates on after each epoch, and is tested on once."""

    train: int
    validation: int
    test: int


def measured_step(checkpoint: Checkpoint, n_classes: int, batch_size: int, device: torch.device) -> Step:
    """Train the network for two steps on noise of its own size, and time the second one.

    Args:
        checkpoint: a loaded network; do not use it afterwards, as its weights are changed.
        n_classes: outputs of the new head.
        batch_size: images of a step.
        device: where it is trained.

    Raises:
        CheckpointError: the network cannot be trained here.
    """
    try:
        with seeded(0):
            model = Classifier(checkpoint, n_classes, dropout=0.0).to(device).to(memory_format=torch.channels_last).train()
            pixels = torch.randint(256, (batch_size, 3, *checkpoint.image_size), dtype=torch.uint8)
            view = Augmentation(checkpoint.image_size)
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)

            def train() -> None:
                optimizer.zero_grad()
                model(view(pixels).to(device)).sum().backward()
                optimizer.step()

            train()  # the first step also reserves memory
            training = _seconds(train, device)
            model.eval()
            with torch.no_grad():
                evaluation = _seconds(lambda: model(pixels.to(device)), device)
    except Exception as error:  # each family of networks raises its own types
        raise CheckpointError(f"{checkpoint.name} cannot be trained: {error}. Leave it out.") from error
    return Step(training, evaluation, batch_size)


def run_seconds(step: Step, images: Images, protocol: Protocol) -> float:
    """Seconds of one run that is not stopped early.

    Example:
        >>> run_seconds(Step(1.0, 0.5, 32), Images(64, 32, 320), Protocol(epochs=10))
        30.0
    """
    epoch = math.ceil(images.train / step.batch_size) * step.training + images.validation / step.batch_size * step.evaluation
    return protocol.epochs * epoch + images.test / step.batch_size * step.evaluation


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
