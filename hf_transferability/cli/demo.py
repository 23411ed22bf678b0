"""`hf-transferability demo`: make small checkpoints and a target, and rank them."""

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from hf_transferability.cli.options import OutputOptions, add_output, seed, taken
from hf_transferability.cli.output import check_files, print_ranking, reported
from hf_transferability.errors import UsageError

# Without these the table fits 100 columns; --format json has them.
_LEFT_OUT = ("90% interval", "tie group", "features", "parameters", "licence", "commit", "seconds")


def add(commands: Any) -> None:
    """Add the command."""
    run = commands.add_parser(
        "demo",
        help="make small checkpoints and a target, and rank them: no network, no account",
        description="Make small real checkpoints and a target on this machine, and rank them by the same code as any others.",
        allow_abbrev=False,
    )
    run.set_defaults(run=_demo)
    run.add_argument("--verify", action="store_true", help="fine-tune each checkpoint and say how well the ranking agrees")
    run.add_argument(
        "--keep", metavar="DIR", help="make the demo in this folder and keep it, with ranking.json (default: a temporary one)"
    )
    run.add_argument("--seed", type=seed, default=0, help="decides everything random (default: 0)")
    add_output(run)


def _demo(options: argparse.Namespace) -> int:
    output = taken(OutputOptions, options)
    check_files(output)
    aucs: dict[str, float] = {}
    with reported() as progress:
        from hf_transferability.demo import run as demo
        from hf_transferability.demo import verifying

        with contextlib.ExitStack() as stack:
            try:
                made = stack.enter_context(demo.run(options.keep, options.seed, progress.note))
            except ValueError as error:  # a folder with something else in it
                raise UsageError(str(error)) from error
            if options.keep:
                progress.note(f"this command does what follows: {made.command}")
            ranking = made.rank(options.seed, progress)
            if options.keep:
                saved = Path(options.keep) / "ranking.json"
                ranking.save(saved)
                progress.note(f"written: {saved}")
            if options.verify:
                progress.stage("fine-tuning every checkpoint")
                aucs = verifying.verify(made.target, made.checkpoints, options.seed, progress.note)
    status = print_ranking(ranking, output, leave_out=_LEFT_OUT)
    stream = sys.stdout if output.format == "table" else sys.stderr
    if aucs:
        _print_aucs(ranking.rows, aucs, stream)
    print(f"\n{verifying.conclusion(ranking.rows, aucs)}", file=stream)
    return status


def _print_aucs(rows: Sequence[dict[str, Any]], aucs: Mapping[str, float], stream: TextIO) -> None:
    from hf_transferability.demo.verifying import REPEATS, agreement

    print(f"\nfine-tuned performance (test AUC, mean of {REPEATS} runs, 0.5 for guessing), best first:", file=stream)
    for checkpoint, auc in sorted(aucs.items(), key=lambda item: -item[1]):
        print(f"  {auc:.3f}  {checkpoint}", file=stream)
    print("agreement of ranking and fine-tuning (weighted Kendall tau, 1 for the same order, 0 for chance):", file=stream)
    for with_untrained, text in ((True, "all checkpoints"), (False, "without the untrained one")):
        tau = agreement(rows, aucs, with_untrained=with_untrained)
        print(f"  {tau if isinstance(tau, str) else f'{tau:.2f}'}  {text}", file=stream)
