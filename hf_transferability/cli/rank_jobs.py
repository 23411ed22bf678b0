"""The part of `hf-transferability rank` that concerns jobs: their options, and the ranking by them."""

import argparse
import os
from typing import Any

from hf_transferability.cli.options import OutputOptions, load_options, number, positive, taken
from hf_transferability.cli.output import print_ranking, reported, share
from hf_transferability.cli.streams import say
from hf_transferability.errors import UsageError
from hf_transferability.names import first_of_each


def add_jobs(group: argparse._ActionsContainer) -> None:
    """Add the options of `jobs.plan.JobOptions`."""
    group.add_argument(
        "--jobs", metavar="FLAVOR", help="rank by jobs on machines of the Hub, of this kind; costs money, and needs --push-to"
    )
    group.add_argument("--per-job", metavar="K", type=positive, default=4, help="candidates of one job (default: 4)")
    group.add_argument(
        "--job-minutes", metavar="N", type=number, default=60, help="minutes after which a job is stopped (default: 60)"
    )
    group.add_argument(
        "--start-minutes", metavar="N", type=number, default=15,
        help="minutes after which a job without a machine is canceled (default: 15)",
    )  # fmt: skip
    group.add_argument("--job-namespace", metavar="NAME", help="organization that pays for the jobs (default: your account)")
    group.add_argument("--wheel", metavar="FILE", help="this package's wheel for the jobs (default: from the package index)")
    group.add_argument("--yes", action="store_true", help="start the jobs; without it only their cost is printed")
    group.add_argument("--dry-run", action="store_true", help="print the jobs and their cost, and send nothing")
    group.add_argument("--part", metavar="RUN/NUMBER", help="publish what was scored as a part of a ranking, as each job does")


def rank_by_jobs(options: argparse.Namespace, checkpoints: list[str]) -> int:
    """Print the plan; with --yes run it, print the ranking and publish it."""
    from hf_transferability.checkpoints.options import LoadOptions
    from hf_transferability.data.options import SampleOptions
    from hf_transferability.jobs.plan import JobOptions, Request, make_plan
    from hf_transferability.ranking.notes import repeated

    kept = first_of_each(checkpoints)
    for note in repeated(checkpoints, kept):
        say(note)
    checkpoints = [checkpoints[number] for number in kept]
    if not options.push_to:
        raise UsageError("`jobs` must have a dataset for their results; got none. Add --push-to OWNER/NAME.")
    if options.race:
        raise UsageError("`jobs` must rank the whole pool at once; got --race. Leave one of the two out.")
    request = Request(**_request(options))
    sample = SampleOptions(**{name: getattr(options, name) for name in SampleOptions.names()})
    load = LoadOptions(**load_options(options))
    how = JobOptions(
        options.jobs, options.per_job, options.job_minutes, options.start_minutes, options.wheel, options.job_namespace
    )
    plan = make_plan(options.dataset, checkpoints, options.push_to, request, sample, load, how)
    for line in plan.lines():
        say(line)
    if options.dry_run:
        say("nothing was sent")
        return 0
    if not options.yes:
        raise UsageError("`jobs` must be confirmed, as they cost money; got no --yes. Add --yes to start them.")
    from hf_transferability.jobs.run import rank_by_jobs as run

    with reported() as progress:
        ranking, complete = run(options.dataset, plan, request, sample, load, options.known, progress)
    status = print_ranking(ranking, taken(OutputOptions, options))
    from hf_transferability.publishing.parts import remove_parts

    share(ranking.to_dict(), options)
    if complete:  # otherwise the same command resumes with them
        remove_parts(options.push_to, plan.run)
    return status


def _request(options: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import fields

    from hf_transferability.jobs.plan import Request

    values = {field.name: getattr(options, field.name) for field in fields(Request)}
    return values | {"metrics": tuple(options.metrics or ())}


def is_first() -> bool:
    """Whether this is the process that prints and publishes, of those that were started together."""
    return os.environ.get("RANK", "0") == "0"
