"""What commands print: progress on stderr, the ranking on stdout."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from hf_transferability.progress import Progress
    from hf_transferability.publishing.publish import Published
    from hf_transferability.ranking.result import Ranking


def check_files(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written before the work begins.

    Raises:
        UsageError: another ending, not a place to write to, or no matplotlib for a picture.
    """
    from hf_transferability import files

    if options.output:
        files.check_output(options.output)
    if options.plot:
        from hf_transferability.reporting import plots

        plots.check_picture(options.plot)
    if options.report:
        from hf_transferability.reporting import html

        html.check_page(options.report)


@contextlib.contextmanager
def reported() -> Iterator["Progress"]:
    """What the work says, on stderr, until its end."""
    from hf_transferability.progress import reporter

    progress = reporter(sys.stderr)
    with contextlib.ExitStack() as stack:
        stack.callback(progress.close)
        progress.stage("starting")
        from hf_transferability.hub import reported_downloads

        stack.enter_context(reported_downloads(progress.download))
        yield progress


def print_ranking(ranking: "Ranking", options: argparse.Namespace) -> int:
    """Print and save in the main process; the exit status is the same in all."""
    from accelerate import PartialState

    from hf_transferability import files
    from hf_transferability.reporting.terminal import print_table

    state = PartialState()
    if state.is_main_process:
        if options.format == "json":
            print(files.to_json(ranking.to_dict()))
        elif options.format == "csv":
            print(files.to_csv(ranking.rows), end="")
        else:
            print_table(ranking.to_dict(), sys.stdout, told=_read_together())
        sys.stdout.flush()
        _write_files(ranking, options)
    state.destroy_process_group()
    return 1 if any(row["error"] for row in ranking.rows) else 0


def _read_together() -> bool:
    """Whether stdout and stderr go to one place, such as a terminal, so that nothing need be said in both."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, ValueError):  # not a file
        return False


def _write_files(ranking: "Ranking", options: argparse.Namespace) -> None:
    if options.output:
        ranking.save(options.output)
    if options.plot:
        from hf_transferability.reporting import plots

        plots.save(ranking.plot(), options.plot)
    if options.report:
        from hf_transferability.reporting import html

        html.save(ranking.to_dict(), options.report)
    for path in filter(None, (options.output, options.plot, options.report)):
        print(f"written: {path}", file=sys.stderr)


def print_published(published: "Published", stream: TextIO) -> None:
    """What a publication changed goes to the stream, where it is and what else is to know to stderr."""
    for note in published.notes:
        print(note, file=sys.stderr)
    for line in published.lines():
        print(line, file=stream)
    said = {
        "commit": "published",
        "pull request": "proposed",
        "nothing": "all rows are there already",
        "dry run": "nothing was changed",
    }[published.how]
    print(f"{said}: {published.address}", file=sys.stderr)
