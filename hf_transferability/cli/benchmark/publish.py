"""`hf-transferability benchmark publish`: put results into a Hub dataset."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.output import print_published
from hf_transferability.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def add(commands: Any) -> None:
    """Add the command."""
    publish = commands.add_parser(
        "publish",
        help="put results into a Hub dataset",
        description="Put results into a Hub dataset, one configuration per table. What is there stays: rows are merged by "
        "their keys into the newest version, in one commit. Without write access this opens a pull request.",
        epilog="exit status: 0 published or nothing new, 1 the Hub did not take it, 2 wrong usage",
        allow_abbrev=False,
    )
    publish.set_defaults(run=_publish)
    publish.add_argument("repo_id", metavar="OWNER/NAME", help="dataset on the Hub; made if it is missing")
    publish.add_argument(
        "files", metavar="FILE", nargs="*",
        help="rankings saved as .json, and tables as .parquet or .csv whose names begin with that of the table, such as "
        "scores-mine.parquet (default: the bundled benchmark)",
    )  # fmt: skip
    publish.add_argument(
        "--benchmark", metavar="NAME",
        help="the bundled benchmark (default: paper); with FILEs the name that a ranking's rows get (default: that of the "
        "tables' rows, if they have one, else NAME)",
    )  # fmt: skip
    publish.add_argument("--private", action="store_true", help="make a new dataset private")
    publish.add_argument("--create-pr", action="store_true", help="open a pull request even if you may write")
    publish.add_argument("--dry-run", action="store_true", help="only say what would change")


def _publish(options: argparse.Namespace) -> int:
    from hf_transferability.benchmark import bundled
    from hf_transferability.hub.writing import check_id
    from hf_transferability.publishing.publish import publish

    check_id(options.repo_id)
    if options.files:
        new = _from_files(options.files, options.benchmark, options.repo_id.split("/")[1])
    else:
        new = bundled.with_provenance(options.benchmark or "paper")
    published = publish(
        new,
        options.repo_id,
        private=options.private,
        create_pr=options.create_pr or None,
        dry_run=options.dry_run,
    )
    print_published(published, sys.stdout)
    return 0


def _from_files(files: list[str], benchmark: str | None, repository: str) -> dict[str, "pd.DataFrame"]:
    """The tables in files by name; those of one table are put together.

    The scores of a ranking belong to the benchmark that is named, or that of the tables beside it, or that of the repository.
    """
    import pandas as pd

    from hf_transferability.benchmark import tables
    from hf_transferability.benchmark.given_scores import read_document
    from hf_transferability.publishing import score_rows

    found: dict[str, list[pd.DataFrame]] = {}
    saved: list[str] = []
    for file in files:
        name = next((table for table in tables.TABLES if Path(file).name.startswith(table)), None)
        is_json = Path(file).suffix.lower() == ".json"
        if is_json and (name is None or read_document(file) is not None):  # whatever its name
            saved.append(file)
        elif name is not None:
            found.setdefault(name, []).append(tables.check_provenance(tables.read(file, name), name, file))
        else:
            raise UsageError(
                f"{file} must be a ranking saved as .json, or a table whose file's name begins with one of "
                f"{', '.join(tables.TABLES)}. Rename it."
            )
    named = {str(each) for frames in found.values() for frame in frames if "benchmark" in frame for each in frame["benchmark"]}
    benchmark = benchmark or (named.pop() if len(named) == 1 else repository)
    for file in saved:
        found.setdefault("scores", []).append(score_rows.read(file, benchmark))
    return {
        name: tables.check(pd.concat(frames, ignore_index=True), name, f"{name} in {', '.join(files)}")
        for name, frames in found.items()
    }
