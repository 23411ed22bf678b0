"""What made a number: versions of packages, hardware and date."""

import contextlib
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "hf-transferability", "torch", "transformers", "timm", "datasets", "accelerate", "huggingface-hub",
    "scikit-learn", "scipy", "numpy", "pillow", "torchvision",
)  # fmt: skip


def package_versions() -> dict[str, str]:
    """Versions of everything that can change a number."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: str = "cpu", processes: int = 1) -> str:
    """What networks run on, in words: the model of the GPU or CPU, and how many of them share the work."""
    name = ""
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    elif device == "cpu":
        with contextlib.suppress(OSError):
            found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
            name = found[1].strip() if found else ""
        name = name or platform.processor() or platform.machine()
    return f"{f'{processes} x ' if processes > 1 else ''}{f'{name} ({device})' if name else device}"


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
