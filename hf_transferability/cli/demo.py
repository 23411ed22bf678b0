"""`hf-transferability demo`: make small checkpoints and a target, and rank them."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hf_transferability.cli.options import add_output, seed
from hf_transferability.cli.output import check_files, print_ranking, reported
from hf_transferability.errors import UndefinedAgreement, UsageError

if TYPE_CHECKING:
    from hf_transferability.ranking.result import Ranking


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
    run.add_argument("--seed", type=seed, default=0, help="of everything random (default: 0)")
    add_output(run)


def _demo(options: argparse.Namespace) -> int:
    check_files(options)
    aucs: dict[str, float] = {}
    with reported() as progress:
        from hf_transferability.demo import run as demo
        from hf_transferability.ranking.run import rank

        with contextlib.ExitStack() as stack:
            try:
                made = stack.enter_context(demo.run(options.keep, options.seed, progress.note))
            except ValueError as error:  # a folder with something else in it, or a negative seed
                raise UsageError(str(error)) from error
            if options.keep:
                progress.note(f"now what this command would do: {made.command}")
            ranking = rank(made.target, made.checkpoints, seed=options.seed, progress=progress)
            if options.keep:
                saved = Path(options.keep) / "ranking.json"
                ranking.save(saved)
                progress.note(f"written: {saved}")
            if options.verify:
                progress.stage("fine-tuning every checkpoint")
                aucs = demo.verify(made.target, made.checkpoints, options.seed, progress.note)
    status = print_ranking(ranking, options)
    if aucs:
        _print_agreement(ranking, aucs, sys.stdout if options.format == "table" else sys.stderr)
    return status


def _print_agreement(ranking: "Ranking", aucs: dict[str, float], stream: TextIO) -> None:
    from hf_transferability.agreement import weighted_tau
    from hf_transferability.demo.run import REPEATS, UNTRAINED

    print(f"\nfine-tuned performance (test AUC, mean of {REPEATS} runs, 0.5 for guessing), best first:", file=stream)
    for checkpoint, auc in sorted(aucs.items(), key=lambda item: -item[1]):
        print(f"  {auc:.3f}  {checkpoint}", file=stream)
    scores = {row["checkpoint"]: row["score"] for row in ranking.rows if row["score"] is not None}
    trained = [checkpoint for checkpoint in scores if Path(checkpoint).name != UNTRAINED]
    # The untrained one has no score, but is listed last. It is easier to tell from the others than they are, so the agreement
    # is also given without it.
    last = min(scores.values(), default=0.0) - 1
    scores |= {row["checkpoint"]: last for row in ranking.rows if row.get("untrained")}
    for chosen, text in ((list(scores), "with"), (trained, "without")):
        try:
            tau = f"{weighted_tau([scores[each] for each in chosen], [aucs[each] for each in chosen]):.2f}"
        except UndefinedAgreement as error:
            tau = f"undefined: {error}"
        print(
            f"agreement of ranking and fine-tuning, {text} the untrained one (weighted Kendall tau, -1 to 1): {tau}",
            file=stream,
        )
