"""LoRA and other adapters of peft, merged into the network that they change."""

import re
import warnings
from pathlib import Path

from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.weights import WeightUse, some_of, stored_shapes
from hf_transferability.errors import CheckpointError, first_line


def head_size(source: Source, folder: Path) -> int | None:
    """The number of classes of the head that an adapter brings with it; None if it has none."""
    for name, shape in stored_shapes(folder, source.weights).items():
        if re.search(r"(^|\.)(classifier|head|fc)(\.\w+)*\.weight$", name) and "lora_" not in name and len(shape) == 2:
            return shape[0]
    return None


def merge(source: Source, folder: Path, base: Built) -> Built:
    """The base network with the adapter's changes in its weights.

    Raises:
        CheckpointError: peft is not installed, or the adapter does not fit its network.
    """
    try:
        from peft import PeftConfig, PeftModel
    except ImportError as error:
        raise CheckpointError(
            f"{source.name} is an adapter for {source.base.name if source.base else 'another network'}. "
            "Install hf-transferability[adapters] to merge it."
        ) from error
    config = PeftConfig.from_pretrained(str(folder))
    stored = stored_shapes(folder, source.weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between versions of peft and transformers
            adapted = PeftModel.from_pretrained(base.network, str(folder), config=config, use_safetensors=not source.pickle)
            loaded = {_plain(name) for name in adapted.state_dict()}
            merged = adapted.merge_and_unload()
    except (ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{source.name} does not fit {source.base.name if source.base else 'its network'}: {first_line(error)[:200]}. "
            "Merge it with merge_and_unload where it was trained, and rank the merged network."
        ) from error
    if strange := {name for name in stored if _plain(name) not in loaded}:
        raise CheckpointError(
            f"{source.name} holds weights that its network has no place for ({some_of(strange)}). "
            "Merge it with merge_and_unload where it was trained, and rank the merged network."
        )
    base.network = merged.eval()
    brought = {name.split("base_model.model.")[-1] for name in stored}
    missing = {name for name in base.use.missing if not any(_plain(name) == _plain(key) for key in brought)}
    base.use = WeightUse(base.use.n_used + len(stored), missing, base.use.unused)
    return base


def _plain(name: str) -> str:
    """A weight's name without the parts that peft puts between."""
    short = name.split("base_model.model.")[-1].replace("lora_magnitude_vector.default.weight", "lora_magnitude_vector")
    return re.sub(r"\.(default|modules_to_save)(?=\.|$)", "", short)
