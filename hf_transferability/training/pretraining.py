"""Pre-train a source checkpoint from scratch on one dataset or several, by transformers' Trainer, and save it for the Hub."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import DatasetCard, ModelCardData
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    ViTImageProcessor,
)

from hf_transferability import hub
from hf_transferability.checkpoints.loading import _quiet_transformers
from hf_transferability.data.targets import load_target
from hf_transferability.errors import CheckpointError, TransferabilityError, UsageError
from hf_transferability.extraction import passes
from hf_transferability.names import plain_name
from hf_transferability.progress import Silent
from hf_transferability.provenance import package_versions
from hf_transferability.training.augmentation import Augmentation
from hf_transferability.training.samples import Pool
from hf_transferability.training.seeding import seeded

_HALF = [0.5, 0.5, 0.5]  # mean and standard deviation of the pixels that the network takes: -1 to 1


def pretrain(
    sources: Sequence[str | Path],
    architecture: str | Path,
    output: str | Path,
    *,
    image_size: int = 224,
    epochs: float = 90,
    max_steps: int | None = None,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.05,
    seed: int = 0,
    licence: str | None = None,
    progress: Silent | None = None,
) -> Path:
    """Train a network with random weights on the training split of one dataset, or of several with their classes side by side.

    AdamW, a tenth of the steps to warm up, then a cosine to 0; random views of the images as in fine-tuning.

    Args:
        sources: Hub ids or local folders. To leave a target out of a union, name all others.
        architecture: Hub id or folder of a checkpoint whose configuration is taken, or a .json file with a configuration.
        output: folder to make; it gets model.safetensors, config.json, preprocessor_config.json and a model card whose
            `datasets` name the sources (a folder by its own name), so that `rank` can see a leak.
        image_size: side of the square images, in pixels.
        epochs: over all images; 0 saves the random weights, and the card names no training data.
        max_steps: of the optimiser, instead of epochs.
        batch_size: images of a step in each process; N processes make it N times as large.
        learning_rate: highest.
        weight_decay: of AdamW.
        seed: of the weights, the order of the images and augmentation.
        licence: for the card; default that of the datasets' own cards if they agree.
        progress: what to say meanwhile; default nothing.

    Returns:
        The folder.

    Raises:
        UsageError: the folder is there, an unknown architecture, datasets that cannot be joined, or what `load_target` refuses.
        TargetError: a dataset that cannot be read.
        CheckpointError: an architecture that the Hub does not give.
        TransferabilityError: the loss is not a finite number.
    """
    output = Path(output)
    if output.exists():
        raise UsageError(f"`output` must be a new folder; {output} is there. Choose another, or remove it.")
    names = [plain_name(source) for source in sources]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"`sources` must be one or more datasets of different names; got {', '.join(names) or 'none'}.")
    progress = progress or Silent()
    state = passes.process_state()
    state.wait_for_everyone()  # the first process might otherwise make the folder before another has looked for it
    config = _config(architecture)
    progress.stage("reading images")
    pools, classes = _pools(sources, names, image_size)
    for source in pools:
        progress.note(source.target.account)
    licence = licence or _licence([pool.target.provenance for pool in pools])
    images = sum(len(pool.labels) for pool in pools)
    multi = pools[0].labels.ndim == 2
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: code for code, name in enumerate(classes)}
    config.problem_type = "multi_label_classification" if multi else "single_label_classification"
    if hasattr(config, "image_size"):
        config.image_size = image_size
    trains = bool(max_steps if max_steps is not None else epochs)
    with contextlib.ExitStack() as stack:
        stack.enter_context(seeded(seed))
        stack.enter_context(_quiet_transformers())
        model = _network(config, architecture, image_size)
        processor = ViTImageProcessor(
            size={"height": image_size, "width": image_size}, image_mean=_HALF, image_std=_HALF, do_convert_rgb=True
        )
        if trains:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="hf-transferability-"))
            arguments = TrainingArguments(
                output_dir=scratch,
                num_train_epochs=epochs,
                max_steps=-1 if max_steps is None else max_steps,
                per_device_train_batch_size=batch_size,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                lr_scheduler_type="cosine",
                warmup_steps=0.1,
                seed=seed,
                save_strategy="no",
                logging_strategy="epoch",
                logging_nan_inf_filter=False,
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
                # Batch normalisation has no statistics of one image. Of several processes, each gets full batches: accelerate
                # fills the last ones from the start, and would drop all that not every process has.
                dataloader_drop_last=state.num_processes == 1 and images % batch_size == 1 and images > batch_size,
                dataloader_pin_memory=state.device.type == "cuda",
                use_cpu=state.device.type == "cpu",
            )
            _train(model, pools, image_size, arguments, progress)
    if state.is_main_process:
        partial = output.with_name(f".{output.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with _quiet_transformers():
            model.eval().cpu().save_pretrained(partial)
            processor.save_pretrained(partial)
        facts = {"epochs": epochs} if max_steps is None else {"steps": max_steps}
        facts |= {"batch_size": batch_size, "processes": state.num_processes, "learning_rate": learning_rate}
        facts |= {"weight_decay": weight_decay, "image_size": image_size, "images": images, "seed": seed}
        (partial / "README.md").write_text(_card(output.name, names if trains else [], licence, classes, facts), "utf-8")
        partial.rename(output)
    state.wait_for_everyone()
    return output


def _pools(sources: Sequence[str | Path], names: Sequence[str], size: int) -> tuple[list[Pool], list[str]]:
    """The training images of every source, their labels numbered through, and the names of all classes."""
    targets = [load_target(source, sample="all") for source in sources]
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
        classes += [f"{name}: {each}" for each in target.class_names] if len(targets) > 1 else target.class_names
    return pools, classes


class _Places(torch.utils.data.Dataset):
    """Numbers of images; the collator turns a batch of them into pixels at once."""

    def __init__(self, n: int):
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, place: int) -> int:
        return place


class _Reported(TrainerCallback):
    def __init__(self, progress: Silent):
        self._progress = progress

    def on_train_begin(self, args, state, control, **kwargs):
        self._progress.stage("pre-training", state.max_steps)

    def on_step_end(self, args, state, control, **kwargs):
        self._progress.advance(state.global_step)

    def on_log(self, args, state, control, logs=None, **kwargs):
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            raise TransferabilityError(
                f"pre-training diverged: the loss is {loss} after {state.global_step} steps. Choose a lower --learning-rate."
            )


def _train(model: Any, pools: Sequence[Pool], size: int, arguments: TrainingArguments, progress: Silent) -> None:
    edges = np.cumsum([0, *(len(pool.labels) for pool in pools)])
    labels = torch.cat([pool.labels for pool in pools])
    view = Augmentation(size)

    def collate(places: list[int]) -> dict[str, torch.Tensor]:
        owners = np.searchsorted(edges, places, side="right") - 1
        pixels = torch.cat(
            [pools[k].pixels(torch.tensor([place - int(edges[k])])) for k, place in zip(owners, places, strict=True)]
        )
        inputs = view(pixels).float() / 127.5 - 1  # what the image processor makes of images of this size
        return {"pixel_values": inputs.contiguous(memory_format=torch.channels_last), "labels": labels[places]}

    trainer = Trainer(
        model=model.to(memory_format=torch.channels_last),
        args=arguments,
        train_dataset=_Places(len(labels)),
        data_collator=collate,
        callbacks=[_Reported(progress)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    trainer.remove_callback(ProgressCallback)
    trainer.train()
    if not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise TransferabilityError("pre-training diverged: weights are not finite. Choose a lower --learning-rate.")


def _config(architecture: str | Path) -> Any:
    path = Path(architecture).expanduser()
    try:
        if path.suffix == ".json":
            values = json.loads(path.read_text("utf-8"))
            return AutoConfig.for_model(values.pop("model_type"), **values)
        folder = path if path.is_dir() else _fetched(str(architecture))
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        text = str(error).strip().splitlines()[0].rstrip(".")
        raise UsageError(
            f"`architecture` must be a Hub id, a folder with a config.json, or a .json file with a model_type; "
            f"got {architecture} ({text}). Check it."
        ) from error


def _fetched(name: str) -> Path:
    """The folder of the Hub cache that holds a model's configuration."""
    if name.startswith((".", "~", "/")):
        raise OSError(f"there is no folder {name}")
    repo_id, _, revision = name.partition("@")
    try:
        return hub.fetch(hub.resolve_model(repo_id, revision or None), "config.json").parent
    except Exception as error:
        raise CheckpointError(hub.explain(error, "model", name)) from error


