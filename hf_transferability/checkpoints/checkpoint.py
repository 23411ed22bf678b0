"""A loaded network: images in, features and source logits out."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from hf_transferability.checkpoints.pooling import Embedding
from hf_transferability.checkpoints.tracing import GradientLayer, pooled
from hf_transferability.errors import CheckpointError, first_line


class Inputs(dict[str, torch.Tensor]):
    """Several input tensors of one batch, for networks that take more than pixels; moves and counts like one tensor."""

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.values())

    def to(self, device: torch.device | str) -> "Inputs":
        return Inputs({name: value.to(device) for name, value in self.items()})


@dataclass
class Checkpoint:
    """A loaded network, ready to give features, source logits and gradients.

    Attributes:
        head: the module that makes the source logits, whose input is the features; None without one.
        layers: first and second layer of the feature update ratio; fewer if the network has no two such layers.
        facts: what a row of results records about it: architecture, signature, n_features, parameters, licence, pooling ...
        flags: flag -> detail.
        embedding: where the features come from without a head.
        input_names: the processor's outputs that the network takes.
        image_size: height and width in pixels of a square image in the network's input.
        run_options: arguments of the network's forward beside the inputs.
    """

    name: str
    network: nn.Module
    processor: Any
    head: nn.Module | None
    has_source_head: bool
    layers: list[GradientLayer]
    facts: dict[str, Any]
    flags: dict[str, str]
    embedding: Embedding | None = None
    input_names: tuple[str, ...] = ("pixel_values",)
    image_size: tuple[int, int] = (0, 0)
    run_options: dict[str, Any] = field(default_factory=dict)

    def preprocess(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Images as the network's input, on the CPU.

        Args:
            images: uint8 [height, width, 3], of any sizes.

        Returns:
            float32 [batch, 3, height, width]; `Inputs` of several tensors for a network that takes patches and their positions.

        Raises:
            CheckpointError: the processor fails, does not bring them to one size, or gives several inputs for one image.
        """
        advice = "Check its preprocessor_config.json, or lend another's with --processor."
        try:
            batch = self.processor([Image.fromarray(image) for image in images], return_tensors="pt")
        except (ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"{type(self.processor).__name__} of {self.name} cannot preprocess the images: {first_line(error)}. {advice}"
            ) from error
        forms = [tuple(getattr(batch.get(name), "shape", ())) for name in self.input_names]
        if any(len(form) < 2 or form[0] != len(images) for form in forms):
            got = ", ".join(f"{name} {list(form)}" for name, form in zip(self.input_names, forms, strict=True))
            raise CheckpointError(
                f"{type(self.processor).__name__} of {self.name} must give one input of one size for each image; "
                f"got {got or 'none'} for {len(images)} images. {advice}"
            )
        if self.input_names == ("pixel_values",):
            return batch["pixel_values"]
        return Inputs({name: batch[name] for name in self.input_names})  # type: ignore[return-value]

    @contextlib.contextmanager
    def gradients(self) -> Iterator[None]:
        """Within the block, passes keep what the gradients of the two layers need, and of no other weight."""
        weights = [layer.weight for layer in self.layers]
        for weight in weights:
            weight.requires_grad_(True)
        try:
            with torch.enable_grad():
                yield
        finally:
            for weight in weights:
                weight.requires_grad_(False)

    def run(self, pixels: torch.Tensor) -> Any:
        """The network's own output for preprocessed images."""
        inputs = pixels if isinstance(pixels, dict) else {"pixel_values": pixels}
        return self.network(**inputs, **self.run_options)

    def from_images(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images as the network's input, without a processor.

        Args:
            images: float32 [batch, 3, height, width].

        Returns:
            The images; for a network that takes patches and their positions, `Inputs` with all patches of each image.
        """
        if self.input_names == ("pixel_values",):
            return images
        side = self.processor.patch_size
        n, channels, height, width = images.shape
        rows, columns = height // side, width // side
        patches = images.reshape(n, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
        values = {
            "pixel_values": patches.reshape(n, rows * columns, side * side * channels),
            "pixel_attention_mask": torch.ones((n, rows * columns), dtype=torch.int32, device=images.device),
            "spatial_shapes": torch.tensor([[rows, columns]] * n, device=images.device),
        }
        return Inputs({name: values[name] for name in self.input_names})  # type: ignore[return-value]

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features [batch, n_features] and source logits [batch, n_source_classes] (None without a source head)."""
        if self.head is None:
            assert self.embedding is not None
            return self.embedding.read(self.network, self.run(pixels)), None
        head_inputs: list[torch.Tensor] = []
        convolution = isinstance(self.head, nn.Conv2d)
        handle = self.head.register_forward_pre_hook(lambda module, inputs: head_inputs.append(inputs[0]))
        try:
            logits = self.run(pixels).logits
        finally:
            handle.remove()
        features = pooled(head_inputs[-1], channels_first=convolution)
        return features, logits.flatten(1) if self.has_source_head else None
