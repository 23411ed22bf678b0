"""`hf-transferability benchmark publish`: put results into a Hub dataset."""

import argparse
import sys
from typing import Any

from hf_transferability.cli.output import print_published


def add(commands: Any) -> None:
    """Add the command."""
    publish = commands.add_parser(
        "publish",
        help="put results into a Hub dataset",
        description="Put results into a Hub dataset, one configuration per table. Rows are merged by their keys into the "
        "newest version, in one commit, so none is lost. Without write access this opens a pull request.",
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
        help="the bundled benchmark (default: paper); with FILEs the name that their rows get (default: what the rows say, "
        "else NAME)",
    )  # fmt: skip
    publish.add_argument("--private", action="store_true", help="make a new dataset private")
    publish.add_argument("--create-pr", action="store_true", help="open a pull request even if you may write")
    publish.add_argument("--dry-run", action="store_true", help="only say what would change")


def _publish(options: argparse.Namespace) -> int:
    from hf_transferability.benchmark import bundled
    from hf_transferability.hub.writing import check_id
    from hf_transferability.publishing.collecting import tables_in_files
    from hf_transferability.publishing.publish import publish

    check_id(options.repo_id)
    if options.files:
        new = tables_in_files(options.files, options.benchmark, options.repo_id.split("/")[1])
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
