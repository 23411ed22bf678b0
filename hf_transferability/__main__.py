"""`python -m hf_transferability`, so that `accelerate launch -m` and `torchrun -m` can start it."""

import sys

from hf_transferability.cli import main

if __name__ == "__main__":
    sys.exit(main())
