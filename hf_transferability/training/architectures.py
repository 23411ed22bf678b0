"""Networks with random weights, from the configuration in a Hub repository, a folder or a .json file."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageClassification

from hf_transferability import hub
from hf_transferability.checkpoints.sizes import check_sizes
from hf_transferability.errors import CheckpointError, UsageError, first_line, shown
from hf_transferability.names import expanded


def read_config(architecture: str | Path) -> Any:
    """The configuration of a network.

    Args:
        architecture: Hub id (with @revision, if wanted), folder with a config.json, or .json file with a model_type.

    Raises:
        UsageError: another value.
        CheckpointError: the Hub cannot give it.
    """
    path = expanded(architecture)
    try:
        if "\0" in str(path) or (os.path.lexists(path) and not (os.path.isfile(path) or os.path.isdir(path))):
            raise ValueError("it is no regular file")
        if path.suffix == ".json":
            values = json.loads(path.read_text("utf-8"))
            check_sizes(str(architecture), values)
            return AutoConfig.for_model(values.pop("model_type"), **values)
        folder = path if os.path.isdir(path) else _download(str(architecture))
        if (folder / "config.json").is_file():
            check_sizes(str(architecture), json.loads((folder / "config.json").read_text("utf-8")))
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"`architecture` must be a Hub id, a folder with a config.json, or a .json file with a model_type; "
            f"got {shown(str(architecture))} ({first_line(error)}). Check it."
        ) from error


def _download(name: str) -> Path:
    """The folder of the Hub cache that holds a model's configuration."""
    if name.startswith((".", "~", "/")):
        raise OSError(f"there is no folder {name}")
    repo_id, _, revision = name.partition("@")
    try:
        return hub.fetch(hub.resolve_model(repo_id, revision or None), "config.json").parent
    except Exception as error:
        raise CheckpointError(hub.explain(error, "model", name)) from error


def set_task(config: Any, classes: list[str], multi_label: bool, image_size: int) -> None:
    """Write the classes and the image size of a dataset into a configuration.

    Args:
        config: configuration of transformers; it is changed.
        classes: names of the classes, in the order of the codes.
        multi_label: whether an image may have several labels.
        image_size: side of the square images, in pixels.
    """
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: code for code, name in enumerate(classes)}
    config.problem_type = "multi_label_classification" if multi_label else "single_label_classification"
    if hasattr(config, "image_size"):
        config.image_size = image_size


def build_network(config: Any, architecture: str | Path, image_size: int) -> Any:
    """A network for image classification with random weights, tried with one image.

    Args:
        config: configuration of transformers.
        architecture: where it comes from, for the error.
        image_size: side of the square images, in pixels.

    Raises:
        UsageError: the network does not classify images, or not at this size.
    """
    try:
        model = AutoModelForImageClassification.from_config(config)
        with torch.no_grad():
            model.eval()(pixel_values=torch.zeros(1, 3, image_size, image_size))
    except Exception as error:  # each family of networks raises its own types
        raise UsageError(
            f"`architecture` must be a network that classifies images of {image_size} x {image_size} pixels; {architecture} "
            f"does not ({first_line(error)}). Choose another, or another --image-size."
        ) from error
    return model
