"""Jobs on the loopback Hub: what the client asks of them, and a runner of the test that stands for the machines."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .protocol import Answer, HubError, Incoming, Jobs, Route, State, as_json, route

ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
ROUTES: list[Route] = []
_route = partial(route, ROUTES)
_JOB = r"/api/jobs/(?P<namespace>[^/]+)/(?P<job_id>[^/]+)"
HARDWARE = [
    {"name": "cpu-basic", "prettyName": "CPU Basic", "cpu": "2 vCPU", "ram": "16 GB", "accelerator": None}
    | {"unitCostMicroUSD": 167, "unitCostUSD": 0.000167, "unitLabel": "minute"},
    {"name": "l4x1", "prettyName": "1x L4", "cpu": "8 vCPU", "ram": "30 GB"}
    | {"accelerator": {"type": "gpu", "model": "L4", "quantity": "1", "vram": "24 GB", "manufacturer": "Nvidia"}}
    | {"unitCostMicroUSD": 13333, "unitCostUSD": 0.013333, "unitLabel": "minute"},
    {"name": "l4x4", "prettyName": "4x L4", "cpu": "48 vCPU", "ram": "186 GB"}
    | {"accelerator": {"type": "gpu", "model": "L4", "quantity": "4", "vram": "96 GB", "manufacturer": "Nvidia"}}
    | {"unitCostMicroUSD": 63333, "unitCostUSD": 0.063333, "unitLabel": "minute"},
]


@dataclass
class Job:
    """One job. `secrets` never go out."""

    id: str
    namespace: str
    spec: dict[str, Any]
    stage: str = "SCHEDULING"
    message: str | None = None
    logs: list[str] = field(default_factory=list)

    @property
    def secrets(self) -> dict[str, str]:
        """Name -> value."""
        return self.spec.get("secrets") or {}

    def to_dict(self) -> dict[str, Any]:
        """The job as the Hub tells it."""
        return {
            "id": self.id,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "dockerImage": self.spec.get("dockerImage"),
            "command": self.spec["command"],
            "arguments": self.spec["arguments"],
            "environment": self.spec["environment"],
            "flavor": self.spec["flavor"],
            "labels": self.spec.get("labels") or {},
            "status": {"stage": self.stage, "message": self.message},
            "owner": {"id": "0", "name": self.namespace, "type": "user"},
        }


class Machines(Jobs):
    """The machines of the loopback Hub.

    `run` gets a job and returns its exit status and what it printed. `faults` are for the next jobs, one each: "dies" (it never
    runs its command), "dies late" (it runs it, and fails then), "waits" (it never gets a machine), or "" for none.
    """

    def __init__(self, run: Callable[[Job], tuple[int, list[str]]]) -> None:
        self.run = run
        self.faults: list[str] = []
        self.jobs: list[Job] = []
        self._lock = threading.Lock()

    def start(self, namespace: str, spec: dict[str, Any]) -> Job:
        """Begin a job in a thread."""
        with self._lock:
            job = Job(f"{len(self.jobs) + 1:024x}", namespace, spec)
            self.jobs.append(job)
            fault = self.faults.pop(0) if self.faults else ""
        if fault != "waits":
            threading.Thread(target=self._work, args=(job, fault), name="loopback-job", daemon=True).start()
        return job

    def _work(self, job: Job, fault: str) -> None:
        job.stage = "RUNNING"
        if fault == "dies":
            job.logs.append("starting")
            job.stage, job.message = "ERROR", "Job failed with exit code: 137. Reason: OOMKilled"
            return
        status, printed = self.run(job)
        job.logs += printed
        if status or fault:
            job.stage, job.message = "ERROR", f"Job failed with exit code: {status or 1}"
        else:
            job.stage = "COMPLETED"


@_route(r"/api/jobs/hardware")
def hardware(state: State, request: Incoming) -> Answer:
    """The kinds of machines and their prices, for everybody."""
    return as_json(HARDWARE)


@_route(r"/api/jobs/(?P<namespace>[^/]+)", "POST")
def start(state: State, request: Incoming, namespace: str) -> Answer:
    """Start a job."""
    spec = json.loads(request.body)
    if spec["flavor"] not in [machine["name"] for machine in HARDWARE]:
        raise HubError(400, None, "Invalid flavor")
    return as_json(_machines(state, request, namespace).start(namespace, spec).to_dict())


@_route(r"/api/jobs/(?P<namespace>[^/]+)")
def listed(state: State, request: Incoming, namespace: str) -> Answer:
    """The jobs with all of the labels asked for, the newest first."""
    wanted = dict(label.split("=", 1) for label in request.query.get("label", []))
    jobs = [job for job in _machines(state, request, namespace).jobs if job.namespace == namespace]
    return as_json([job.to_dict() for job in reversed(jobs) if wanted.items() <= (job.spec.get("labels") or {}).items()])


@_route(_JOB)
def one(state: State, request: Incoming, namespace: str, job_id: str) -> Answer:
    """A job."""
    return as_json(_find(state, request, namespace, job_id).to_dict())


@_route(f"{_JOB}/cancel", "POST")
def cancel(state: State, request: Incoming, namespace: str, job_id: str) -> Answer:
    """Stop a job."""
    job = _find(state, request, namespace, job_id)
    if job.stage not in ENDED:
        job.stage = "CANCELED"
    return as_json(job.to_dict())


@_route(f"{_JOB}/logs")
def logs(state: State, request: Incoming, namespace: str, job_id: str) -> Answer:
    """What a job has printed, as events, when it has ended: a client that gets an answer before would miss the last lines."""
    job = _find(state, request, namespace, job_id)
    deadline = time.monotonic() + 60
    while job.stage not in ENDED and time.monotonic() < deadline:
        time.sleep(0.02)
    lines = [{"timestamp": "2026-01-01T00:00:00.000Z", "data": line} for line in ["===== Job started =====", *job.logs]]
    body = "".join(f"data: {json.dumps(line)}\n\n" for line in lines)
    return Answer(200, {"Content-Type": "text/event-stream"}, body.encode())


def _machines(state: State, request: Incoming, namespace: str) -> Machines:
    if request.account is None:
        raise HubError(401, None, "Invalid username or password.")
    if not request.account.may_write(f"{namespace}/"):
        raise HubError(403, None, f"You may not use the jobs of {namespace}")
    assert isinstance(state.jobs, Machines)
    return state.jobs


def _find(state: State, request: Incoming, namespace: str, job_id: str) -> Job:
    for job in _machines(state, request, namespace).jobs:
        if (job.id, job.namespace) == (job_id, namespace):
            return job
    raise HubError(404, None, "Job not found")
