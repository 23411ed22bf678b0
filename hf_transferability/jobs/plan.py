"""What a ranking by jobs will do, before anything is sent: who scores which candidates, on what, and what that costs."""

import hashlib
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_transferability import __version__, arguments, hub
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import JobError, UsageError, shown, unknown_name
from hf_transferability.hub import jobs, writing
from hf_transferability.names import expanded
from hf_transferability.ranking.choices import check_choices, check_metrics
from hf_transferability.ranking.next_command import changed_options

EXTRAS = "adapters,medical"  # a job cannot be asked to install what its data turn out to need
MOST_JOBS = 100
_SCRIPTS = (".py", ".sh", ".yaml", ".yml", ".toml")  # the client refuses words that end so and are no file


@dataclass(frozen=True)
class JobOptions:
    """How jobs are run.

    Attributes:
        flavor: kind of machine, of `hf jobs hardware`.
        per_job: candidates of one job.
        minutes: after which a job is stopped.
        start_minutes: after which a job without a machine is canceled.
        wheel: a wheel of this package, which goes into the dataset of results; default the package index.
        namespace: the account or organization whose jobs they are, and who pays; default the account of the token.
    """

    flavor: str
    per_job: int = 4
    minutes: float = 60
    start_minutes: float = 15
    wheel: str | Path | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        arguments.text("flavor", self.flavor)
        if self.namespace is not None:
            arguments.text("namespace", self.namespace)
        arguments.whole("per_job", self.per_job, 1)
        for name in ("minutes", "start_minutes"):
            arguments.number(name, getattr(self, name), 0, above=True)


@dataclass(frozen=True)
class Request:
    """What is ranked; the fields are those of `ranking.run.rank`."""

    metrics: tuple[str, ...] = ()
    scenario: str = "auto"
    variant: str = "default"
    intervals: bool = True
    floor: bool = False
    leak_check: int = 0
    skip_corrupt: bool = False
    batches: str = "paper"
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        check_metrics(self.metrics)
        check_choices(self.scenario, self.variant, 0)


