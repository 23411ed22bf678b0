"""The matrix of bad input: every case through its door, one line each, and totals.

Run from a checkout, in about ten minutes: python tests/bad_input/matrix.py [KIND ...] [--only TEXT] [--every N]
[--seed N] [--bad]
--only: cases whose name holds the text. --bad: print only what is wrong. Exit status: 1 if a case is wrong.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # not this folder, whose modules are named as libraries are
_HOME = tempfile.TemporaryDirectory(prefix="bad-input-")
os.environ |= {"HF_HOME": f"{_HOME.name}/hub", "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}
os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
os.environ |= {"HF_HUB_VERBOSITY": "error", "DATASETS_VERBOSITY": "error"}

from bad_input import cases, outcomes  # noqa: E402


def main() -> int:
    """Run the cases of the kinds that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(cases.KINDS)}; default all")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th case of each kind, for a quick look")
    parser.add_argument("--seed", type=int, default=0, help="of the damage at random; another seed, other damage")
    parser.add_argument("--bad", action="store_true", help="print only what is wrong")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(cases.KINDS):
        parser.error(f"unknown kinds: {', '.join(sorted(unknown))}")
    totals: dict[str, Counter] = {}
    folder = Path(_HOME.name)
    seen: Counter = Counter()
    for case in cases.of_kinds(options.kinds or cases.KINDS, folder, options.seed):
        if options.only not in case.name:
            continue
        seen[case.kind] += 1
        if seen[case.kind] % options.every:
            continue
        outcome = outcomes.run(case, folder / "cases" / case.kind)
        totals.setdefault(case.kind, Counter())[outcome.kind] += 1
        if not (options.bad and outcome.good):
            shown = outcome.text.encode("ascii", "backslashreplace").decode()
            name = case.name.encode("ascii", "backslashreplace").decode()
            print(f"{case.kind:13} {outcome.kind:12} {name}: {shown}", flush=True)
    for kind, counts in totals.items():
        listed = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        print(f"{kind}: {counts.total()} cases: {listed}")
    every = sum(totals.values(), Counter())
    wrong = sum(count for name, count in every.items() if name not in outcomes.GOOD)
    print(f"all: {every.total()} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
