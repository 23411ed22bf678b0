"""The size of the images that a network takes: its own, or another one for which its positions are interpolated."""

import math
from typing import Any

import torch
from torch import nn
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hf_transferability.checkpoints.checkpoint import Checkpoint, Inputs
from hf_transferability.errors import ImageSizeError, first_line

_INTERPOLATED = {"interpolate_pos_encoding": True}  # argument of transformers' networks
_COLOURS = 3


def size_of(checkpoint: Checkpoint, inputs: Any) -> tuple[int, int]:
    """Height and width in pixels that a square image has in the network's input.

    Args:
        checkpoint: a network with its processor.
        inputs: what the processor made of a square image.
    """
    if isinstance(inputs, Inputs):
        height, width = inputs["spatial_shapes"][0].tolist()
        return height * checkpoint.processor.patch_size, width * checkpoint.processor.patch_size
    return inputs.shape[-2], inputs.shape[-1]


def set_size(checkpoint: Checkpoint, size: int, square: list[Any]) -> None:
    """Make a checkpoint take square images of another size: its processor gives them, and its positions are interpolated.

    Args:
        checkpoint: a network with its processor; both are changed.
        size: side of the images in pixels.
        square: two square images, to try it with.

    Raises:
        ImageSizeError: the processor or the network cannot.
    """
    try:
        checkpoint.processor = _resized(checkpoint.processor, size)
        inputs = checkpoint.preprocess(square)
        if size_of(checkpoint, inputs) != (size, size):
            raise ValueError(f"its processor gives {' x '.join(map(str, size_of(checkpoint, inputs)))} pixels")
        inner: Any = getattr(checkpoint.network, "timm_model", None)
        if hasattr(inner, "set_input_size"):
            inner.set_input_size(img_size=(size, size))
        checkpoint.run_options = _accepted(checkpoint, inputs)
        _check_border(checkpoint, inputs, size)
    except Exception as error:
        if "channel" in str(error):
            raise  # no size helps
        raise ImageSizeError(
            f"{checkpoint.name} cannot take images of {size} x {size} pixels: {_reason(error)}. "
            "Leave out --image-size, or name another."
        ) from error


def _reason(error: Exception) -> str:
    """Why a network does not take a size, in a few words."""
    if "size of tensor" in str(error):  # torch names the sizes of two tensors that nobody outside the network knows
        return "its windows or positions have a fixed size"
    return first_line(error)


def _accepted(checkpoint: Checkpoint, inputs: Any) -> dict[str, Any]:
    """The arguments with which the network takes the inputs; the error of a call without any where none work."""
    is_timm = hasattr(checkpoint.network, "timm_model")
    failure: Exception | None = None
    for options in ({},) if is_timm else (_INTERPOLATED, {}):
        checkpoint.run_options = options
        try:
            with torch.no_grad():
                checkpoint.run(inputs)
            return options
        except Exception as error:  # each family of networks raises its own types
            failure = error
    assert failure is not None
    raise failure


def _check_border(checkpoint: Checkpoint, inputs: Any, size: int) -> None:
    """Refuse a size whose last rows and columns no patch covers: a first convolution as wide as its step drops them in silence.

    Raises:
        ValueError: it names the nearest sizes that are covered.
    """
    steps: list[int] = []

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(module, nn.Conv2d)
        unpadded = module.padding in ((0, 0), "valid") and module.kernel_size == module.stride
        steps.extend(step for step, side in zip(module.stride, given[0].shape[-2:], strict=True) if unpadded and side % step)

    convolutions = (module for module in checkpoint.network.modules() if isinstance(module, nn.Conv2d))
    handles = [module.register_forward_pre_hook(look) for module in convolutions if module.in_channels == _COLOURS]
    try:
        with torch.no_grad():
            checkpoint.run(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if steps:
        below = size // steps[0] * steps[0]
        nearest = " or ".join(str(side) for side in (below, below + steps[0]) if side)
        raise ValueError(f"the size must be a multiple of its patch size of {steps[0]}, such as {nearest}")


def _resized(processor: Any, size: int) -> Any:
    """A copy of an image processor that gives square images of another size, with the same share cropped."""
    if isinstance(processor, TimmWrapperImageProcessor):
        return TimmWrapperImageProcessor({**processor.data_config, "input_size": (3, size, size)}, processor.architecture)  # type: ignore[attr-defined]
    changes: dict[str, Any] = {}
    if getattr(processor, "max_num_patches", None):
        if size % processor.patch_size:
            raise ValueError(f"the size must be a multiple of its patch size of {processor.patch_size}")
        changes["max_num_patches"] = (size // processor.patch_size) ** 2
    else:
        own, crop = _sides(processor.size), _sides(getattr(processor, "crop_size", None))
        square = {"height": size, "width": size}
        cropped = crop and getattr(processor, "do_center_crop", False)
        scale = size / min(crop.values()) if cropped else 0.0
        changes["size"] = {name: math.ceil(value * scale) if cropped else size for name, value in own.items()}
        if crop:
            changes["crop_size"] = square
        if getattr(processor, "pad_size", None):
            changes["pad_size"] = square
    return type(processor).from_dict({**processor.to_dict(), **changes})


def _sides(size: Any) -> dict[str, int]:
    """The entries of a processor's size that are set, such as height and width or shortest_edge."""
    entries = dict(size) if size else {}
    return {name: int(value) for name, value in entries.items() if value}
