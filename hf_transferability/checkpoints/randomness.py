"""Random numbers for weights that are drawn only to be replaced."""

import functools
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class OwnRandomness(TorchDispatchMode):
    """A block in which this thread draws from a generator of its own, and leaves that of the program as it is.

    Building a network draws its first weights, and torch has one generator for all threads: without this, a thread that builds
    one would change what another thread draws meanwhile, at a different place in each run.
    """

    def __init__(self) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(0)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in function.tags and kwargs.get("generator") is None and _on_cpu(args, kwargs):
            drawing = _with_generator(function)
            if drawing is not None:
                return drawing(*args, **kwargs | {"generator": self._generator})
        return function(*args, **kwargs)


@functools.cache
def _with_generator(function: Any) -> Any:
    """The form of an operation that takes a generator; None if there is none."""

    def names(form: Any) -> list[str]:
        return [argument.name for argument in form._schema.arguments]

    own = names(function)
    if "generator" in own:
        return function
    packet = function.overloadpacket
    forms = [getattr(packet, name) for name in packet.overloads()]
    return next((form for form in forms if [name for name in names(form) if name != "generator"] == own != names(form)), None)


def _on_cpu(args: Any, kwargs: Any) -> bool:
    """Whether an operation draws on the CPU: another device has a generator of its own, and "meta" draws nothing."""
    if (device := kwargs.get("device")) is not None:
        return torch.device(device).type == "cpu"
    return all(value.device.type == "cpu" for value in args if isinstance(value, torch.Tensor))
