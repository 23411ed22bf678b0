"""Fine-tuning: a checkpoint with a new head is trained on a target sample; the best epoch by validation is tested once.

The protocol follows Juodelyte et al. 2024 (arXiv 2412.20172): dropout and a linear head, SGD, a cosine over all epochs, early
stopping on the validation AUC. transformers' Trainer is not used here, as it would share every run among all processes.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from hf_transferability.checkpoints.checkpoint import Checkpoint, Inputs
from hf_transferability.extraction.allocator import reused_memory
from hf_transferability.training.augmentation import Augmentation
from hf_transferability.training.samples import Draw, Sample
from hf_transferability.training.seeding import seeded
from hf_transferability.training.settings import Protocol, Setting

_EVALUATION_BATCH = 256  # images of up to 224 x 224 pixels; of larger ones as many as have so many pixels together
_EVALUATION_PIXELS = _EVALUATION_BATCH * 224**2


class Classifier(nn.Module):
    """A checkpoint's features, dropout and a new linear head: uint8 pixels [n, 3, height, width] -> logits [n, n_outputs]."""

    colours: torch.Tensor
    black: torch.Tensor

    def __init__(self, checkpoint: Checkpoint, n_outputs: int, dropout: float):
        super().__init__()
        self._checkpoint = checkpoint
        self.network = checkpoint.network.requires_grad_(True)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(checkpoint.facts["n_features"], n_outputs))
        colours, black = normalisation(checkpoint)
        self.register_buffer("colours", colours, persistent=False)
        self.register_buffer("black", black, persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        # Moving the last axis leaves the values in the memory layout of `channels_last`.
        inputs = (pixels.movedim(1, -1).float() @ self.colours + self.black).movedim(-1, 1)
        return self.head(self._checkpoint.forward(self._checkpoint.from_images(inputs))[0])


def fine_tune(
    checkpoint: Checkpoint,
    draw: Draw,
    setting: Setting,
    protocol: Protocol | None = None,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda epoch: None,
) -> dict[str, Any]:
    """Fine-tune all layers of a copy of the checkpoint, and test the epoch with the best validation AUC.

    Args:
        checkpoint: loaded network; it is not changed.
        draw: samples of the target, at the checkpoint's `image_size`.
        setting: hyperparameters.
        protocol: epochs, patience, dropout and augmentation; its samples and image size are those of `draw` here.
        seed: seed of the head, the order of the images, dropout and augmentation.
        device: where the network is trained.
        progress: called with the number of each finished epoch.

    Returns:
        Columns of the table `runs`: stopped_epoch, best_epoch, validation_* and test_* loss, auc and accuracy, status, seconds.
        A run with a loss or output that is not finite has the status "diverged" and no figures. An AUC is the mean over
        the classes, one versus rest, that have both positive and negative images in the split.
    """
    protocol = protocol or Protocol()
    start = time.perf_counter()
    best: dict[str, Any] = {}
    weights: dict[str, torch.Tensor] = {}
    epoch = 0
    with seeded(seed), reused_memory():
        model = Classifier(copy.deepcopy(checkpoint), len(draw.train.pool.classes), protocol.dropout)
        model = model.to(device).to(memory_format=torch.channels_last)  # a third faster than the other layout, also on CPUs
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=setting.learning_rate,
            momentum=setting.momentum,
            weight_decay=setting.weight_decay,
            nesterov=setting.momentum > 0,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, protocol.epochs)
        view = Augmentation(draw.train.pool.size) if protocol.augment else lambda pixels: pixels
        for epoch in range(1, protocol.epochs + 1):
            finite = _train_epoch(model, draw.train, view, optimizer, setting.batch_size)
            schedule.step()
            figures = _evaluate(model, draw.validation) if finite else {}
            if not (finite and np.isfinite(figures["loss"])):
                return _diverged(epoch, start)
            progress(epoch)
            if not best or (figures["auc"], -figures["loss"]) > (best["auc"], -best["loss"]):
                best = {**figures, "epoch": epoch}
                weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            elif epoch - best["epoch"] >= protocol.patience:
                break
        model.load_state_dict(weights)
        test_figures = _evaluate(model, draw.test)
    if not np.isfinite(test_figures["loss"]):
        return _diverged(epoch, start)
    return {
        "stopped_epoch": epoch,
        "best_epoch": best.pop("epoch"),
        **{f"validation_{name}": value for name, value in best.items()},
        **{f"test_{name}": value for name, value in test_figures.items()},
        "status": "ok",
        "seconds": round(time.perf_counter() - start, 2),
    }


