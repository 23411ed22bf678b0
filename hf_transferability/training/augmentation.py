"""The random views of training images: the kinds of change that the paper's fine-tuning makes, on tensors."""

import torch
from torchvision.transforms import v2

_TOGETHER = 8  # neighbours in a batch that share one draw of each change, which makes small images eight times cheaper


class Augmentation:
    """Horizontal flip, random resized crop, rotation by 0 to 5 degrees, sharpness, autocontrast and equalisation.

    The paper (arXiv 2412.20172) names these six; their strengths are ours: 60 to 100 % of the area, sharpness doubled, the
    last three each in every second group of images. A draw holds for 8 neighbours of a batch, and batches are shuffled.

    Args:
        size: side of the square images, in pixels.
    """

    def __init__(self, size: int):
        self._change = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomResizedCrop(size, scale=(0.6, 1.0), ratio=(0.9, 1.1), antialias=True),
                v2.RandomRotation((0, 5)),
                v2.RandomAdjustSharpness(2),
                v2.RandomAutocontrast(),
                v2.RandomEqualize(),
            ]
        )

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Other views of images uint8 [n, 3, size, size], drawn from torch's generator of the CPU."""
        return torch.cat([self._change(group) for group in pixels.split(_TOGETHER)])
