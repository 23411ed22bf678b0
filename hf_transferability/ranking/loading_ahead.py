"""The next network is loaded while the present one computes on an accelerator."""

from pathlib import Path
from typing import TYPE_CHECKING

from hf_transferability.checkpoints.source import Source
from hf_transferability.machine import free_memory

if TYPE_CHECKING:
    import torch

    from hf_transferability.checkpoints.checkpoint import Checkpoint

_COPIES = 4  # of the files: weights read and in the network, twice as large where they are stored in half precision
_SHARE = 0.5  # of the free memory


def is_worth_it(device: "torch.device") -> bool:
    """Whether the next network should be loaded meanwhile: on a CPU it would take a core from the present one."""
    return device.type != "cpu"


def load_ahead(source: Source) -> "Checkpoint | None":
    """A checkpoint on the CPU, loaded in a thread beside the work of others; None if there may be too little memory.

    Draws no numbers from the generators of others, so that theirs do not depend on when it runs.

    Raises:
        CheckpointError: as `checkpoints.loading.load`, which says it again when the candidate's turn has come.
    """
    from hf_transferability.checkpoints.loading import load
    from hf_transferability.checkpoints.randomness import OwnRandomness

    if _COPIES * _file_bytes(source) > _SHARE * free_memory():
        return None
    with OwnRandomness():
        return load(source)


def release(checkpoint: "Checkpoint") -> None:
    """Free the weights of a network that is not used again.

    One that was loaded ahead was there before the block of `machine.freed_after` began, whose end looks at newer objects only.
    """
    for tensor in (*checkpoint.network.parameters(), *checkpoint.network.buffers()):
        tensor.data = tensor.data.new_empty(0)


def _file_bytes(source: Source) -> int:
    """Bytes of the weights' files, with those of the network that an adapter changes."""
    folder = Path(source.fetch())
    return sum((folder / name).stat().st_size for name in source.weights) + (_file_bytes(source.base) if source.base else 0)
