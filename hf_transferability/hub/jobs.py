"""Jobs on the Hub's machines: prices, start, state, logs. The token goes into a job as its secret, and nowhere else."""

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import OfflineModeIsEnabled

from hf_transferability.errors import JobError, first_line
from hf_transferability.hub.messages import explain_publishing
from hf_transferability.hub.retries import (
    TEMPORARY_STATUS,
    call,
    cannot_connect,
    caused_by,
    is_connection_error,
    response_of,
)

ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
WAITING = "SCHEDULING"  # the stage of a job that has no machine yet
_ATTEMPTS = 3  # to start a job
_AGAIN = "Run the same command again in a few minutes: jobs that it has started go on, and none is started twice."


@dataclass(frozen=True)
class Hardware:
    """One kind of machine.

    Attributes:
        flavor: its name.
        description: processor or card, and memory.
        price: US dollars a minute; None if the Hub states it for something else.
        accelerators: how many it has.
    """

    flavor: str
    description: str
    price: float | None
    accelerators: int = 0


@dataclass(frozen=True)
class JobSpec:
    """A job to start.

    Attributes:
        words: a command and its arguments, as `uv run` gets them.
        dependencies: requirements that are installed first.
        flavor: kind of machine.
        minutes: after which it is stopped.
        labels: by which it can be found; no two jobs have the same.
        namespace: whose jobs it belongs to, and who pays.
    """

    words: tuple[str, ...]
    dependencies: tuple[str, ...]
    flavor: str
    minutes: float
    labels: Mapping[str, str]
    namespace: str


@dataclass(frozen=True)
class Job:
    """A job on the Hub.

    Attributes:
        id: its id.
        url: where its owner sees it.
        stage: "SCHEDULING", "RUNNING" or one of ENDED.
        message: what the Hub says about the stage; may be empty.
        labels: as in its specification.
    """

    id: str
    url: str
    stage: str
    message: str
    labels: Mapping[str, str]


def list_hardware(token: str | None = None) -> list[Hardware]:
    """All kinds of machines, with their prices.

    Raises:
        JobError: the Hub does not answer.
    """
    listed = _asked(HfApi(token=token).list_jobs_hardware, "")
    return [_hardware(one) for one in listed]


def _hardware(one: Any) -> Hardware:
    price = one.unit_cost_usd if one.unit_label == "minute" else None
    quantity = str(one.accelerator.quantity) if one.accelerator else "0"
    return Hardware(one.name, _description(one), price, int(quantity) if quantity.isdecimal() else 1)


def _description(hardware: Any) -> str:
    card = hardware.accelerator
    shown = f"{card.quantity} x {card.model} with {card.vram}" if card else None
    return ", ".join(filter(None, [shown, hardware.cpu, hardware.ram]))


def start_job(spec: JobSpec, token: str | None = None) -> Job:
    """Start a job. If the answer is lost, it is looked for before it is started again, so that it is paid for once.

    Raises:
        JobError: no credit, no permission, or no network.
    """
    secrets = {"HF_TOKEN": token or get_token()}
    api = HfApi(token=token)
    for attempt in range(_ATTEMPTS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the client calls this function experimental
                job = api.run_uv_job(
                    spec.words[0],
                    script_args=list(spec.words[1:]),
                    dependencies=list(spec.dependencies),
                    flavor=spec.flavor,
                    timeout=f"{spec.minutes:g}m",
                    secrets=secrets,
                    labels=dict(spec.labels),
                    namespace=spec.namespace,
                )
            return _job(job)
        except Exception as error:
            if not _may_have_started(error) or attempt + 1 == _ATTEMPTS:
                raise JobError(explain_job(error, spec.namespace)) from error
        time.sleep(2.0**attempt)
        if found := find_jobs(spec.labels, spec.namespace, token):
            return found[0]
    raise AssertionError("unreachable")


def find_jobs(labels: Mapping[str, str], namespace: str, token: str | None = None) -> list[Job]:
    """The jobs of a namespace that have all of these labels, the newest first.

    Raises:
        JobError: no permission, or no network.
    """
    api = HfApi(token=token)
    listed = _asked(lambda: list(api.list_jobs(labels=dict(labels), namespace=namespace)), namespace)
    # A server that does not know the filter would list all jobs.
    return [_job(one) for one in listed if dict(labels).items() <= (one.labels or {}).items()]


def look_at_job(job: Job, namespace: str, token: str | None = None) -> Job:
    """The job as it is now.

    Raises:
        JobError: no permission, or no network.
    """
    return _job(_asked(lambda: HfApi(token=token).inspect_job(job_id=job.id, namespace=namespace), namespace))


def cancel_job(job: Job, namespace: str, token: str | None = None) -> None:
    """Stop a job, so that it costs no more; one that has ended stays as it is.

    Raises:
        JobError: no permission, or no network.
    """
    _asked(lambda: HfApi(token=token).cancel_job(job_id=job.id, namespace=namespace), namespace)


def follow_logs(job: Job, namespace: str, token: str | None = None) -> Iterable[str]:
    """The lines that a job prints, as they come, until it ends."""
    return HfApi(token=token).fetch_job_logs(job_id=job.id, namespace=namespace, follow=True)


def explain_job(error: Exception, namespace: str) -> str:
    """What happened to a request about jobs, and what to do."""
    response = response_of(error)
    status = response.status_code if response is not None else None
    namespace = namespace or "your account"
    if caused_by(error, OfflineModeIsEnabled):
        return "offline mode is on (HF_HUB_OFFLINE), so no job can be started or watched. Unset it."
    if response is None and is_connection_error(error):
        how = "cannot be reached" if cannot_connect(error) else "broke off the connection"
        return f"the Hub at {constants.ENDPOINT} {how} ({first_line(error)}). {_AGAIN}"
    if status in TEMPORARY_STATUS:
        return f"the Hub is busy or broken ({status} for the jobs of {namespace}). {_AGAIN}"
    if status == 402:
        return (
            f"the Hub starts no job for {namespace} without credit (402). Add some at {constants.ENDPOINT}/settings/billing, "
            "or leave out --jobs to rank on this machine."
        )
    if status in (403, 404):
        return (
            f"your token may not use the jobs of {namespace} ({status}). Log in with `hf auth login` and a token that may, "
            f"made at {constants.ENDPOINT}/settings/tokens."
        )
    return explain_publishing(error, "")


def _asked(request: Any, namespace: str) -> Any:
    try:
        return call(request)
    except Exception as error:
        raise JobError(explain_job(error, namespace)) from error


def _may_have_started(error: Exception) -> bool:
    """Whether a request that failed may have been carried out, or may be carried out if it is sent again."""
    response = response_of(error)
    return response.status_code in TEMPORARY_STATUS if response is not None else is_connection_error(error)


def _job(info: Any) -> Job:
    stage = str(getattr(info.status.stage, "value", info.status.stage))
    return Job(str(info.id), str(info.url), stage, str(info.status.message or ""), dict(info.labels or {}))
