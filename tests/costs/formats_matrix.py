"""The matrix of formats: every layout in miniature against the embedding of its own library, as a table.

    .venv/bin/python tests/costs/formats_matrix.py [--only TEXT]

Each repository is made offline by its real library. `difference` is relative to the largest value of that library's embedding.
Exit status 1 if anything is not as it should be. tests/checkpoints/test_format_matrix.py checks these cases but for
some slow ones.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # for helpers

from helpers.format_cases_timm import all_cases
from helpers.format_comparison import compare

warnings.simplefilter("ignore")  # of the libraries that make the folders


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose layout and name hold this text")
    options = parser.parse_args()
    cases = [case for case in all_cases() if options.only.lower() in f"{case.layout}: {case.name}".lower()]
    print("| layout | network | the library's embedding | difference | layers | pooling | source probabilities | outcome |")
    print("|---|---|---|---|---|---|---|---|")
    n_wrong = 0
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            result = compare(case, Path(folder))
        n_wrong += bool(result.problems)
        outcome = "wrong: " + ", ".join(result.problems) if result.problems else "refused" if result.error else "equal"
        difference = "" if result.difference is None else f"{result.difference:.0e}"
        loaded = [difference, result.layers, result.pooling, "yes" if result.probabilities else "no"]
        cells = [case.layout, case.name, case.embedding, *([""] * 4 if result.error else loaded), outcome]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(f"\n{len(cases) - n_wrong} of {len(cases)} as they should be")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
