"""The records that the store keeps of a task. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from bide.ids import TaskId
from bide.state import State


class Spec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was submitted; never changes. Stored in `specs`; `pack_spec` and lua/_run.lua say how."""

    name: str
    tenant: str
    max_attempts: int = 1
    """0 for a poller."""
    retention_ms: int = 0
    """How long it is kept once it has finished."""
    priority: int = 0
    """From 0 to 9; 9 is leased first."""
    run_at_ms: int = 0
    """When the submitter wanted it to start; 0 is at once."""
    expires_ms: int = 0
    """When it expires unless it has started; 0 is never."""
    deadline_ms: int = 0
    """When it fails unless it has finished; 0 is never."""
    idempotency: str = ""
    """Field of `idempotency` that answers repeats of this submission; empty without a key."""
    unique: str = ""
    """Field of `uniques` that holds off others until it has finished; empty without a value."""
    tags: str = ""
    """With spaces between."""
    args: str = ""
    """A JSON object."""


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a task has come. Stored in `runs`, MessagePack, in this order; see lua/_run.lua.

    Of a task that nothing has happened to, none is stored: `read_task` makes the first.
    """

    state: State
    attempt: int = 0
    """Attempts begun: first start, retries and crashes. A task handed back has not begun."""
    max_attempts: int = 1
    """The spec's; more once it was begun again, by what had been spent by then."""
    fence: int = 0
    """Token of the latest lease, 0 before the first. Grows with every lease of the slot."""
    worker: str = ""
    """Who holds the lease; empty unless running."""
    retention_ms: int = 0
    started_ms: int = 0
    """First start, or that after the latest retry; 0 before it."""
    finished_ms: int = 0
    outcome: str = ""
    """JSON: the result of a succeeded task, else the latest Failure; empty when there is none. A large result
    stands in `results`, and here once the task is read whole.
    """
    billed_us: int = 0
    """Its active share of its workers' time, in microseconds."""
    waited_ms: int = 0
    """Time in waits, hot or parked, as far as they have ended."""
    replays: int = 0
    polls: int = 0
    due_ms: int = 0
    """When a scheduled, waiting or retrying task becomes ready; 0 otherwise, and without a time."""
    cancelling: int = 0
    """1 once a cancel was asked of the attempt that a worker has under way."""
    expires_ms: int = 0
    """When it expires unless it has started; 0 is never."""
    deadline_ms: int = 0
    """When it fails unless it has finished; 0 is never."""
    journal: int = 0
    """Entries of its journal."""
    inbox: int = 0
    """1 once it was sent an event."""
    awaits: str = ""
    """Names of the events that a parked task waits for, separated by spaces. They stay when it goes on, until
    it parks again or its attempt ends."""
    parked_ms: int = 0
    """Since when a waiting task has been parked; 0 otherwise."""
    resumes: int = 0
    """1 when its next lease goes on with its attempt, or is for its end alone, instead of beginning one."""
    active_ms: int = 0
    """Of this attempt's timeout, spent before it was last parked."""
    exits: int = 0
    """Leases that may be spent on what it has asked to be run at its end; 0 when it has asked for nothing."""
    priority: int = 0
    """The spec's, until it has finished."""
    since_ms: int = 0
    """When it last became ready, until it has finished."""
    began_ms: int = 0
    """When its latest attempt began, until it has finished."""
    retried_ms: int = 0
    """When it was last begun again, by the time of whoever asked; 0 is never."""
    suspect: int = 0
    """1 once a worker was lost that held it, until it has finished: it may have been what killed that."""
    refused_ms: int = 0
    """How long it was put off by workers that lack its code, since one that had it last ran it."""
    ending: str = ""
    """The state that it ends in once what it has asked for has been run; empty until that is decided."""


_pack = msgspec.msgpack.Encoder().encode
_unpack_spec = msgspec.msgpack.Decoder(Spec).decode
_unpack_run = msgspec.msgpack.Decoder(Run).decode

_PLACE: Final = 4
"""Bytes of the task's page in the log, which come first in a value of `specs`."""


