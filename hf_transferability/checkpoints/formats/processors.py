"""The image processor of a checkpoint: its own, timm's from a data configuration, or one that another checkpoint lends."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hf_transferability.checkpoints.source import Source
from hf_transferability.errors import CheckpointError, first_line


def image_processor(source: Source, folder: Path, own: Any = None) -> Any:
    """The image processor: the lender's where one was named, else `own`, else the one that the files describe.

    Raises:
        CheckpointError: no processor, or one that cannot be read.
    """
    if source.lender is not None:
        return _described(source.lender, source.lender.fetch())
    return own if own is not None else _described(source, folder)


def timm_processor(data_config: Mapping[str, Any], architecture: str | None = None) -> TimmWrapperImageProcessor:
    """timm's evaluation transform for input_size, mean, std, interpolation, crop_pct and crop_mode."""
    return TimmWrapperImageProcessor(dict(data_config), architecture=architecture)


def _described(source: Source, folder: Path) -> Any:
    if not any((folder / name).exists() for name in ("preprocessor_config.json", "processor_config.json")):
        config = json.loads((folder / "config.json").read_text()) if (folder / "config.json").exists() else {}
        if "architecture" in config and "model_type" not in config:
            return timm_processor(config.get("pretrained_cfg") or config, config["architecture"])
    try:
        return AutoImageProcessor.from_pretrained(
            folder, trust_remote_code=source.options.trust_remote_code, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source.name} has no usable image processor ({first_line(error)}). "
            "Add its preprocessor_config.json, or lend another checkpoint's with --processor."
        ) from error
