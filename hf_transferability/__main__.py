"""The program: `hf-transferability`, and `python -m hf_transferability` for `accelerate launch -m` and `torchrun -m`."""

import os
import sys

from hf_transferability import signals


def main() -> int:
    """Run the command line; signals are handled before anything that takes time is imported."""
    signals.install()
    # Read when GNU's OpenMP starts. Its threads spin between two layers, on the cores that score candidates: as long as most
    # layers take, and no longer. Threads that sleep at once make a network slower, those that spin on make scoring slower.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from hf_transferability.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