def _network(config: Any, architecture: str | Path, image_size: int) -> Any:
    """A network with random weights, if it can do what is asked of it."""
    try:
        model = AutoModelForImageClassification.from_config(config)
        with torch.no_grad():
            model.eval()(pixel_values=torch.zeros(1, 3, image_size, image_size))
    except Exception as error:  # each family has its own ways to refuse
        text = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UsageError(
            f"`architecture` must be a network that classifies images of {image_size} x {image_size} pixels; {architecture} "
            f"is none ({text}). Choose another, or another --image-size."
        ) from error
    return model


def _licence(datasets: Sequence[dict[str, Any]]) -> str:
    """The licence that all datasets' cards name; "other" where they differ or say nothing, or one cannot be read."""
    found = set()
    for where in datasets:
        licence = None
        with contextlib.suppress(Exception):  # whatever is wrong with a card, it is no reason not to train
            card = Path(where["id"]).expanduser() / "README.md"
            if where["revision"]:
                snapshot = hub.Snapshot(where["id"], where["revision"], (card.name,), kind="dataset")
                card = hub.fetch(snapshot, card.name)
            licence = DatasetCard.load(card).data.to_dict().get("license")
        found.add(licence if isinstance(licence, str) else None)
    return found.pop() or "other" if len(found) == 1 else "other"


def _card(name: str, datasets: list[str], licence: str, classes: list[str], facts: dict[str, Any]) -> str:
    data = ModelCardData(
        license=licence, library_name="transformers", pipeline_tag="image-classification", datasets=datasets or None
    )
    how = f"Trained from scratch on {', '.join(datasets)}" if datasets else "Random weights, not trained"
    lines = [f"- {key}: {value}" for key, value in {**facts, "classes": len(classes), **package_versions()}.items()]
    text = f"{how}, by `hf-transferability pretrain`. For research; not for clinical decisions."
    return f"---\n{data.to_yaml()}\n---\n# {name}\n\n{text}\n\n" + "\n".join(lines) + "\n"
