"""A configuration whose network nobody could build is refused before anything is built."""

from collections.abc import Mapping
from typing import Any

from hf_transferability.errors import CheckpointError

MOST_LAYERS = 10_000  # blocks of a network; the deepest that are used have a thousand
_WIDEST = 10**6  # channels of a layer
_LAYERS = {"num_hidden_layers", "num_layers", "n_layers", "layers", "depth", "depths", "num_blocks", "encoder_layers"}
_WIDTHS = {
    "hidden_size",
    "hidden_sizes",
    "embed_dim",
    "embed_dims",
    "intermediate_size",
    "width",
    "embedding_size",
    "dim",
    "num_labels",
    "num_classes",
}


def check_sizes(name: str, values: Any) -> None:
    """Refuse numbers of layers or widths beyond anything that can be built, at any depth of a configuration.

    Args:
        name: of the checkpoint, for the error.
        values: the configuration as read from JSON.

    Raises:
        CheckpointError: names the entry.
    """
    remaining = [values]
    while remaining:
        part = remaining.pop()
        if isinstance(part, Mapping):
            for key, value in part.items():
                _check(name, str(key), value, _LAYERS, MOST_LAYERS)
                _check(name, str(key), value, _WIDTHS, _WIDEST)
            remaining += [value for value in part.values() if isinstance(value, Mapping | list)]
        elif isinstance(part, list):
            remaining += [value for value in part if isinstance(value, Mapping | list)]


def _check(name: str, key: str, value: Any, keys: set[str], largest: int) -> None:
    if key not in keys:
        return
    numbers = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, int | float)]
    if numbers and (max(numbers) > largest or (keys is _LAYERS and sum(numbers) > largest)):
        raise CheckpointError(f"the configuration of {name} has {key} above {largest:,}. Correct it, or leave it out.")
