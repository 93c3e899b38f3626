"""The JSON forms: a task, the server's gate, times; and the responses that carry them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from chalice.app import Response
from msgspec import UNSET, Raw, UnsetType

from bide.gate import Gate
from bide.prices import Tariff
from bide.records import Failure, Run, TaskView
from bide.state import State

MEDIA_TYPE: Final = "application/json"

_EPOCH: Final = datetime(1970, 1, 1)
_encode = msgspec.json.Encoder().encode
_decode_failure = msgspec.json.Decoder(Failure).decode


class TaskJson(msgspec.Struct, frozen=True):
    """A task on the wire. docs/http-api.md describes each field."""

    id: str
    name: str
    queue: str
    state: State
    done: bool
    args: Raw | UnsetType
    result: Raw | UnsetType | None
    """Lists leave out both."""
    error: Raw | None
    attempt: int
    max_attempts: int
    priority: int
    tags: list[str]
    unique: str | None
    submitted_at: str | None
    started_at: str | None
    finished_at: str | None
    run_at: str | None
    expires_at: str | None
    progress: Raw | None
    billed_ms: float
    waited_ms: int
    replays: int
    polls: int
    cost_usd: float


class GateJson(msgspec.Struct, frozen=True):
    """Whether the server accepts submissions."""

    accepting: bool
    reason: str
    retry_after: int | None
    epoch: int
    changed_at: str | None
    left: int
    """Tasks that have not finished."""
    queues: list[LeftJson] | msgspec.UnsetType = msgspec.UNSET


class LeftJson(msgspec.Struct, frozen=True):
    """What is left of one queue."""

    queue: str
    left: int


def task_json(view: TaskView, now_ms: int, tariff: Tariff, *, traceback: bool, brief: bool = False) -> bytes:
    """The body that shows a task.

    brief: without arguments and result, as lists show it.
    now_ms: the store's time, up to which a parked task has waited.
    tariff: what its cost is told by.
    traceback: show where in the code a failure arose. That is for whoever runs the server,
        not for everybody with a key.
    """
    spec, run = view.spec, view.run
    told = run.outcome.encode()
    outcome = Raw(told) if told else None
    succeeded = run.state is State.SUCCEEDED
    return _encode(
        TaskJson(
            id=view.id,
            name=spec.name,
            queue=view.queue,
            state=run.state,
            done=run.state.done,
            args=UNSET if brief else Raw(spec.args.encode()),
            result=UNSET if brief else outcome if succeeded else None,
            error=None if succeeded else outcome if traceback else _without_traceback(told),
            attempt=run.attempt,
            max_attempts=run.max_attempts,
            priority=spec.priority,
            tags=spec.tags.split(),
            unique=spec.unique.partition("\0")[2] or None,
            submitted_at=time_text(view.submitted_ms),
            started_at=time_text(run.started_ms),
            finished_at=time_text(run.finished_ms),
            run_at=time_text(run.due_ms or spec.run_at_ms),
            expires_at=time_text(spec.expires_ms),
            progress=Raw(view.progress) if view.progress else None,
            billed_ms=round(run.billed_us / 1000, 3),
            waited_ms=run.waited_ms + _parked_for_ms(run, now_ms),
            replays=run.replays,
            polls=run.polls,
            cost_usd=tariff.cost(run.billed_us),
        )
    )


def _parked_for_ms(run: Run, now_ms: int) -> int:
    return max(0, now_ms - run.parked_ms) if run.parked_ms else 0


def _without_traceback(failure: bytes) -> Raw | None:
    if not failure:
        return None
    decoded = _decode_failure(failure)
    return Raw(_encode(Failure(decoded.code, decoded.message)))


def etag(view: TaskView) -> str:
    """An entity tag: of all that can change in `task_json`, but for the time that passes while parked.

    A lease, a settle, a promotion and a reap each change the state, the fence or the attempt.
    """
    run = view.run
    tag = f"{run.state}-{run.attempt}-{run.fence}-{run.due_ms}"
    usage = f"{run.billed_us} {run.waited_ms} {run.replays} {run.polls} ".encode()
    return f'"{tag}-{hashlib.blake2b(usage + view.progress, digest_size=6).hexdigest()}"'


def gate_json(gate: Gate, left: Mapping[str, int], *, by_queue: bool = False) -> bytes:
    """The body that shows the gate, and how many unfinished tasks are left.

    left: by queue. by_queue: tell them apart.
    """
    return _encode(
        GateJson(
            gate.accepting,
            gate.reason,
            gate.retry_after or None,
            gate.epoch,
            time_text(gate.changed_ms),
            sum(left.values()),
            [LeftJson(queue, count) for queue, count in left.items()] if by_queue else msgspec.UNSET,
        )
    )


def time_text(ms: int) -> str | None:
    """RFC 3339 in UTC with milliseconds; None for 0, which stands for "not yet"."""
    return f"{(_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec='milliseconds')}Z" if ms else None


def respond(status: int, body: bytes, headers: Mapping[str, str] = {}) -> Response:
    """A JSON response; the gateway wants text."""
    return Response(body=body.decode(), status_code=status, headers={"Content-Type": MEDIA_TYPE, **headers})


def not_modified(headers: Mapping[str, str]) -> Response:
    """A 304 response, which has no body."""
    return Response(body="", status_code=304, headers={**headers})
