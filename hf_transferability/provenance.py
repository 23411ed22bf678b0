"""Provenance of a number: versions of packages, hardware and date; and the paper to cite."""

import contextlib
import platform
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "hf-transferability", "torch", "transformers", "timm", "datasets", "accelerate", "huggingface-hub",
    "scikit-learn", "scipy", "numpy", "pillow", "torchvision",
)  # fmt: skip


# BibTeX of the paper whose metric this is: in the cards, on the page and in the evaluate module.
CITATION = """\
@article{juodelyte2024dataset,
  title = {On dataset transferability in medical image classification},
  author = {Juodelyte, Dovile and Ferrante, Enzo and Lu, Yucheng and Singh, Prabhant and Vanschoren, Joaquin and
            Cheplygina, Veronika},
  journal = {arXiv preprint arXiv:2412.20172},
  year = {2024}
}
"""


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a number."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def hardware(device: str = "cpu") -> str:
    """The hardware of one process in words: the model of the GPU or CPU."""
    name = ""
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    elif device == "cpu":
        with contextlib.suppress(OSError):
            match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
            name = match[1].strip() if match else ""
        name = name or platform.processor() or platform.machine()
    return f"{name} ({device})" if name else device


def together(hardware: Iterable[str]) -> str:
    """The hardware of several processes in words, such as "2 x NVIDIA L4 (cuda) and AMD EPYC (cpu)"."""
    counts = Counter(hardware)
    return " and ".join(f"{f'{number} x ' if number > 1 else ''}{name}" for name, number in counts.items())


def now() -> str:
    """The current time in UTC, as ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
