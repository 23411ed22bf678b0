"""`hf-transferability pretrain`: train a source checkpoint from scratch."""

import argparse
from typing import Any

from hf_transferability.cli.options import add_dataset_options, dataset_options, number, positive, seed
from hf_transferability.cli.output import reported


def add(commands: Any) -> None:
    """Add the command."""
    pretrain = commands.add_parser(
        "pretrain",
        help="train a source checkpoint from scratch on one dataset or several",
        description="Train a network with random weights on the training split of one dataset or of several (their classes "
        "side by side), and save it as for the Hub, with a card that names its training data. Works with accelerate launch.",
        allow_abbrev=False,
    )
    pretrain.set_defaults(run=_pretrain)
    pretrain.add_argument(
        "--dataset", action="append", dest="datasets", metavar="DATASET", required=True,
        help="Hub id or local folder; repeatable: to leave a target out of a union, name all others",
    )  # fmt: skip
    pretrain.add_argument(
        "--architecture", metavar="ID|FOLDER|FILE", required=True,
        help="Hub id or folder that gives the configuration, or a .json file with one",
    )  # fmt: skip
    pretrain.add_argument("--output", metavar="DIR", required=True, help="new folder for the checkpoint")
    pretrain.add_argument("--image-size", metavar="PX", type=positive, default=224, help="side of the images (default: 224)")
    length = pretrain.add_mutually_exclusive_group()
    length.add_argument("--epochs", metavar="N", type=number, default=90, help="default: 90; 0 saves random weights")
    length.add_argument("--steps", metavar="N", type=positive, help="steps of the optimiser, instead of epochs")
    pretrain.add_argument(
        "--batch-size", metavar="N", type=positive, default=64,
        help="images per step in each process, so several processes make larger batches (default: 64)",
    )  # fmt: skip
    pretrain.add_argument(
        "--learning-rate", metavar="X", type=number, default=3e-3, help="highest learning rate of AdamW (default: 0.003)"
    )
    pretrain.add_argument("--weight-decay", metavar="X", type=number, default=0.05, help="default: 0.05")
    pretrain.add_argument("--seed", type=seed, default=0, help="decides weights, order and augmentation (default: 0)")
    pretrain.add_argument("--licence", metavar="ID", help="for the card (default: the datasets' own, where they agree)")
    where = pretrain.add_argument_group("datasets", "how each of them is read")
    where.add_argument("--split", metavar="NAME", help="split or split expression (default: train; test only if you name it)")
    add_dataset_options(where)


def _pretrain(options: argparse.Namespace) -> int:
    with reported() as progress:
        from hf_transferability.training.pretraining import PretrainingOptions, pretrain

        folder = pretrain(
            options.datasets,
            options.architecture,
            options.output,
            PretrainingOptions(
                image_size=options.image_size,
                epochs=options.epochs,
                max_steps=options.steps,
                batch_size=options.batch_size,
                learning_rate=options.learning_rate,
                weight_decay=options.weight_decay,
                seed=options.seed,
            ),
            licence=options.licence,
            split=options.split,
            **dataset_options(options),
            progress=progress,
        )
        from accelerate import PartialState

        state = PartialState()
        if state.is_main_process:
            print(folder)
        state.destroy_process_group()
    return 0
