"""The processes of a run: which of them this is, and how they share what they know.

A run of a single process, which is the usual one, needs neither torch nor Accelerate for that: both are imported when there are
several processes, or when something asks for the device.
"""

import contextlib
import functools
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hf_transferability.errors import TransferabilityError, first_line

if TYPE_CHECKING:
    import torch
    from accelerate import PartialState


_MEETING = ("MASTER_ADDR", "MASTER_PORT", "RANK")  # with these set, PyTorch needs nothing else
_START = timedelta(minutes=3)  # in which all processes must appear
_LONGEST_WAIT = timedelta(hours=6)  # while one process downloads or scores, the others wait


def _connect() -> None:
    """Connect the processes on CPUs; one that never appears is an error soon, as it would not be with `_LONGEST_WAIT`."""
    import torch

    store, rank, size = next(torch.distributed.rendezvous("env://", timeout=_START))
    store.set_timeout(_LONGEST_WAIT)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_LONGEST_WAIT)


def n_started() -> int:
    """How many processes `accelerate launch` or `torchrun` started together with this one; 1 without them.

    Raises:
        TransferabilityError: the variable that says so holds no such number.
    """
    text = os.environ.get("WORLD_SIZE", "1")
    if not text.isdecimal() or int(text) < 1:
        raise TransferabilityError(f"WORLD_SIZE must be a positive whole number; got {text!r}. Unset it, or use `torchrun`.")
    return int(text)


class Processes:
    """The place of this process among those that `accelerate launch` or `torchrun` started; alone without them.

    Attributes:
        num_processes: how many there are.
        process_index: the number of this one, from 0.

    Raises:
        TransferabilityError: several processes were started but are not connected, so each would do all the work.
    """

    def __init__(self) -> None:
        self.num_processes = n_started()
        self.process_index = 0
        if self.num_processes > 1:
            if self._state.num_processes != self.num_processes:
                raise TransferabilityError(
                    f"{self.num_processes} processes were started, but Accelerate sees {self._state.num_processes}. "
                    "Start with `accelerate launch --multi_gpu ...` or `torchrun --nproc_per_node ...`."
                )
            self.process_index = self._state.process_index

    @functools.cached_property
    def _state(self) -> "PartialState":
        import torch
        from accelerate import PartialState

        options: dict[str, Any] = {"timeout": _LONGEST_WAIT}
        cpu = self.num_processes > 1 and not torch.accelerator.is_available()
        try:
            if cpu and all(map(os.environ.get, _MEETING)) and not torch.distributed.is_initialized():
                _connect()
            return PartialState(cpu=cpu, **options)
        except (ValueError, RuntimeError, KeyError) as error:
            raise TransferabilityError(
                f"the processes cannot be connected: {first_line(error)}. Start with `torchrun`, or unset WORLD_SIZE, RANK and "
                "LOCAL_RANK."
            ) from error

    @property
    def device(self) -> "torch.device":
        """Where this process computes."""
        return self._state.device

    @property
    def accelerator(self) -> "torch.device | None":
        """The device, if something has asked for it and it is not the processor; asking here imports nothing."""
        return self.device if "_state" in vars(self) and self.device.type != "cpu" else None

    @property
    def is_main_process(self) -> bool:
        """Whether this process resolves names, scores and prints."""
        return self.process_index == 0

    @property
    def is_first_elsewhere(self) -> bool:
        """Whether this process is the first of a machine that is not the main process's."""
        return self.process_index > 0 and self._state.is_local_main_process

    def main_first(self) -> contextlib.AbstractContextManager:
        """A block that the main process leaves before the others enter it."""
        return self._state.main_process_first() if self.num_processes > 1 else contextlib.nullcontext()

    def local_main_first(self) -> contextlib.AbstractContextManager:
        """A block that one process of each machine leaves before the others there enter it."""
        return self._state.local_main_process_first() if self.num_processes > 1 else contextlib.nullcontext()

    def wait_for_everyone(self) -> None:
        """Return when every process has come here."""
        if self.num_processes > 1:
            self._state.wait_for_everyone()

    def close(self) -> None:
        """End the connection to the others, after the last thing that they share."""
        if self.num_processes > 1:
            self._state.destroy_process_group()

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in their order."""
        if self.num_processes == 1:
            return [value]
        from accelerate.utils import gather_object

        return gather_object([value])

    def broadcast(self, value: Any) -> Any:
        """The value of the main process, in every process."""
        if self.num_processes == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]
