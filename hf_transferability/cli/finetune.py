"""`hf-transferability finetune`: the fine-tuned performance of checkpoints, as ground truth for a comparison."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.options import (
    add_dataset_options,
    add_loading,
    dataset_options,
    load_options,
    number,
    positive,
    seed,
)
from hf_transferability.cli.output import printing, reported
from hf_transferability.cli.streams import say
from hf_transferability.names import SCENARIOS

if TYPE_CHECKING:
    import pandas as pd


def add(commands: Any) -> None:
    """Add the command."""
    finetune = commands.add_parser(
        "finetune",
        help="fine-tune checkpoints on a dataset by the paper's protocol: ground truth of your own",
        description="Fine-tune each checkpoint with every setting of a grid and several seeds, choose by validation, and test "
        "once. Each run is saved when it ends: start the same command again to continue after a stop, or several times at "
        "once (by hand, or with accelerate, one per GPU) to divide the runs.",
        epilog="exit status: 0 all runs ended (some may diverge), 1 a run failed or the data cannot be read, 2 wrong usage",
        allow_abbrev=False,
    )
    finetune.set_defaults(run=_finetune)
    finetune.add_argument("--dataset", metavar="DATASET", required=True, help="target: Hub id or local folder")
    finetune.add_argument(
        "--checkpoint", action="append", dest="checkpoints", metavar="CHECKPOINT", required=True,
        help="Hub id or local folder; repeatable",
    )  # fmt: skip
    finetune.add_argument(
        "--output", metavar="DIR", required=True,
        help="folder for TARGET/SOURCE/run-*.json, and runs.parquet and ground_truth.parquet of all its runs",
    )  # fmt: skip
    finetune.add_argument(
        "--grid",
        metavar="small|paper|FILE.json",
        default="small",
        help='6 settings, the paper\'s 120, or your own: {"batch_size": [32], "learning_rate": [0.01, 0.1], "momentum": [0.9], '
        '"weight_decay": [0]} for all combinations (default: small)',
    )
    finetune.add_argument("--seeds", metavar="N", type=positive, default=2, help="runs of each setting (default: 2)")
    finetune.add_argument(
        "--sample-seed", metavar="N", type=seed, default=0, help="decides the images, the same in all runs (default: 0)"
    )
    protocol = finetune.add_argument_group("protocol")
    protocol.add_argument("--epochs", metavar="N", type=positive, default=200, help="at most so many (default: 200)")
    protocol.add_argument(
        "--patience", metavar="N", type=positive, default=50, help="epochs without a better validation AUC (default: 50)"
    )
    protocol.add_argument(
        "--train-per-class", metavar="N", type=positive, default=100, help="training images per class on average (default: 100)"
    )
    protocol.add_argument(
        "--validation-per-class",
        metavar="N",
        type=positive,
        default=25,
        help="validation images per class on average (default: 25)",
    )
    protocol.add_argument("--dropout", metavar="P", type=number, default=0.5, help="before the head (default: 0.5)")
    protocol.add_argument("--no-augmentation", action="store_true", help="train on the images as they are")
    where = finetune.add_argument_group("target dataset")
    add_dataset_options(where)
    where.add_argument("--train-split", metavar="NAME", default="train", help="default: train")
    where.add_argument(
        "--validation-split", metavar="NAME", help="default: validation; if it is missing, it is drawn from training"
    )
    where.add_argument("--test-split", metavar="NAME", default="test", help="default: test")
    rows = finetune.add_argument_group("rows")
    rows.add_argument("--benchmark", metavar="NAME", default="own", help="name of the set of results (default: own)")
    rows.add_argument(
        "--scenario", choices=SCENARIOS, default=SCENARIOS[0],
        help="what differs between the checkpoints (default: source_dataset)",
    )  # fmt: skip
    add_loading(finetune.add_argument_group("checkpoints"))


def _finetune(options: argparse.Namespace) -> int:
    with reported() as progress:
        from accelerate import PartialState

        from hf_transferability.training.grids import run_grid
        from hf_transferability.training.run_tables import ground_truth
        from hf_transferability.training.settings import Protocol, RowLabels, SplitNames

        loading = load_options(options)
        runs = run_grid(
            options.dataset,
            options.checkpoints,
            options.output,
            grid=options.grid,
            seeds=options.seeds,
            protocol=Protocol(
                image_size=loading.pop("image_size"),
                epochs=options.epochs,
                patience=options.patience,
                train_per_class=options.train_per_class,
                validation_per_class=options.validation_per_class,
                dropout=options.dropout,
                augment=not options.no_augmentation,
                sample_seed=options.sample_seed,
            ),
            labels=RowLabels(options.benchmark, options.scenario),
            split_names=SplitNames(options.train_split, options.validation_split, options.test_split),
            **loading,
            **dataset_options(options),
            progress=progress,
        )
        state = PartialState()
        if state.is_main_process:
            _print(ground_truth(runs), runs)
            say(f"written: {options.output}/runs.parquet, {options.output}/ground_truth.parquet")
        state.destroy_process_group()
    return 1 if (runs["status"] == "failed").any() else 0


def _print(truth: "pd.DataFrame", runs: "pd.DataFrame") -> None:
    """Print the summary to stdout, notes on the images and failures to stderr."""
    from hf_transferability.escaping.terminal import one_line
    from hf_transferability.reporting import terminal
    from hf_transferability.training.summary import TITLES, summarise

    summary = summarise(truth, runs)
    for note in summary.sample_notes:
        say(f"note: {note}")
    for failure in summary.failures:
        say(f"failed: {failure}")
    with printing():
        print(f"test AUC on {one_line(summary.target)}: mean over the classes, one versus rest; 0.5 for guessing\n")
        terminal.print_figures(TITLES, summary.lines, sys.stdout)
        print()
        terminal.print_notes(summary.notes, sys.stdout)
