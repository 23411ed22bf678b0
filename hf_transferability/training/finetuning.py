"""One fine-tuning run: a checkpoint with a new head, trained on a sample of the target, chosen by validation, tested once.

The protocol is that of Juodelyte et al. 2024 (arXiv 2412.20172): dropout and a linear head, SGD, a cosine over all epochs,
early stopping on the validation AUC. A run belongs to one process; Trainer would share each among all of them.
"""

import copy
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.training.augmentation import Augmentation
from hf_transferability.training.samples import Draw, Sample
from hf_transferability.training.seeding import seeded

_EVALUATED_AT_ONCE = 256


class Setting(NamedTuple):
    """Hyperparameters of a run; the learning rate is that of the first epoch, and momentum above 0 is Nesterov's."""

    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float


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
        # The result lies in memory as `channels_last` wants it.
        inputs = (pixels.movedim(1, -1).float() @ self.colours + self.black).movedim(-1, 1)
        return self.head(self._checkpoint.forward(inputs)[0])


def fine_tune(
    checkpoint: Checkpoint,
    draw: Draw,
    setting: Setting,
    *,
    seed: int = 0,
    epochs: int = 200,
    patience: int = 50,
    dropout: float = 0.5,
    augment: bool = True,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda epoch: None,
) -> dict[str, Any]:
    """Fine-tune all layers of a copy of the checkpoint; the epoch of the best validation AUC is tested.

    Args:
        checkpoint: loaded network; it is left as it is.
        draw: samples of the target.
        setting: hyperparameters.
        seed: of the head, the order of the images, dropout and augmentation.
        epochs: at most.
        patience: epochs without a better validation AUC (or an equal one with a lower loss) after which training stops.
        dropout: before the head.
        augment: train on random views of the images.
        device: of the work.
        progress: called with the number of each finished epoch.

    Returns:
        Columns of the table `runs`: stopped_epoch, best_epoch, validation_* and test_* loss, auc and accuracy, status, seconds.
        A run whose loss or outputs stop being finite numbers has the status "diverged" and no figures. An AUC is the mean over
        classes, one versus rest, that have both positive and negative images in the split.
    """
    began = time.perf_counter()
    best: dict[str, Any] = {}
    weights: dict[str, torch.Tensor] = {}
    epoch = 0
    with seeded(seed):
        model = Classifier(copy.deepcopy(checkpoint), len(draw.train.pool.classes), dropout)
        model = model.to(device).to(memory_format=torch.channels_last)  # a third faster than the other layout, also on CPUs
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=setting.learning_rate,
            momentum=setting.momentum,
            weight_decay=setting.weight_decay,
            nesterov=setting.momentum > 0,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        view = Augmentation(draw.train.pool.size) if augment else lambda pixels: pixels
        for epoch in range(1, epochs + 1):
            finite = _train_epoch(model, draw.train, view, optimizer, setting.batch_size)
            schedule.step()
            found = _evaluate(model, draw.validation) if finite else {}
            if not (finite and np.isfinite(found["loss"])):
                return _diverged(epoch, began)
            progress(epoch)
            if not best or (found["auc"], -found["loss"]) > (best["auc"], -best["loss"]):
                best = {**found, "epoch": epoch}
                weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            elif epoch - best["epoch"] >= patience:
                break
        model.load_state_dict(weights)
        tested = _evaluate(model, draw.test)
    if not np.isfinite(tested["loss"]):
        return _diverged(epoch, began)
    return {
        "stopped_epoch": epoch,
        "best_epoch": best.pop("epoch"),
        **{f"validation_{name}": value for name, value in best.items()},
        **{f"test_{name}": value for name, value in tested.items()},
        "status": "ok",
        "seconds": round(time.perf_counter() - began, 2),
    }


def _diverged(epoch: int, began: float) -> dict[str, Any]:
    return {"stopped_epoch": epoch, "status": "diverged", "seconds": round(time.perf_counter() - began, 2)}


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve, mean over the classes of which there are both positive and negative images.

    Args:
        labels: class codes [n_images], or 0/1 [n_images, n_labels].
        probabilities: [n_images, n_classes or n_labels].

    Returns:
        0 to 1; 0.5 when no class has both.
    """
    truth = labels > 0 if labels.ndim == 2 else labels[:, None] == np.arange(probabilities.shape[1])
    positive = truth.sum(axis=0)
    both = (positive > 0) & (positive < len(truth))
    if not both.any():
        return 0.5
    # Mann and Whitney's statistic, all columns at once: scikit-learn's checks cost as much as an epoch of a small network.
    ranks = np.where(truth, rankdata(probabilities, axis=0), 0).sum(axis=0)
    pairs = positive * (len(truth) - positive)
    return float(np.mean((ranks - positive * (positive + 1) / 2)[both] / pairs[both]))


def normalisation(checkpoint: Checkpoint) -> tuple[torch.Tensor, torch.Tensor]:
    """What a checkpoint's image processor makes of colours: 0-255 RGB [..., 3] @ colours + black is the network's input.

    Found by trial on plain images, as processors differ: some swap the channels, some divide twice.

    Returns:
        (colours [3, 3], black [3]).
    """
    plain = np.zeros((4, 64, 64, 3), np.uint8)  # black, red, green, blue
    plain[[1, 2, 3], ..., [0, 1, 2]] = 255
    pixels = checkpoint.preprocess(list(plain)).float()
    seen = pixels[..., pixels.shape[-2] // 2, pixels.shape[-1] // 2]
    return (seen[1:] - seen[0]) / 255, seen[0]


def _train_epoch(
    model: Classifier,
    sample: Sample,
    view: Callable[[torch.Tensor], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    batch_size: int,
) -> bool:
    """One pass over the sample in random order; whether the loss stayed finite."""
    device = next(model.parameters()).device
    model.train()
    for places in torch.randperm(len(sample)).split(batch_size):
        if len(places) == 1 < len(sample):
            continue  # batch normalisation has no statistics of one image
        loss = _loss(model(view(sample.pixels(places)).to(device)), sample.labels[places].to(device)).mean()
        if not torch.isfinite(loss):
            return False
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return True


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in nats of each image; of a multi-label image the mean over its labels."""
    if labels.ndim == 2:
        return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(dim=1)
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def _evaluate(model: Classifier, sample: Sample) -> dict[str, float]:
    """Loss, AUC and accuracy (of a multi-label sample the share of right labels) in evaluation mode.

    The loss is not finite where any output is not.
    """
    device = next(model.parameters()).device
    model.eval()
    parts = []
    with torch.no_grad():
        for places in torch.arange(len(sample)).split(_EVALUATED_AT_ONCE):
            parts.append(model(sample.pixels(places).to(device)).cpu().double())
    logits, labels = torch.cat(parts), sample.labels
    loss = float(_loss(logits, labels.double() if labels.ndim == 2 else labels).mean())
    if not (np.isfinite(loss) and logits.isfinite().all()):  # an output of minus infinity can leave the loss finite
        return {"loss": float("nan"), "auc": 0.5, "accuracy": 0.0}
    if labels.ndim == 2:
        probabilities, right = logits.sigmoid(), ((logits > 0) == (labels > 0.5)).double()
    else:
        probabilities, right = logits.softmax(dim=1), (logits.argmax(dim=1) == labels).double()
    auc = macro_auc(labels.numpy(), probabilities.numpy())
    return {"loss": loss, "auc": auc, "accuracy": float(right.mean())}
