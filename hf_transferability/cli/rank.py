"""`hf-transferability rank`: rank checkpoints for a dataset."""

import argparse
from dataclasses import asdict
from typing import Any

from hf_transferability.cli.options import (
    MetricOptions,
    OutputOptions,
    add_extraction,
    add_metric_options,
    add_output,
    add_sample,
    load_options,
    positive,
    taken,
)
from hf_transferability.cli.output import add_sharing, check_files, check_sharing, print_ranking, reported, share
from hf_transferability.cli.rank_jobs import add_jobs, is_first, rank_by_jobs
from hf_transferability.cli.streams import say
from hf_transferability.errors import UsageError
from hf_transferability.names import KEEP, LEAK_IMAGES


def add(commands: Any) -> None:
    """Add the command."""
    rank = commands.add_parser(
        "rank",
        help="rank checkpoints for a dataset",
        description="Rank checkpoints for a dataset. A checkpoint that fails is a row with its reason; the rest are ranked.",
        epilog="exit status: 0 all ranked, 1 a checkpoint failed or the data cannot be read, 2 wrong usage",
        allow_abbrev=False,
    )
    rank.set_defaults(run=_rank)
    rank.intermixed = True
    rank.add_argument("dataset", metavar="DATASET", help="Hub id or local folder of labelled images")
    rank.add_argument(
        "checkpoints", metavar="CHECKPOINT", nargs="*", help="Hub id (owner/name or owner/name@revision) or local folder"
    )
    rank.add_argument(
        "--candidates", metavar="POOL", action="append", default=[],
        help="also a pool: a file with one id a line, a group such as medical, or 'timm:params<30M,top=12'; repeatable",
    )  # fmt: skip
    add_metric_options(rank, "consensus, beside it transferability and logme")
    add_sample(rank.add_argument_group("target dataset"))
    work = rank.add_argument_group("checkpoints and work")
    add_extraction(work)
    work.add_argument(
        "--race", action="store_true",
        help="score all candidates on a part of the images first, then those that may be among the best on all of them",
    )  # fmt: skip
    work.add_argument(
        "--keep", metavar="K", type=positive, help=f"with --race: drop what lies clearly below the K-th best (default: {KEEP})"
    )
    work.add_argument(
        "--leak-check", metavar="N", nargs="?", type=positive, const=LEAK_IMAGES, default=0,
        help="compare the sample with N images of each dataset that a model card names, and with more than "
        f"{LEAK_IMAGES} of its own test split if N is larger (N: {LEAK_IMAGES})",
    )  # fmt: skip
    work.add_argument(
        "--known", metavar="FILE|OWNER/NAME", action="append", default=[],
        help="fine-tuned results of your own for the column known_elsewhere: a table of ground truth, a folder of `finetune`, "
        "or a Hub dataset of results; repeatable",
    )  # fmt: skip
    add_sharing(add_output(rank))
    add_jobs(rank.add_argument_group("jobs on the Hub"))


def _rank(options: argparse.Namespace) -> int:
    output = taken(OutputOptions, options)
    first = is_first()  # of several processes only this one writes, and the others may lack its folders
    if first:
        check_files(output)
        _check_destination(options)
    if options.keep and not options.race:
        raise UsageError("`--keep` needs --race. Add it, or leave out --keep.")
    from hf_transferability.catalogue.pools import candidates

    checkpoints = candidates(options.checkpoints, options.candidates)
    if options.jobs:
        return rank_by_jobs(options, checkpoints) if first else 0
    with reported() as progress:
        from hf_transferability.data.options import SampleOptions
        from hf_transferability.ranking.run import rank

        ranking = rank(
            options.dataset,
            checkpoints,
            metrics=options.metrics or (),
            batches=options.batches,
            micro_batch=options.micro_batch,
            race=options.race,
            keep=options.keep or KEEP,
            known=options.known,
            leak_check=options.leak_check,
            part=options.part is not None,
            use_cache=options.use_cache,
            progress=progress,
            **asdict(taken(MetricOptions, options)),
            skip_corrupt=options.skip_corrupt,
            **{name: getattr(options, name) for name in SampleOptions.names()},
            **load_options(options),
        )
    status = print_ranking(ranking, output)
    if options.part and ranking.part:
        from hf_transferability.publishing.parts import put_part

        say(f"published as part {options.part}: {put_part(ranking.part, options.part, options.push_to)}")
        return 0  # a candidate that failed is told by its row
    if first:
        share(ranking.to_dict(), options)
    return status


def _check_destination(options: argparse.Namespace) -> None:
    """Refuse, before the work begins, what could not be published at its end."""
    if not options.jobs and (options.dry_run or options.yes or options.wheel):
        raise UsageError("`--dry-run`, `--yes` and `--wheel` need --jobs. Add it, or leave them out.")
    if options.part:
        from hf_transferability.publishing.parts import check_name

        check_name(options.part)
        if not options.push_to or options.jobs:
            raise UsageError("`part` must have a dataset to go to, and no jobs of its own. Add --push-to, leave out --jobs.")
    if not options.dry_run:
        check_sharing(options)
