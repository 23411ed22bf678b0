"""The command line: parsing and printing only. Data on stdout, everything else on stderr.

Exit status: 0 all went well, 1 something failed (the rest is still ranked), 2 wrong usage, 130 interrupted.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from hf_transferability import __version__
from hf_transferability.errors import TransferabilityError, UsageError

if TYPE_CHECKING:
    from hf_transferability.progress import Silent
    from hf_transferability.ranking import Ranking

PROGRAM = "hf-transferability"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--"]:  # `hf extensions exec transferability -- ...` passes the dashes on
        words = words[1:]
    parser = _parser()
    options = parser.parse_args(words)
    _quiet_libraries()
    try:
        return options.run(options)
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except TransferabilityError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted. Finished checkpoints are kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("HF_TRANSFERABILITY_TRACEBACK"):
            raise
        print(
            f"{PROGRAM}: unexpected {type(error).__name__}: {error}\n"
            "This is a fault of the program. Set HF_TRANSFERABILITY_TRACEBACK=1 to see where it happens, and report it.",
            file=sys.stderr,
        )
        return 1


def _quiet_libraries() -> None:
    """Settings that the libraries read when they are imported: our own messages say what they would, once and with a remedy."""
    for name in ("HF_HUB_VERBOSITY", "DATASETS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        if not sys.stderr.isatty():  # they would fill a log
            os.environ.setdefault(name, "1")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Rank pretrained checkpoints for a labelled image dataset, without fine-tuning them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_rank(commands)
    _add_score(commands)
    _add_metrics(commands)
    _add_register(commands)
    _add_demo(commands)
    return parser


def _add_rank(commands: Any) -> None:
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
    _add_metric_options(rank, "transferability")
    target = rank.add_argument_group("target dataset")
    target.add_argument("--config", metavar="NAME", help="configuration of the dataset")
    target.add_argument("--split", metavar="NAME", help="split or split expression (default: train; never test unasked)")
    target.add_argument("--revision", metavar="REV", help="branch, tag or commit of a Hub dataset")
    target.add_argument("--image-column", metavar="NAME", help="default: the only column of type Image")
    target.add_argument("--label-column", metavar="NAME", help="default: the only ClassLabel column, or one called label")
    target.add_argument("--sample-size", metavar="N|all", type=_sample_size, help="images to draw (default: 100 x classes)")
    target.add_argument("--draw", choices=("random", "stratified"), default="random", help="default: random, as in the paper")
    target.add_argument("--seed", type=_seed, default=0, help="of the draw and the order of the images (default: 0)")
    target.add_argument("--streaming", action="store_true", help="sample a dataset without downloading it whole")
    target.add_argument(
        "--window", metavar="LOW,HIGH", type=_window, help="values that become black and white in 16-bit or float images"
    )
    target.add_argument("--skip-corrupt", action="store_true", help="leave out images that cannot be decoded")
    work = rank.add_argument_group("checkpoints and work")
    work.add_argument(
        "--allow-pickle", action="store_true", help="read pickle weights (weights_only) where there are no safetensors"
    )
    work.add_argument("--trust-remote-code", action="store_true", help="run code from the checkpoints' repositories")
    work.add_argument(
        "--batches", choices=("paper", "balanced"), default="paper",
        help="gradient batches: the paper's, with its small remainder, or of equal size",
    )  # fmt: skip
    work.add_argument("--micro-batch", metavar="K", type=_positive, help="images in memory at once (default: by measurement)")
    work.add_argument("--no-cache", action="store_true", help="extract everything again")
    _add_output(rank)


def _add_score(commands: Any) -> None:
    score = commands.add_parser(
        "score",
        help="rank arrays that you have extracted yourself",
        description="Rank candidates by arrays in files, one file each, all of one sample of images in one order. Arrays: "
        "features [images, features], labels [images], source_probabilities [images, classes], gradient_norms [batches, 2].",
        allow_abbrev=False,
    )
    score.set_defaults(run=_score)
    score.add_argument("files", metavar="FILE", nargs="+", help=".npz or .safetensors")
    _add_metric_options(score, "all that the arrays allow")
    score.add_argument("--seed", type=_seed, default=0, help="of half-samples and shuffled labels (default: 0)")
    _add_output(score)


def _add_metric_options(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--metric", action="append", dest="metrics", metavar="NAME",
        help=f"metric to compute, repeatable; rows are sorted by the first; 'all' for all (default: {default})",
    )  # fmt: skip
    command.add_argument(
        "--scenario", choices=("auto", "source_dataset", "architecture"), default="auto",
        help="do the candidates differ in their source dataset or in their architecture (default: auto, which looks)",
    )  # fmt: skip
    command.add_argument(
        "--variant", choices=("default", "published"), default="default",
        help="baselines in their correct form, or as in the paper's tables",
    )  # fmt: skip
    command.add_argument(
        "--no-intervals",
        action="store_true",
        help="no 90%% intervals and tie groups: faster with many metrics",
    )
    command.add_argument("--floor", action="store_true", help="also each metric's highest value in five shuffles of the labels")
    command.add_argument(
        "--cache-dir", metavar="DIR", help="where arrays and scores are kept (default: the Hub's assets cache)"
    )


def _add_metrics(commands: Any) -> None:
    metrics = commands.add_parser("metrics", help="list the metrics", description="List the metrics.", allow_abbrev=False)
    metrics.set_defaults(run=_metrics)
    metrics.add_argument("--format", choices=("table", "json", "markdown"), default="table", help="default: table")


def _add_register(commands: Any) -> None:
    register = commands.add_parser(
        "register",
        help='let evaluate.load("transferability") find the metric',
        description='Write a script into your Hugging Face cache, so that evaluate.load("transferability") finds the metric by '
        "its bare name, with and without a network. Safe to repeat.",
        allow_abbrev=False,
    )
    register.set_defaults(run=_register)


def _add_output(command: argparse.ArgumentParser) -> None:
    output = command.add_argument_group("output")
    output.add_argument("--format", choices=("table", "json", "csv"), default="table", help="on stdout (default: table)")
    output.add_argument("--output", metavar="FILE", help="also write the result to a .json, .csv or .parquet file")


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="make small checkpoints and a target, and rank them: no network, no account",
        description="Make small real checkpoints and a target on this machine, and rank them by the same code as any others.",
        allow_abbrev=False,
    )
    demo.set_defaults(run=_demo)
    demo.add_argument("--verify", action="store_true", help="fine-tune each checkpoint and say how well the ranking agrees")
    demo.add_argument("--keep", metavar="DIR", help="make the demo in this folder and keep it (default: a temporary one)")
    demo.add_argument("--seed", type=_seed, default=0, help="of everything random (default: 0)")
    _add_output(demo)


def _rank(options: argparse.Namespace) -> int:
    from hf_transferability import results

    if options.output:
        results.check_output(options.output)
    with _reported() as progress:
        from hf_transferability.ranking import rank

        ranking = rank(
            options.dataset,
            options.checkpoints,
            metrics=options.metrics or ("transferability",),
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
            allow_pickle=options.allow_pickle,
            trust_remote_code=options.trust_remote_code,
            cache_dir=options.cache_dir,
            use_cache=not options.no_cache,
            progress=progress,
        )
    return _print_ranking(ranking, options)


def _score(options: argparse.Namespace) -> int:
    from hf_transferability import results

    if options.output:
        results.check_output(options.output)
    from hf_transferability.feature_files import rank_features

    ranking = rank_features(
        options.files,
        metrics=options.metrics or ("all",),
        scenario=options.scenario,
        variant=options.variant,
        intervals=not options.no_intervals,
        floor=options.floor,
        seed=options.seed,
        cache_dir=options.cache_dir,
    )
    for note in ranking.notes:
        print(note, file=sys.stderr)
    return _print_ranking(ranking, options)


def _metrics(options: argparse.Namespace) -> int:
    from hf_transferability import listing, table

    if options.format == "json":
        print(json.dumps(listing.metric_rows(), indent=2))
    elif options.format == "markdown":
        print(listing.to_markdown())
    else:
        table.print_rows(listing.COLUMNS, [listing.as_text(row) for row in listing.metric_rows()], sys.stdout)
    return 0


def _register(options: argparse.Namespace) -> int:
    from hf_transferability.registration import register

    print(register())
    return 0


@contextlib.contextmanager
def _reported() -> Iterator["Silent"]:
    """What the work says, on stderr, until its end."""
    from hf_transferability.progress import reporter

    progress = reporter(sys.stderr)
    with contextlib.ExitStack() as stack:
        stack.callback(progress.close)
        progress.stage("starting")
        from hf_transferability import hub

        hub.on_download = progress.download
        stack.callback(setattr, hub, "on_download", None)
        yield progress


def _print_ranking(ranking: "Ranking", options: argparse.Namespace) -> int:
    """Print and save in the main process; the exit status is the same in all."""
    from accelerate import PartialState

    from hf_transferability import results
    from hf_transferability.table import print_table

    state = PartialState()
    if state.is_main_process:
        if options.format == "json":
            print(results.to_json(ranking.to_dict()))
        elif options.format == "csv":
            print(results.to_csv(ranking.rows), end="")
        else:
            print_table(ranking, sys.stdout)
        sys.stdout.flush()
        if options.output:
            ranking.save(options.output)
            print(f"written: {options.output}", file=sys.stderr)
    state.destroy_process_group()
    return 1 if any(row["error"] for row in ranking.rows) else 0


def _demo(options: argparse.Namespace) -> int:
    from hf_transferability import results

    if options.output:
        results.check_output(options.output)
    aucs: dict[str, float] = {}
    with _reported() as progress:
        from hf_transferability import demo
        from hf_transferability.ranking import rank

        with contextlib.ExitStack() as stack:
            try:
                made = stack.enter_context(demo.run(options.keep, options.seed, progress.note))
            except ValueError as error:  # a folder with something else in it, or a negative seed
                raise UsageError(str(error)) from error
            if options.keep:
                progress.note(f"now what this command would do: {made.command}")
            ranking = rank(made.target, made.checkpoints, seed=options.seed, progress=progress)
            if options.verify:
                progress.stage("fine-tuning every checkpoint")
                aucs = demo.verify(made.target, made.checkpoints, options.seed, progress.note)
    status = _print_ranking(ranking, options)
    if aucs:
        _print_agreement(ranking, aucs, sys.stdout if options.format == "table" else sys.stderr)
    return status


def _print_agreement(ranking: "Ranking", aucs: dict[str, float], stream: TextIO) -> None:
    from hf_transferability.demo import agreement

    print("\nfine-tuned performance (test AUC, 0.5 for guessing), best first:", file=stream)
    for checkpoint, auc in sorted(aucs.items(), key=lambda item: -item[1]):
        print(f"  {auc:.3f}  {checkpoint}", file=stream)
    scores = {row["checkpoint"]: row["score"] for row in ranking.rows}
    for untrained, text in ((True, "with"), (False, "without")):
        try:
            tau = f"{agreement(scores, aucs, untrained=untrained):.2f}"
        except ValueError as error:
            tau = f"undefined: {error}"
        print(
            f"agreement of ranking and fine-tuning, {text} the untrained one (weighted Kendall tau, -1 to 1): {tau}",
            file=stream,
        )


def _sample_size(text: str) -> int | str:
    return "all" if text == "all" else _positive(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be 0 or a positive whole number; got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive whole number; got {text!r}")
    return int(text)


def _window(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be two numbers LOW,HIGH; got {text!r}") from None
    if not low < high:
        raise argparse.ArgumentTypeError(f"must have LOW below HIGH; got {text!r}")
    return low, high
