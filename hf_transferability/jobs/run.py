"""Rank by jobs: they score shares of the candidates, and the ranking is formed here from all of their parts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import JobError, UsageError, unknown_name
from hf_transferability.hub import writing
from hf_transferability.jobs.plan import Plan, Request
from hf_transferability.jobs.watching import Watch
from hf_transferability.progress import Progress, given, tell
from hf_transferability.publishing.parts import change_files
from hf_transferability.ranking.assembling import assemble_ranking
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.choices import floors_needed
from hf_transferability.ranking.known import read_known
from hf_transferability.ranking.parts import merged, without_floors
from hf_transferability.ranking.result import Ranking
from hf_transferability.ranking.scenario import choose_scenario


def rank_by_jobs(
    dataset: str,
    plan: Plan,
    request: Request,
    sample: SampleOptions,
    load: LoadOptions,
    known: Sequence[str | Path] = (),
    progress: Progress | None = None,
) -> tuple[Ranking, bool]:
    """Run the jobs of a plan and rank what they have scored; the table is that of one machine.

    Args:
        dataset: Hub id, as in the plan.
        plan: of `make_plan`.
        request, sample, load: as in the plan.
        known: your own ground truth; see `ranking.run.rank`.
        progress: is told how far the jobs are.

    Returns:
        The ranking, in which the candidates of a job that was lost twice are failed rows; and whether no job was lost.

    Raises:
        UsageError: a namespace that is not of the account.
        JobError: not a single job gave a result, or they cannot be started or watched.
        PublishError: not logged in, or the dataset of results cannot be written.
    """
    progress = given(progress)
    elsewhere = read_known(known, load.token)
    account = writing.read_account(load.token)
    namespace = plan.options.namespace or account.name
    if namespace not in account.namespaces:
        raise UsageError(unknown_name("job_namespace", namespace, account.namespaces))
    _put_files(plan, load.token)
    parts, lost = Watch(plan, namespace, progress, load.token).run()
    if not parts:
        raise JobError(f"no job gave a result: {next(iter(lost.values()))} for what it printed.")
    whole = merged([parts[number] for number in sorted(parts)], plan.names)
    scored = {candidate.name: candidate for candidate in whole.candidates}
    reasons = {name: lost.get(task.number, "its job left it out") for task in plan.tasks for name in task.names}
    candidates = [scored.get(name) or Candidate(name, error=reasons[name]) for name in plan.names]
    whole = replace(whole, candidates=candidates)
    scenario, _ = choose_scenario(request.scenario, candidates)
    if not request.floor and not floors_needed(whole.metrics[0], scenario):
        whole = without_floors(whole)
    ranking, told, advised = assemble_ranking(
        whole, dataset, request.scenario, request.variant, elsewhere, sample, load, whole.label_p_values.get
    )
    tell(told, advised, progress)
    return ranking, not lost


def _put_files(plan: Plan, token: str | None) -> None:
    """Make the dataset of results, and put into it what the jobs need, also over a file of that name with other content."""
    if writing.find_dataset(plan.repo_id, token) is None or plan.files:
        change_files(plan.repo_id, plan.files, (), "Files for jobs", token)
