"""Answering from the cache loads no library of networks."""

import os
import subprocess
import sys

from hf_transferability import rank

HEAVY = ("torch", "torchvision", "transformers", "timm", "accelerate")
COMMAND = """
import sys
from hf_transferability.cli import main

status = main(sys.argv[1:])
print(*(name for name in {heavy} if name in sys.modules), file=sys.stderr)
sys.exit(status)
"""


def test_an_answer_from_the_cache_imports_no_torch(make_target, make_checkpoint, tmp_path):
    target, checkpoint = make_target(n=24, n_classes=2), make_checkpoint()
    expected = rank(target, [checkpoint], metrics=["consensus", "logme", "leep"], cache_dir=tmp_path)
    words = ["rank", str(target), str(checkpoint), "--cache-dir", str(tmp_path), "--format", "csv"]
    words += ["--metric", "consensus", "--metric", "logme", "--metric", "leep"]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(heavy=HEAVY), *words],
        capture_output=True, text=True, check=False, env=os.environ, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{expected.rows[0]['logme']:.6f}"[:6] in done.stdout
    assert "from the cache" in done.stderr
    assert done.stderr.splitlines()[-1] == "", f"imported: {done.stderr.splitlines()[-1]}"
