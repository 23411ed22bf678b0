"""What commands print: progress on stderr, the ranking on stdout."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from hf_transferability.cli.streams import say
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    from hf_transferability.cli.options import OutputOptions
    from hf_transferability.progress import Lines, Progress
    from hf_transferability.publishing.publish import Published
    from hf_transferability.ranking.result import Ranking


def check_files(output: "OutputOptions") -> None:
    """Refuse files that cannot be written, before the work begins.

    Raises:
        UsageError: another ending, also that of a page, a missing folder, no write access, or no matplotlib for a picture.
    """
    from hf_transferability import files

    if output.output:
        if output.output.lower().endswith((".html", ".htm")):
            raise UsageError(
                f"`output` must be a file of rows; got {output.output}. Write a page with --report {output.output}."
            )
        files.check_output(output.output)
    if output.plot:
        from hf_transferability.reporting import plots

        plots.check_picture(output.plot)
    if output.report:
        from hf_transferability.reporting import html

        html.check_page(output.report)


class _Command:
    """The command that runs."""

    lines: "Lines | None" = None  # what it reports, where stderr takes plain lines


@contextlib.contextmanager
def never_silent() -> Iterator[None]:
    """Inside, stderr gets a line whenever it had none for a while, whatever the command does; a terminal gets none."""
    from hf_transferability.progress import lines_for

    _Command.lines = lines = lines_for(sys.stderr)
    if lines is not None:
        lines.watch()
    try:
        yield
    finally:
        silent_from_now()


def silent_from_now() -> None:
    """End `never_silent`: the command has ended, or it waits for others for as long as they like."""
    lines, _Command.lines = _Command.lines, None
    if lines is not None:
        lines.close()


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Inside, a result is printed on stdout, into which no line falls, also where stderr leads to the same place."""
    with contextlib.nullcontext() if _Command.lines is None else _Command.lines.alone():
        yield
        sys.stdout.flush()


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Inside, stderr says what is done and for how long: for work without steps that could be counted."""
    with reported() as progress:
        progress.stage(what)
        yield


@contextlib.contextmanager
def reported() -> Iterator["Progress"]:
    """Inside, the work's progress is shown on stderr."""
    from hf_transferability.progress import reporter

    lines = _Command.lines
    progress = reporter(sys.stderr) if lines is None else lines
    with contextlib.ExitStack() as stack:
        if lines is None:
            stack.callback(progress.close)
        else:
            stack.callback(lines.watch, "finishing")  # files, pictures and what is published have no stages
        progress.stage("starting")
        from hf_transferability.hub import reported_downloads

        stack.enter_context(reported_downloads(progress.download))
        yield progress


def print_result(
    options: argparse.Namespace,
    document: dict[str, Any],
    show_table: Callable[[], None],
    show_markdown: Callable[[], None],
    to_save: dict[str, Any] | None = None,
) -> None:
    """Print a result of `benchmark` in the form that --format names, and write --output.

    Args:
        options: the parsed command line.
        document: the result with its "rows", ready for JSON.
        show_table: prints it for people.
        show_markdown: prints it as Markdown.
        to_save: what --output gets, where that is more than the document.
    """
    from hf_transferability import files

    with printing():
        if options.format == "json":
            print(files.to_json(document))
        elif options.format == "csv":
            print(files.to_csv(document["rows"]), end="")
        elif options.format == "markdown":
            show_markdown()
        else:
            show_table()
    if options.output:
        files.save(document if to_save is None else to_save, options.output)
        say(f"written: {options.output}")


def print_ranking(ranking: "Ranking", output: "OutputOptions", width: int | None = None) -> int:
    """Print a ranking and write its files, in the main process only.

    Args:
        ranking: the ranking.
        output: where it goes.
        width: characters of the printed table; default those of the terminal.

    Returns:
        The exit status, the same in all processes: 1 if a candidate failed.
    """
    from hf_transferability.extraction.processes import Processes

    processes = Processes()
    if processes.is_main_process:
        print_document(ranking.to_dict(), output, width)
    processes.close()
    return 1 if any(row["error"] for row in ranking.rows) else 0


def print_document(document: dict[str, Any], output: "OutputOptions", width: int | None = None) -> None:
    """Print a ranking's document and write its files; the arguments are those of `print_ranking`."""
    from hf_transferability import files

    with printing():
        if output.format == "json":
            print(files.to_json(document))
        elif output.format == "csv":
            print(files.to_csv(document["rows"]), end="")
        else:
            from hf_transferability.reporting.terminal import print_table

            print_table(document, sys.stdout, failures_shown=_streams_are_one(), wide=output.wide, width=width)
    if output.output:
        files.save(document, output.output)
    if output.plot:
        from hf_transferability.reporting import plots

        plots.save(plots.ranking(document), output.plot)
    if output.report:
        from hf_transferability.reporting import html

        html.save(document, output.report)
    for path in output.paths:
        say(f"written: {path}")


def _streams_are_one() -> bool:
    """Whether stdout and stderr go to one place, such as a terminal, so that nothing has to be printed on both."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, ValueError):  # not a file
        return False


def add_sharing(group: "argparse._ArgumentGroup") -> None:
    """Add the options of `share`."""
    group.add_argument(
        "--push-to", metavar="OWNER/NAME",
        help="also publish the scores in this Hub dataset; where you may not write, as a pull request",
    )  # fmt: skip
    group.add_argument(
        "--export", metavar="FOLDER", help="also write model-card sections and .eval_results of all candidates; sends nothing"
    )


def check_sharing(options: argparse.Namespace) -> None:
    """Refuse, before the work begins, what `share` could not do at its end.

    Raises:
        UsageError: a wrong id, or a folder that cannot be made.
        PublishError: not logged in, or no access.
    """
    if options.export:
        from hf_transferability import files
        from hf_transferability.names import expanded

        files.make_folder(expanded(options.export), "export")
    if options.push_to:
        from hf_transferability.publishing.publish import check_destination

        check_destination(options.push_to)


def share(document: dict[str, Any], options: argparse.Namespace) -> None:
    """Publish a ranking's scores and export them, as far as these options ask for it."""
    if options.push_to:
        from hf_transferability.publishing.collecting import publish_ranking

        print_published(publish_ranking(document, options.push_to), sys.stderr)
    if options.export:
        from hf_transferability.publishing.export import export
        from hf_transferability.publishing.publish import dataset_address

        for path in export(document, options.export, dataset_address(options.push_to) if options.push_to else None):
            say(f"written: {path}")


def print_published(published: "Published", stream: TextIO) -> None:
    """Print what a publication changed to the stream; its address and further notes go to stderr."""
    for note in published.notes:
        say(note)
    for line in published.lines():
        print(line, file=stream)
    outcome = {
        "commit": "published",
        "pull request": "proposed",
        "nothing": "all rows are there already",
        "dry run": "nothing was changed",
    }[published.how]
    if published.address:
        say(f"{outcome}: {published.address}")
