"""Requests that fill the form at one click: datasets and checkpoints of the Hub, within the page's limits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A dataset with checkpoints that are worth comparing on it; `title` is what its button says."""

    title: str
    dataset: str
    checkpoints: tuple[str, ...]


EXAMPLES = (
    Example(
        "chest X-rays, four architectures",
        "hf-vision/chest-xray-pneumonia",
        ("microsoft/resnet-18", "microsoft/resnet-50", "timm/densenet121.tv_in1k", "timm/convnext_tiny.fb_in1k"),
    ),
    Example(
        "brain MRI, one architecture trained in four ways",
        "sartajbhuvaji/Brain-Tumor-Classification",
        (
            "timm/resnet18.tv_in1k", "timm/resnet18.a1_in1k", "timm/resnet18.fb_ssl_yfcc100m_ft_in1k",
            "timm/resnet18.fb_swsl_ig1b_ft_in1k",
        ),
    ),
)  # fmt: skip
