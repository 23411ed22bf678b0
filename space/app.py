"""The Space. All of it is in the package, `hf_transferability.space`; this file only starts it."""

import os
import sys
import tempfile
import zipfile
from pathlib import Path

# The Hub installs requirements.txt before it copies the other files, so the package is a wheel that is unpacked here.
for wheel in Path(__file__).parent.glob("hf_transferability-*.whl"):
    sys.path.insert(0, tempfile.mkdtemp(prefix="hf-transferability-"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(sys.path[0])

# The benchmarks with their agreement, computed at publication; the variable may name others.
if (benchmarks := Path(__file__).with_name("benchmarks.parquet")).is_file():
    os.environ.setdefault("HF_TRANSFERABILITY_BENCHMARK", str(benchmarks))

from hf_transferability.space.page import launch  # noqa: E402

if __name__ == "__main__":
    launch()