INLINE_BYTES: Final = 512
"""Larger arguments stand in `arguments`, larger results in `results`, where lists do not read them; that
takes about 50 bytes more. lua/_finish.lua has the number, too.
"""


def pack_spec(spec: Spec) -> tuple[bytes, bytes]:
    """What follows the place in a value of `specs`, and what stands in `arguments`: large ones, or nothing.

    The former: the length of the head, the head, and small arguments. The head: a MessagePack array of all
    fields but the arguments, without those at its end that say nothing.
    """
    head, args = _packed_head(*msgspec.structs.astuple(spec)[:-1]), spec.args.encode()
    return (head + args, b"") if len(args) <= INLINE_BYTES else (head, args)


@lru_cache(maxsize=1024)
def _packed_head(*fields: Any) -> bytes:
    """The same for most submissions of a task."""
    kept = list(fields)
    while not kept[-1]:
        del kept[-1]
    head = _pack(kept)
    return len(head).to_bytes(2, "big") + head


def read_spec(value: bytes) -> Spec:
    """The spec in a value of `specs`, and of `arguments` behind it; without arguments if they were left out.

    Raises msgspec.MsgspecError, UnicodeDecodeError.
    """
    begin = _PLACE + 2
    end = begin + int.from_bytes(value[_PLACE:begin], "big")
    spec = _unpack_spec(value[begin:end])
    msgspec.structs.force_setattr(spec, "args", value[end:].decode())
    return spec


read_run: Final = _unpack_run
"""The run in a value of `runs`. Raises msgspec.MsgspecError."""


def first_run(spec: Spec, submitted_ms: int) -> Run:
    """The run of a task that nothing has happened to yet; as `first_run` in lua/_run.lua."""
    due_ms = spec.run_at_ms
    return Run(
        State.SCHEDULED if due_ms else State.READY,
        max_attempts=spec.max_attempts,
        retention_ms=spec.retention_ms,
        due_ms=due_ms,
        expires_ms=spec.expires_ms,
        deadline_ms=spec.deadline_ms,
        priority=spec.priority,
        since_ms=0 if due_ms else submitted_ms,
    )


_unpack_recent = msgspec.msgpack.Decoder(tuple[int, ...]).decode


def read_recent(packed: bytes) -> tuple[int, ...]:
    """The durations in a field `r<name>` of `series`, in ms; none in an empty one."""
    return _unpack_recent(packed) if packed else ()


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an attempt failed. Stored as the run's outcome, in JSON, and shown as the task's `error`."""

    code: str
    message: str
    traceback: str = ""


class TaskView(msgspec.Struct, frozen=True):
    """One task as it stands, read in one script."""

    id: str
    queue: str
    spec: Spec
    run: Run
    submitted_ms: int
    progress: bytes = b""
    """JSON: `{"fraction", "message"}`, what the task last said of itself; empty when it has not."""
    recent: tuple[int, ...] = ()
    """Of the last tasks of this name in this queue that succeeded: milliseconds from start to end."""


def first_view(id: TaskId, spec: Spec, recent: tuple[int, ...]) -> TaskView:
    """A task that nothing has happened to yet, as `Reads.task` would show it."""
    return TaskView(str(id), id.slot, spec, first_run(spec, id.submitted_ms), id.submitted_ms, recent=recent)


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """A decision of the autoscaler, and what it saw. Written by lua/_fleet.lua."""

    at_ms: int
    reason: str
    workers: int
    """To start; -1 is one that left."""
    ready: int
    awake: int
    free: int
    starting: int


class Totals(msgspec.Struct, frozen=True):
    """What the tasks of a slot, or of the server, came to: in a day, or since the store was made."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    billed_us: int = 0
    """The tasks' active shares of their workers' time, in microseconds."""
    waited_ms: int = 0
    replays: int = 0
    polls: int = 0
    calls: int = 0
    """Calls of shared pollers."""
    worker_ms: int = 0
    """Time that workers lived, from the start of the process."""
    starts: int = 0
    """Workers that made a first exchange."""
