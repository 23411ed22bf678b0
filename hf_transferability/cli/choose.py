"""`hf-transferability choose`: one recommendation for a dataset, from a ranking and short fine-tuning."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.options import add_loading, add_sample, load_options, number
from hf_transferability.cli.output import print_published, printing, reported
from hf_transferability.cli.streams import say
from hf_transferability.files import FORMATS
from hf_transferability.names import expanded

if TYPE_CHECKING:
    from hf_transferability.choosing.choose import Choice


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "choose",
        help="recommend one checkpoint: rank them, then briefly fine-tune those that may be the best",
        description="Rank the candidates, fine-tune those that may be the best for a few epochs within a budget, and recommend "
        "one. Every step is kept: start the same command again to go on after a stop.",
        epilog="exit status: 0 one is recommended, 1 a candidate failed, none could be recommended or the data cannot be read, "
        "2 wrong usage",
        allow_abbrev=False,
    )
    command.set_defaults(run=_choose)
    command.intermixed = True
    command.add_argument("dataset", metavar="DATASET", help="Hub id or local folder of labelled images, with a test split")
    command.add_argument("checkpoints", metavar="CHECKPOINT", nargs="*", help="Hub id or local folder")
    command.add_argument(
        "--candidates", metavar="POOL", action="append", default=[],
        help="also a pool: a file with one id a line, a group such as medical, or 'timm:params<30M,top=12'; repeatable",
    )  # fmt: skip
    command.add_argument(
        "--budget",
        metavar="MINUTES",
        type=number,
        required=True,
        help="for all short runs together; the ranking is not counted",
    )
    command.add_argument(
        "--output", metavar="FOLDER", required=True,
        help="gets ranking.json, choice.json, choice.html (needs matplotlib), model_card.md, .eval_results and the short runs",
    )  # fmt: skip
    command.add_argument(
        "--push-to", metavar="OWNER/NAME",
        help="also publish the ranking's scores in this Hub dataset; where you may not write, as a pull request",
    )  # fmt: skip
    command.add_argument("--format", choices=FORMATS[:2], default=FORMATS[0], help=f"on stdout (default: {FORMATS[0]})")
    command.add_argument("--no-race", action="store_true", help="rank all candidates on the whole sample, also in large pools")
    where = command.add_argument_group("target dataset")
    add_sample(where)
    where.add_argument("--validation-split", metavar="NAME", help="for short runs (default: validation, else from training)")
    where.add_argument("--test-split", metavar="NAME", default="test", help="for short runs (default: test)")
    work = command.add_argument_group("checkpoints and work")
    add_loading(work)
    work.add_argument("--cache-dir", metavar="DIR", help="where arrays and scores are kept (default: the Hub's assets cache)")


def _choose(options: argparse.Namespace) -> int:
    from hf_transferability.catalogue.pools import candidates

    checkpoints = candidates(options.checkpoints, options.candidates)
    if options.push_to:
        from hf_transferability.publishing.publish import check_destination

        check_destination(options.push_to)
    with reported() as progress:
        from hf_transferability.choosing.choose import choose
        from hf_transferability.data.options import SampleOptions
        from hf_transferability.training.settings import SplitNames

        choice = choose(
            options.dataset,
            checkpoints,
            options.output,
            budget=options.budget,
            race=False if options.no_race else None,
            split_names=SplitNames(options.split or "train", options.validation_split, options.test_split),
            cache_dir=options.cache_dir,
            skip_corrupt=options.skip_corrupt,
            progress=progress,
            **{name: getattr(options, name) for name in SampleOptions.names()},
            **load_options(options),
        )
    _print(choice, options.format)
    say(f"written in {options.output}: {', '.join(choice.files)}")
    if options.push_to:
        _publish(choice, options)
    return 1 if choice.decision.recommended is None or any(row["error"] for row in choice.ranking.rows) else 0


def _publish(choice: "Choice", options: argparse.Namespace) -> None:
    """Publish the ranking's scores, and name the dataset as their source in the files that quote them."""
    from hf_transferability.choosing.sharing import write_for_hub
    from hf_transferability.publishing.collecting import publish_ranking
    from hf_transferability.publishing.publish import dataset_address

    ranking = choice.ranking.to_dict()
    print_published(publish_ranking(ranking, options.push_to), sys.stderr)
    write_for_hub(choice.to_dict(), ranking, expanded(options.output), dataset_address(options.push_to))


def _print(choice: "Choice", form: str) -> None:
    """The answer on stdout."""
    from hf_transferability import files
    from hf_transferability.reporting.terminal import print_figures, print_notes

    with printing():
        if form == "json":
            print(files.to_json(choice.to_dict()))
            return
        print_notes(choice.lines, sys.stdout)
        titles, rows = choice.table
        if rows:
            print()
            print_figures(titles, rows, sys.stdout)
