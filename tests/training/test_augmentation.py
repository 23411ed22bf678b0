"""Random views of training images."""

import torch

from hf_transferability.training.augmentation import Augmentation


def test_augmentation_changes_images_but_not_their_shape_and_type():
    pixels = torch.randint(256, (19, 3, 16, 16), dtype=torch.uint8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = Augmentation(16)(pixels), Augmentation(16)(pixels)
    assert first.shape == pixels.shape and first.dtype == torch.uint8
    assert not torch.equal(first, pixels) and not torch.equal(first, second)
