"""A CUDA card that is not there: tensors that say they are on it, compute on the processor, and refuse to be mixed.

With it a test catches what would fail on a card only: an operation on tensors of two devices, a tensor made on the wrong one,
an array read without a copy. It knows nothing of time, streams or memory, and autograd refuses to
go back over it.
"""

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from hf_transferability.extraction import transfers

CARD = torch.device("cuda:0")
FREE = 8 * 2**30  # bytes that the card says it has


class OnCard(torch.Tensor):
    """A tensor of the processor that claims to be on the card."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "OnCard":
        place = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, **place, dtype=inner.dtype, device=CARD)

    def __init__(self, inner: torch.Tensor):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})

    def tolist(self) -> Any:
        return self.inner.tolist()

    def record_stream(self, stream: Any) -> None:
        pass


class _Card(TorchDispatchMode):
    _mode_key = torch._C._TorchDispatchModeKey.FAKE  # else torch looks for a driver when it meets a device of this kind

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = function.overloadpacket.__name__
    tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
    on_card = [value for value in tensors if isinstance(value, OnCard)]
    elsewhere = [value for value in tensors if not isinstance(value, OnCard) and value.ndim]
    if on_card and elsewhere and name not in ("_to_copy", "copy_"):
        raise RuntimeError(f"{function} got tensors of the card and of the processor")
    asked = kwargs.get("device")
    there = bool(on_card) if asked is None else torch.device(asked).type == CARD.type
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    if asked is None or torch.device(asked).type == "cpu" or there:
        kwargs = {key: value for key, value in kwargs.items() if key != "pin_memory"}
    result = function(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if name.endswith("_") and not name.startswith("_"):  # in place
        return args[0]
    return tree_map(lambda value: OnCard(value) if there and isinstance(value, torch.Tensor) else value, result)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, OnCard) else value


@contextlib.contextmanager
def pretend_card() -> Iterator[torch.device]:
    """A block in which there is such a card, for this thread; it gives the device."""
    torch._C._ensureCUDADeviceGuardSet()
    stream = SimpleNamespace(wait_stream=lambda other: None)
    swapping = torch.__future__.get_swap_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "Stream": lambda *args, **options: stream,
            "stream": lambda given: contextlib.nullcontext(),
            "current_stream": lambda device=None: stream,
            "get_device_name": lambda device=None: "pretended card",
            "mem_get_info": lambda device=None: (FREE, FREE),
            "memory_reserved": lambda device=None: 0,
            "memory_allocated": lambda device=None: 0,
            "max_memory_allocated": lambda device=None: 2**30,
            "reset_peak_memory_stats": lambda device=None: None,
        }.items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            with _Card(), torch.backends.cudnn.flags(enabled=False):  # it has none of cuDNN's kernels
                yield CARD
        finally:
            torch.__future__.set_swap_module_params_on_conversion(swapping)
            transfers._copying.cache_clear()