@dataclass(frozen=True)
class Task:
    """The share of one job: its number, from 1, its candidates, and the words of its command."""

    number: int
    names: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        run: name of this ranking, the same for the same question, so that a second start takes up the first.
        repo_id: dataset of results.
        tasks: one for each job.
        hardware: kind of machine.
        options: how jobs are run.
        requirement: what `uv` installs.
        files: path -> content of what the jobs need in the dataset of results.
    """

    run: str
    repo_id: str
    tasks: tuple[Task, ...]
    hardware: jobs.Hardware
    options: JobOptions
    requirement: str
    files: dict[str, bytes]

    @property
    def names(self) -> list[str]:
        """All candidates, in their order."""
        return [name for task in self.tasks for name in task.names]

    def lines(self) -> list[str]:
        """The plan in words, with its cost."""
        each = [f"job {task.number}: {', '.join(task.names)}" for task in self.tasks]
        n, minutes, price = len(self.tasks), self.options.minutes, self.hardware.price
        what = f"{n} {'job' if n == 1 else 'jobs'} on {self.hardware.flavor} ({self.hardware.description})"
        if price is None:
            cost = f"{what}: the Hub states no price per minute: see `hf jobs hardware`"
        else:
            most = f"at most ${n * minutes * price:.2f} if all take the whole {minutes:g} minutes"
            cost = f"{what}: ${60 * price:.2f} an hour each, {most}; a job that is lost is repeated once, and costs again"
        idle = "each job uses only one GPU: choose a machine with one GPU, and fewer candidates --per-job"
        return [*each, self._installed(), f"results: {self.repo_id}", cost, *([idle] if self.hardware.accelerators > 1 else [])]

    def _installed(self) -> str:
        """What the jobs run, and what to make sure of before they get a token."""
        if self.options.wheel:
            return f"each job installs the wheel {Path(self.options.wheel).name}, which goes into {self.repo_id}"
        return (
            f"each job installs {self.requirement} from the package index: make sure that this version is there and is this "
            "package, or pass --wheel"
        )


def make_plan(
    dataset: str,
    checkpoints: Sequence[str],
    repo_id: str,
    request: Request,
    sample: SampleOptions,
    load: LoadOptions,
    options: JobOptions,
) -> Plan:
    """Plan the jobs; only reads from the Hub.

    Args:
        dataset: Hub id.
        checkpoints: Hub ids.
        repo_id: OWNER/NAME of the dataset of results.
        request: what is ranked.
        sample, load: how dataset and checkpoints are read.
        options: how jobs are run.

    Raises:
        UsageError: a local path, an unknown kind of machine, or a wheel that is none.
        JobError: the Hub does not answer.
    """
    writing.check_id(repo_id)
    names = list(dict.fromkeys(checkpoints))
    if not names:
        raise UsageError("`checkpoints` must name at least one checkpoint; got none.")
    _check_on_hub("dataset", [dataset])
    _check_on_hub("checkpoints", names)
    _check_on_hub("processor", [load.processor] if load.processor else [])
    hardware = _hardware(options.flavor, load.token)
    try:
        revision = hub.resolve_dataset(dataset, sample.revision, load.token)
    except Exception as error:
        raise UsageError(hub.explain(error, "dataset", dataset)) from error
    wheel = _wheel(options.wheel) if options.wheel else None
    words = [dataset, f"--revision={revision}", *_words(request, sample, load), f"--push-to={repo_id}"]
    shares = [tuple(names[start : start + options.per_job]) for start in range(0, len(names), options.per_job)]
    if len(shares) > MOST_JOBS:
        raise UsageError(f"`per_job` must leave at most {MOST_JOBS} jobs; got {len(shares)}. Raise --per-job.")
    asked = json.dumps([words, shares, options.flavor, __version__, sorted(wheel or ())])
    run = f"{_plain(dataset)}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
    tasks = tuple(
        Task(number, share, ("python", "-m", "hf_transferability", "rank", *words, *share, f"--part={run}/{number}"))
        for number, share in enumerate(shares, 1)
    )
    for word in sorted({word for task in tasks for word in task.words}):
        if Path(word).is_file() or Path(word).suffix in _SCRIPTS:
            raise UsageError(
                f"`jobs` must have no argument that the Hub's client mistakes for a file to upload; got {shown(word)}. "
                "Run from a folder without it, or rename it."
            )
    requirement = f"hf-transferability[{EXTRAS}]"
    requirement += f" @ {_address(repo_id, *next(iter(wheel.items())))}" if wheel else f"=={__version__}"
    return Plan(run, repo_id, tasks, hardware, options, requirement, wheel or {})


def _words(request: Request, sample: SampleOptions, load: LoadOptions) -> list[str]:
    """The options of `rank` for a job: all that decides what is computed of a candidate."""
    words = changed_options(sample, [name for name in SampleOptions.names() if name != "revision"])
    words += changed_options(load, [name for name in vars(load) if name != "token"])
    words += [f"--metric={name}" for name in request.metrics]
    words += changed_options(request, [name for name in vars(request) if name not in ("metrics", "intervals")])
    return words + ([] if request.intervals else ["--no-intervals"])


def _check_on_hub(what: str, names: Sequence[str]) -> None:
    for name in names:
        path = expanded(name)
        if path.is_absolute() or name.startswith((".", "~")) or path.exists():
            raise UsageError(
                f"`{what}` must be on the Hub for jobs, which see no folder of yours; got {shown(name)}. "
                "Upload it with `hf upload`, or leave out --jobs."
            )


def _hardware(flavor: str, token: str | None) -> jobs.Hardware:
    known = {hardware.flavor: hardware for hardware in jobs.list_hardware(token)}
    if not known:
        raise JobError("the Hub names no machine for jobs. Run again later, or leave out --jobs.")
    if flavor not in known:
        raise UsageError(unknown_name("jobs", flavor, known))
    return known[flavor]


def _wheel(path: str | Path) -> dict[str, bytes]:
    """Path in the dataset of results -> content of a wheel of this package."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"`wheel` must be a wheel of hf-transferability; {path} cannot be read. Build one.") from error
    if not re.fullmatch(r"hf_transferability-[\w.+-]+\.whl", path.name) or not zipfile.is_zipfile(path):
        raise UsageError(f"`wheel` must be a wheel of hf-transferability; got {path.name}. Build one.")
    return {f"wheels/{hashlib.sha256(content).hexdigest()[:12]}/{path.name}": content}


def _address(repo_id: str, path: str, content: bytes) -> str:
    """The wheel's address with its hash: a job holds a token, and must run no other wheel that somebody put there."""
    from huggingface_hub import hf_hub_url

    return f"{hf_hub_url(repo_id, path, repo_type='dataset')}#sha256={hashlib.sha256(content).hexdigest()}"


def _plain(dataset: Any) -> str:
    """The last part of an id with only the characters that labels and paths of the Hub take."""
    return re.sub(r"[^A-Za-z0-9-]", "-", str(dataset).rsplit("/", 1)[-1])[:40]
