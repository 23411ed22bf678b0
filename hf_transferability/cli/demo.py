"""`hf-transferability demo`: make small checkpoints and a target, and rank them."""

import argparse
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hf_transferability.cli.options import OutputOptions, add_output, seed, taken
from hf_transferability.cli.output import check_files, print_ranking, printing, reported
from hf_transferability.cli.streams import say
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    from hf_transferability.ranking.result import Ranking

_WIDTH = 100  # characters of the table where stdout is no terminal


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
            progress.stage("making the demo")
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
    status = print_ranking(ranking, output, width=None if sys.stdout.isatty() else _WIDTH)
    stream = sys.stdout if output.format == "table" else sys.stderr
    if aucs:
        _print_aucs(ranking, aucs, stream)
    with printing():
        print(f"\n{verifying.conclusion(ranking.rows, aucs)}", file=stream)
    for line in _what_next(bool(aucs), options.keep):
        say(line)
    return status


def _what_next(verified: bool, kept: str | None) -> list[str]:
    """What a newcomer may try now."""
    verify = [] if verified else ["next: add --verify to fine-tune each checkpoint, and see which order was right."]
    keep = [] if kept else ["next: add --keep DIR to keep the images, the checkpoints and ranking.json, which were temporary."]
    own = "next: hf-transferability rank FOLDER microsoft/resnet-18 timm/resnet18.tv_in1k, with your images in FOLDER/CLASS."
    return [*verify, *keep, own]


def _print_aucs(ranking: "Ranking", aucs: Mapping[str, float], stream: TextIO) -> None:
    """What fine-tuning gave, and how near to it the order by each metric of the table comes."""
    from hf_transferability.demo.verifying import REPEATS, agreement, best_first
    from hf_transferability.metrics import all_metrics
    from hf_transferability.reporting.terminal import print_figures

    print(f"\nfine-tuned performance (test AUC, mean of {REPEATS} runs, 0.5 for guessing), best first:", file=stream)
    for checkpoint, auc in sorted(aucs.items(), key=lambda item: -item[1]):
        print(f"  {auc:.3f}  {checkpoint}", file=stream)
    print("\nwhich order was right (weighted Kendall tau with fine-tuning: 1 for the same order, 0 for chance):\n", file=stream)
    rows, known = ranking.rows, all_metrics()
    lines = []
    for metric in dict.fromkeys([ranking.metric, *(name for name in rows[0] if name in known)]):
        taus = [agreement(rows, aucs, with_untrained=all_of_them, metric=metric) for all_of_them in (True, False)]
        shown = ["-" if isinstance(tau, str) else f"{tau:.2f}" for tau in taus]
        lines.append([known[metric].label, *shown, "yes" if best_first(rows, aucs, metric) else "no"])
    print_figures(("order by", "all", "without the untrained one", "best one first"), lines, stream)
