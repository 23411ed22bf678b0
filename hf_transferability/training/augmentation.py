"""Random views of training images, by the kinds of change that the paper uses for fine-tuning."""

import torch
from torchvision.transforms import v2

_GROUP_SIZE = 8  # images that share one random draw of each change, which makes small images eight times cheaper


class Augmentation:
    """Horizontal flip, random resized crop, rotation by 0 to 5 degrees, sharpness, autocontrast and equalisation.

    The paper (arXiv 2412.20172) names these six changes. Their strengths are our choice: crops of 60 to 100% of the area,
    doubled sharpness, and the last three with probability 1/2 each. Groups of 8 images in a batch share one random draw;
    batches are shuffled.

    Args:
        size: height and width of the images in pixels, or the side of square ones.
    """

    def __init__(self, size: int | tuple[int, int]):
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
        """New random views of images uint8 [n, 3, height, width], drawn from torch's CPU generator."""
        return torch.cat([self._change(group) for group in pixels.split(_GROUP_SIZE)])
