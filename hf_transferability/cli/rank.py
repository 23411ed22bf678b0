"""`hf-transferability rank`: rank checkpoints for a dataset."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.options import (
    add_dataset_options,
    add_metric_options,
    add_output,
    add_trust,
    positive,
    sample_size,
    seed,
)
from hf_transferability.cli.output import check_files, print_published, print_ranking, reported

if TYPE_CHECKING:
    from hf_transferability.ranking.result import Ranking


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
    rank.add_argument("dataset", metavar="DATASET", help="Hub id or local folder of labelled images")
    rank.add_argument(
        "checkpoints", metavar="CHECKPOINT", nargs="+", help="Hub id (owner/name or owner/name@revision) or local folder"
    )
    add_metric_options(rank, "consensus, beside it transferability and logme")
    target = rank.add_argument_group("target dataset")
    add_dataset_options(target)
    target.add_argument("--split", metavar="NAME", help="split or split expression (default: train; never test unasked)")
    target.add_argument("--sample-size", metavar="N|all", type=sample_size, help="images to draw (default: 100 x classes)")
    target.add_argument("--draw", choices=("random", "stratified"), default="random", help="default: random, as in the paper")
    target.add_argument("--seed", type=seed, default=0, help="of the draw and the order of the images (default: 0)")
    target.add_argument("--streaming", action="store_true", help="sample a dataset without downloading it whole")
    target.add_argument("--skip-corrupt", action="store_true", help="leave out images that cannot be decoded")
    work = rank.add_argument_group("checkpoints and work")
    add_trust(work)
    work.add_argument(
        "--batches", choices=("paper", "balanced"), default="paper",
        help="gradient batches: the paper's, with its small remainder, or of equal size",
    )  # fmt: skip
    work.add_argument("--micro-batch", metavar="K", type=positive, help="images in memory at once (default: by measurement)")
    work.add_argument(
        "--known", metavar="FILE|OWNER/NAME", action="append", default=[],
        help="fine-tuned results of your own for the column known_elsewhere: a table of ground truth, a folder of `finetune`, "
        "or a Hub dataset of results; repeatable",
    )  # fmt: skip
    work.add_argument("--no-cache", action="store_true", help="extract everything again")
    output = add_output(rank)
    output.add_argument(
        "--push-to", metavar="OWNER/NAME",
        help="also publish the scores in this Hub dataset; where you may not write, as a pull request",
    )  # fmt: skip


def _rank(options: argparse.Namespace) -> int:
    check_files(options)
    if options.push_to:
        from hf_transferability.publishing.publish import check_destination

        check_destination(options.push_to)
    with reported() as progress:
        from hf_transferability.ranking.run import rank

        ranking = rank(
            options.dataset,
            options.checkpoints,
            metrics=options.metrics or (),
            scenario=options.scenario,
            variant=options.variant,
            config=options.config,
            split=options.split,
            revision=options.revision,
            image_column=options.image_column,
            label_column=options.label_column,
            sample_size=options.sample_size,
            draw=options.draw,
            seed=options.seed,
            streaming=options.streaming,
            window=options.window,
            skip_corrupt=options.skip_corrupt,
            batches=options.batches,
            micro_batch=options.micro_batch,
            intervals=not options.no_intervals,
            floor=options.floor,
            known=options.known,
            allow_pickle=options.allow_pickle,
            trust_remote_code=options.trust_remote_code,
            cache_dir=options.cache_dir,
            use_cache=not options.no_cache,
            progress=progress,
        )
    status = print_ranking(ranking, options)
    if options.push_to and os.environ.get("RANK", "0") == "0":
        _push(ranking, options.push_to)
    return status


def _push(ranking: "Ranking", repo_id: str) -> None:
    """Publish the scores; what failed has none."""
    from hf_transferability.errors import PublishError, TransferabilityError
    from hf_transferability.publishing import publish, score_rows

    document = ranking.to_dict()
    metrics = document["metric_versions"]
    failed = [row["checkpoint"] for row in document["rows"] if not score_rows.has_scores(row, metrics)]
    if failed:
        print(f"not published, as they failed: {', '.join(failed)}", file=sys.stderr)
    if len(failed) < len(document["rows"]):
        try:
            scores = score_rows.scores(document, repo_id.split("/")[1])
            print_published(publish.publish({"scores": scores}, repo_id), sys.stderr)
        except TransferabilityError as error:
            raise PublishError(f"the ranking is complete, but not published: {error}") from error
