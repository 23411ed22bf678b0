"""Pre-train a source checkpoint from scratch on one dataset or several, with transformers' Trainer, and save it for the Hub."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    ViTImageProcessor,
)

from hf_transferability import arguments
from hf_transferability.checkpoints.loading import quiet_transformers
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import load_target
from hf_transferability.errors import TransferabilityError, UsageError, first_line
from hf_transferability.escaping import markdown
from hf_transferability.extraction.processes import Processes
from hf_transferability.files import check_new_folder
from hf_transferability.names import plain_name
from hf_transferability.progress import Progress, given
from hf_transferability.training import model_card
from hf_transferability.training.architectures import build_network, read_config, set_task
from hf_transferability.training.augmentation import Augmentation
from hf_transferability.training.overlap import overlap_notes
from hf_transferability.training.reading_notes import tell_reading
from hf_transferability.training.samples import Pool
from hf_transferability.training.seeding import seeded
from hf_transferability.training.settings import LARGEST_RATE, LARGEST_SIDE

_LARGEST_BATCH = 2**20  # images per step
_MOST_EPOCHS = 1e6
_HALF = [0.5, 0.5, 0.5]  # mean and standard deviation that map pixels to -1..1


@dataclass(frozen=True)
class PretrainingOptions:
    """How a network is trained: AdamW, a tenth of the steps to warm up, then a cosine to 0.

    Attributes:
        image_size: side of the square images, in pixels.
        epochs: passes over all images; 0 saves the random weights, and the card names no training data.
        max_steps: number of optimiser steps, instead of epochs.
        batch_size: images per step in each process; N processes make the batch N times as large.
        learning_rate: highest learning rate.
        weight_decay: strength of AdamW's weight decay.
        seed: seed of the weights, the order of the images and augmentation.
    """

    image_size: int = 224
    epochs: float = 90
    max_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        arguments.whole("image_size", self.image_size, 1, LARGEST_SIDE)
        arguments.whole("batch_size", self.batch_size, 1, _LARGEST_BATCH)
        arguments.whole("seed", self.seed, 0, arguments.LARGEST_SEED)
        arguments.number("epochs", self.epochs, 0, _MOST_EPOCHS)
        if self.max_steps is not None:
            arguments.whole("max_steps", self.max_steps, 0)
        for name in ("learning_rate", "weight_decay"):
            arguments.number(name, getattr(self, name), 0, LARGEST_RATE)

    @property
    def trains(self) -> bool:
        """Whether there is any training at all."""
        return bool(self.epochs if self.max_steps is None else self.max_steps)

    def facts(self, n_processes: int, n_images: int) -> dict[str, Any]:
        """Lines for the model card."""
        return {
            **({"epochs": self.epochs} if self.max_steps is None else {"steps": self.max_steps}),
            "batch_size": self.batch_size,
            "processes": n_processes,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "image_size": self.image_size,
            "images": n_images,
            "seed": self.seed,
        }


def pretrain(
    sources: Sequence[str | Path],
    architecture: str | Path,
    output: str | Path,
    options: PretrainingOptions | None = None,
    *,
    licence: str | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> Path:
    """Train a network with random weights on the training split of one dataset, or of several with their classes side by side.

    Images are augmented as in fine-tuning.

    Args:
        sources: Hub ids or local folders. To leave a target out of a union, name all others.
        architecture: Hub id or folder of a checkpoint with the configuration, or a .json file with a configuration.
        output: new folder; it gets model.safetensors, config.json, preprocessor_config.json and a model card whose
            `datasets` name the sources (for a folder its last part), so that `rank` can see a leak.
        options: how it is trained.
        licence: licence in the card; default that of the datasets' cards if they agree.
        progress: gets the progress; default none.
        reading: how every one of the datasets is read: `split` and the fields of `data.options.SampleOptions` that draw
            nothing (label_column, class_level, window, slice, ...). With group_column (patients, for example) the number of
            groups goes into the card, and test splits that share groups with the training split are noted.

    Returns:
        The folder.

    Raises:
        UsageError: an existing folder, an unknown architecture, datasets that cannot be joined or that `load_target` refuses.
        TargetError: a dataset that cannot be read.
        CheckpointError: an architecture that the Hub does not give.
        TransferabilityError: the loss is not a finite number.
        TypeError: an unknown option.
    """
    sample = _reading_options(reading)
    sources = arguments.texts("sources", sources, paths=True)
    arguments.text("architecture", architecture, path=True)
    arguments.text("output", output, path=True)
    options, output = options or PretrainingOptions(), Path(output)
    names = [plain_name(source) for source in sources]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"`sources` must be one or more datasets of different names; got {', '.join(names) or 'none'}.")
    progress, state = given(progress), Processes()
    check_new_folder(output, "output")
    state.wait_for_everyone()  # the first process might otherwise make the folder before another has looked for it
    config = read_config(architecture)
    progress.stage("reading images")
    pools, classes = _pools(sources, names, options.image_size, sample)
    for source, pool in zip(sources, pools, strict=True):
        tell_reading(pool.target, progress)
        for note in overlap_notes(source, pool, sample, progress):
            progress.note(note)
    licence = licence or model_card.common_licence([pool.target.provenance for pool in pools])
    set_task(config, classes, multi_label=pools[0].labels.ndim == 2, image_size=options.image_size)
    n_images = sum(len(pool.labels) for pool in pools)
    with seeded(options.seed), quiet_transformers():
        model = build_network(config, architecture, options.image_size)
        if options.trains:
            _train(model, pools, options, state, progress)
    if state.is_main_process:
        datasets = names if options.trains else []
        facts = options.facts(state.num_processes, n_images)
        if sample.group_column is not None:
            facts["groups"] = f"{sum(pool.target.provenance['groups'] for pool in pools)} ({sample.group_column})"
        for name, pool in zip(names, pools, strict=True) if options.trains else ():
            facts["data" if len(pools) == 1 else f"data of {markdown.text(name)}"] = pool.target.provenance["account"]["line"]
        card = model_card.render(output.name, datasets, licence, classes, facts)
        _save(model, options.image_size, card, output)
    state.wait_for_everyone()
    return output


def _reading_options(reading: Mapping[str, Any]) -> SampleOptions:
    """How the datasets are read: whole, but for the choice of the split.

    Raises:
        UnknownArgument: an option that draws from them, or that does not exist.
    """
    known = ("split", *SampleOptions.reading_names())
    if unknown := [name for name in reading if name not in known]:
        raise arguments.unknown_argument("pretrain", unknown[0], [*arguments.names_of(pretrain), *known])
    return SampleOptions(**reading, sample_size="all")


def _pools(
    sources: Sequence[str | Path], names: Sequence[str], size: int, sample: SampleOptions
) -> tuple[list[Pool], list[str]]:
    """The training images of every source, with codes that differ between sources, and the names of all classes."""
    targets = [load_target(source, sample) for source in sources]
    tasks = {target.task for target in targets}
    if tasks != {"single_label"} and (len(targets) > 1 or tasks != {"multi_label"}):
        raise UsageError(
            f"`sources` must have classes, and several of them single labels each; got {', '.join(sorted(tasks))}. "
            "Leave the others out."
        )
    classes: list[str] = []
    pools = []
    for name, target in zip(names, targets, strict=True):
        pool = Pool(target, size, target.class_names)
        pool.labels += len(classes) if target.task == "single_label" else 0
        pools.append(pool)
        several = len(targets) > 1
        classes += [f"{name}: {class_name}" for class_name in target.class_names] if several else target.class_names
    return pools, classes


def _train(model: Any, pools: Sequence[Pool], options: PretrainingOptions, state: Processes, progress: Progress) -> None:
    """Train a network in place.

    Raises:
        TransferabilityError: a loss or weight is not finite.
    """
    first_of_pool = np.cumsum([0, *(len(pool.labels) for pool in pools)])
    labels = torch.cat([pool.labels for pool in pools])
    view = Augmentation(options.image_size)

    def collate(positions: list[int]) -> dict[str, torch.Tensor]:
        pool_numbers = np.searchsorted(first_of_pool, positions, side="right") - 1
        pixels = torch.cat(
            [
                pools[number].pixels(torch.tensor([position - int(first_of_pool[number])]))
                for number, position in zip(pool_numbers, positions, strict=True)
            ]
        )
        inputs = view(pixels).float() / 127.5 - 1  # equal to what the image processor makes of images of this size
        return {"pixel_values": inputs.contiguous(memory_format=torch.channels_last), "labels": labels[positions]}

    with tempfile.TemporaryDirectory(prefix="hf-transferability-") as scratch:
        trainer = Trainer(
            model=model.to(memory_format=torch.channels_last),
            args=_training_arguments(scratch, options, len(labels), state),
            train_dataset=_Positions(len(labels)),
            data_collator=collate,
            callbacks=[_ProgressReports(progress)],
        )
        trainer.remove_callback(PrinterCallback)  # it prints to stdout
        trainer.remove_callback(ProgressCallback)
        trainer.train()
    if not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise TransferabilityError("pre-training diverged: weights are not finite. Choose a lower --learning-rate.")


def _training_arguments(scratch: str, options: PretrainingOptions, n_images: int, state: Processes) -> TrainingArguments:
    # Batch normalisation needs more than one image, so a last batch of one is dropped. With several processes accelerate fills
    # the last batches with images from the start; dropping would lose every batch that not all processes have.
    single_image_left = n_images > options.batch_size and n_images % options.batch_size == 1
    return TrainingArguments(
        output_dir=scratch,
        num_train_epochs=options.epochs,
        max_steps=-1 if options.max_steps is None else options.max_steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        seed=options.seed,
        save_strategy="no",
        logging_strategy="epoch",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_drop_last=state.num_processes == 1 and single_image_left,
        dataloader_pin_memory=state.device.type == "cuda",
        use_cpu=state.device.type == "cpu",
    )


class _Positions(torch.utils.data.Dataset):
    """Positions of images, so that the collator can read a batch of pixels at once."""

    def __init__(self, n_images: int):
        self._n_images = n_images

    def __len__(self) -> int:
        return self._n_images

    def __getitem__(self, position: int) -> int:
        return position


class _ProgressReports(TrainerCallback):
    def __init__(self, progress: Progress):
        self._progress = progress

    def on_train_begin(self, args, state, control, **kwargs):
        self._progress.stage("pre-training", state.max_steps, "steps")

    def on_step_end(self, args, state, control, **kwargs):
        self._progress.advance(state.global_step)

    def on_log(self, args, state, control, logs=None, **kwargs):
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            raise TransferabilityError(
                f"pre-training diverged: the loss is {loss} after {state.global_step} steps. Choose a lower --learning-rate."
            )


def _save(model: Any, image_size: int, card: str, output: Path) -> None:
    """Write the checkpoint's folder, which appears under its name when it is complete.

    Raises:
        TransferabilityError: it cannot be written.
    """
    processor = ViTImageProcessor(
        size={"height": image_size, "width": image_size}, image_mean=_HALF, image_std=_HALF, do_convert_rgb=True
    )
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with quiet_transformers():
            model.eval().cpu().save_pretrained(partial)
            processor.save_pretrained(partial)
        (partial / "README.md").write_text(card, "utf-8")
        partial.rename(output)
    except (OSError, SafetensorError) as error:  # the latter holds the system's answer as text
        shutil.rmtree(partial, ignore_errors=True)
        raise TransferabilityError(
            f"{output} cannot be written: {first_line(error)}. Free some space, or choose another place for it."
        ) from error
