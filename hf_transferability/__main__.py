"""The program: `hf-transferability`, and `python -m hf_transferability` for `accelerate launch -m` and `torchrun -m`."""

import os
import sys

from hf_transferability import signals


def main() -> int:
    """Run the command line; signals are handled before anything that takes time is imported."""
    signals.install()
    # Read when OpenMP starts. Its threads would otherwise spin between two layers, on the cores that score candidates.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hf_transferability.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
