"""Does the demo's ranking hold? Fine-tune its checkpoints, and compare the order of the results with the ranking."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hf_transferability.agreement import weighted_tau
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.demo.images import SIZE, UNTRAINED
from hf_transferability.demo.making import Say, one_thread
from hf_transferability.errors import TransferabilityError, UndefinedAgreement
from hf_transferability.results import Row
from hf_transferability.training.finetuning import fine_tune
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import Protocol, Setting

REPEATS = 3  # runs of each checkpoint that are averaged
_FINE_TUNE = Setting(batch_size=32, learning_rate=0.01, momentum=0.9, weight_decay=1e-4)


def verify(
    target: str | Path,
    checkpoints: Sequence[str | Path],
    seed: int = 0,
    progress: Say = lambda text: None,
    *,
    epochs: int = 15,
    repeats: int = REPEATS,
) -> dict[str, float]:
    """Fine-tuned performance of each checkpoint, which a ranking tries to predict.

    Runs the fine-tuning of `hf-transferability finetune` with one setting for all checkpoints, and without augmentation, since
    a mirrored digit is not a digit. There is no validation split, so a fifth of the train split chooses the epoch.

    Args:
        target: folder of `make_target`.
        checkpoints: folders of `make_checkpoints`.
        seed: decides the images, the heads and the order of the batches; 0 or more.
        progress: called with one line of text before each checkpoint.
        epochs: passes over the training images, in batches of 32.
        repeats: runs per checkpoint that are averaged.

    Returns:
        Name of the checkpoint's folder -> test AUC: the macro average of one class versus rest, 0.5 for guessing. Runs that
        diverged are reported through `progress` and not averaged.

    Raises:
        TransferabilityError: all runs of a checkpoint diverged.

    Cost: about 50 s.
    """
    draw = Splits(target, SIZE).draw(seed)
    aucs = {}
    for number, folder in enumerate(map(Path, checkpoints), start=1):
        progress(f"fine-tuning checkpoint {number} of {len(checkpoints)}: {folder.name}")
        with one_thread():
            loaded = load(resolve(str(folder)))
            seeds = range(seed * repeats, (seed + 1) * repeats)
            protocol = Protocol(epochs=epochs, augment=False)
            runs = [fine_tune(loaded, draw.at(loaded.image_size), _FINE_TUNE, protocol, seed=run_seed) for run_seed in seeds]
        finished = [run["test_auc"] for run in runs if run["status"] == "ok"]
        if not finished:
            raise TransferabilityError(f"all {repeats} runs of {folder.name} diverged. Choose another seed for the demo.")
        if len(finished) < repeats:
            progress(f"{repeats - len(finished)} of {repeats} runs of {folder.name} diverged; the others are averaged")
        aucs[folder.name] = float(np.mean(finished))
    return aucs


def agreement(
    rows: Sequence[Row], aucs: Mapping[str, float], *, with_untrained: bool = True, metric: str = "score"
) -> float | str:
    """Weighted Kendall tau between a ranking's scores and fine-tuned performance; 1 for the same order, 0 for chance.

    Args:
        rows: the ranking's rows, whose checkpoints have the names in `aucs`. Those without a score are left out, except
            a network that was found untrained, which is listed last.
        aucs: what `verify` returns.
        with_untrained: whether the untrained checkpoint counts. It is easier to tell from the others than they are.
        metric: the column of the rows that orders them.

    Returns:
        The agreement, or why it is undefined.
    """
    scores = _scores(rows, metric)
    names = [name for name in scores if with_untrained or name != UNTRAINED]
    try:
        return weighted_tau([scores[name] for name in names], [aucs[name] for name in names])
    except UndefinedAgreement as error:
        return str(error)


def best_first(rows: Sequence[Row], aucs: Mapping[str, float], metric: str = "score") -> bool:
    """Whether a column of the ranking puts the checkpoint first that is best after fine-tuning, alone or with others."""
    scores = _scores(rows, metric)
    best = max(aucs, key=lambda name: aucs[name])
    return best in scores and scores[best] == max(scores.values())


def _scores(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """Checkpoint -> value by a column; a network that was never trained comes last, as in every ranking."""
    scores = {row["checkpoint"]: row[metric] for row in rows if row.get(metric) is not None and not row.get("untrained")}
    last = min(scores.values(), default=0.0) - 1
    return scores | {row["checkpoint"]: last for row in rows if row.get("untrained")}


def conclusion(rows: Sequence[Row], aucs: Mapping[str, float] | None = None) -> str:
    """What to do with a ranking, in one sentence; with fine-tuned performance, whether that would have been right."""
    scored = [row for row in rows if row["score"] is not None and row["rank"] is not None]
    if not scored:
        return "There is no order to follow."
    group = scored[0]["tie_group"]
    first = [row["checkpoint"] for row in scored if row["rank"] == 1 or (group is not None and row["tie_group"] == group)]
    if not aucs:
        reason = "it is ahead of all others" if len(first) == 1 else "this sample cannot order them"
        return f"Fine-tune {_either(first)} first: {reason}."
    best = max(aucs, key=lambda name: aucs[name])
    if best in first:
        return f"The ranking was right: {best} is best after fine-tuning, and the ranking named {_either(first)} first."
    lost = aucs[best] - max(aucs[name] for name in first)
    return f"The ranking was wrong: {best} is best after fine-tuning; following {_either(first)} loses {lost:.3f} AUC."


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
