"""The program: `hf-transferability`, and `python -m hf_transferability` for `accelerate launch -m` and `torchrun -m`."""

import sys

from hf_transferability import signals


def main() -> int:
    """Run the command line; signals are handled before anything that takes time is imported."""
    signals.install()
    from hf_transferability.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