def _diverged(epoch: int, start: float) -> dict[str, Any]:
    return {"stopped_epoch": epoch, "status": "diverged", "seconds": round(time.perf_counter() - start, 2)}


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve, as the mean over the classes that have both positive and negative images.

    Args:
        labels: class codes [n_images], or 0/1 [n_images, n_labels].
        probabilities: [n_images, n_classes or n_labels].

    Returns:
        0 to 1; 0.5 if no class has both.
    """
    truth = labels > 0 if labels.ndim == 2 else labels[:, None] == np.arange(probabilities.shape[1])
    positive = truth.sum(axis=0)
    both = (positive > 0) & (positive < len(truth))
    if not both.any():
        return 0.5
    # The Mann-Whitney statistic of all columns at once: scikit-learn's checks take as long as an epoch of a small network.
    ranks = np.where(truth, rankdata(probabilities, axis=0), 0).sum(axis=0)
    pairs = positive * (len(truth) - positive)
    return float(np.mean((ranks - positive * (positive + 1) / 2)[both] / pairs[both]))


def normalisation(checkpoint: Checkpoint) -> tuple[torch.Tensor, torch.Tensor]:
    """A checkpoint's preprocessing of colours as a linear map: its network takes 0-255 RGB [..., 3] @ colours + black.

    The map is measured on images of one colour, as processors differ: some swap the channels, some divide twice.

    Returns:
        (colours [3, 3], black [3]).
    """
    images = np.zeros((4, 64, 64, 3), np.uint8)  # black, red, green, blue
    images[[1, 2, 3], ..., [0, 1, 2]] = 255
    inputs = checkpoint.preprocess(list(images))
    if isinstance(inputs, Inputs):
        centres = inputs["pixel_values"][:, 0].reshape(len(images), -1, 3)[:, 0].float()
    else:
        centres = inputs[..., inputs.shape[-2] // 2, inputs.shape[-1] // 2].float()
    return (centres[1:] - centres[0]) / 255, centres[0]


def normalisation_name(checkpoint: Checkpoint) -> str:
    """A checkpoint's normalisation for a row: mean and standard deviation of each channel of its input, as shares of 255."""
    colours, black = normalisation(checkpoint)
    sources = colours.abs().argmax(dim=0)  # the colour that each channel shows
    slopes = 255 * colours[sources, torch.arange(3)]
    means = ", ".join(f"{value:.4g}" for value in (-black / slopes).tolist())
    deviations = ", ".join(f"{value:.4g}" for value in (1 / slopes).tolist())
    order = "".join("RGB"[source] for source in sources.tolist())
    return f"mean {means}; std {deviations}" + (f"; {order}" if order != "RGB" else "")


def _train_epoch(
    model: Classifier,
    sample: Sample,
    view: Callable[[torch.Tensor], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    batch_size: int,
) -> bool:
    """Train on the complete sample once, in random order; returns whether the loss stayed finite."""
    device = next(model.parameters()).device
    model.train()
    for places in torch.randperm(len(sample)).split(batch_size):
        if len(places) == 1 < len(sample):
            continue  # batch normalisation needs more than one image
        loss = _loss(model(view(sample.pixels(places)).to(device)), sample.labels[places].to(device)).mean()
        if not torch.isfinite(loss):
            return False
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return True


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each image in nats; for several labels per image, the mean over the labels."""
    if labels.ndim == 2:
        return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(dim=1)
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def _evaluation_batch(size: tuple[int, int]) -> int:
    """Images of a height and width that are evaluated at once."""
    return max(min(_EVALUATION_BATCH, _EVALUATION_PIXELS // (size[0] * size[1])), 1)


def _evaluate(model: Classifier, sample: Sample) -> dict[str, float]:
    """Loss, AUC and accuracy (for several labels per image, the share of correct labels) in evaluation mode.

    The loss is NaN if any output is not finite.
    """
    device = next(model.parameters()).device
    model.eval()
    outputs = []
    with torch.no_grad():
        for places in torch.arange(len(sample)).split(_evaluation_batch(sample.pool.size)):
            outputs.append(model(sample.pixels(places).to(device)).cpu().double())
    logits, labels = torch.cat(outputs), sample.labels
    loss = float(_loss(logits, labels.double() if labels.ndim == 2 else labels).mean())
    if not (np.isfinite(loss) and logits.isfinite().all()):  # an output of minus infinity can leave the loss finite
        return {"loss": float("nan"), "auc": 0.5, "accuracy": 0.0}
    if labels.ndim == 2:
        probabilities, correct = logits.sigmoid(), ((logits > 0) == (labels > 0.5)).double()
    else:
        probabilities, correct = logits.softmax(dim=1), (logits.argmax(dim=1) == labels).double()
    auc = macro_auc(labels.numpy(), probabilities.numpy())
    return {"loss": loss, "auc": auc, "accuracy": float(correct.mean())}
