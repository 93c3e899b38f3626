"""The records that the store keeps of a task. Pure."""

from __future__ import annotations

import msgspec

from bide.state import State


class Spec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was submitted; never changes. Stored in `specs`, MessagePack, in this order."""

    name: str
    args: str
    """A JSON object."""
    tenant: str
    run_at_ms: int
    """When the submitter wanted it to start; 0 is at once."""
    idempotency: str
    """Field of `idempotency` that answers repeats of this submission; empty without a key."""


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a task has come. Stored in `runs`, MessagePack, in this order; see lua/_run.lua."""

    state: State
    attempt: int = 0
    """Attempts begun: first start, retries and crashes. A task handed back has not begun."""
    max_attempts: int = 1
    fence: int = 0
    """Token of the latest lease, 0 before the first. Grows with every lease of the slot."""
    worker: str = ""
    """Who holds the lease; empty unless running."""
    retention_ms: int = 0
    started_ms: int = 0
    """First start; 0 before it."""
    finished_ms: int = 0
    due_ms: int = 0
    """When a scheduled, waiting or retrying task becomes ready; 0 otherwise, and without a time."""
    cancelling: int = 0
    """1 once a cancel was asked of a task that a worker has to unwind."""
    expires_ms: int = 0
    """When it expires unless it has started; 0 is never."""
    deadline_ms: int = 0
    """When it fails unless it has finished; 0 is never."""
    journal: int = 0
    """Entries of its journal."""
    inbox: int = 0
    """1 once it was sent an event."""
    awaits: str = ""
    """Names of the events that a parked task waits for, separated by spaces."""
    parked_ms: int = 0
    """Since when a waiting task has been parked; 0 otherwise."""
    resumes: int = 0
    """1 when its next lease goes on with its attempt, instead of beginning one."""
    active_ms: int = 0
    """Of this attempt's timeout, spent before it was last parked."""
    billed_us: int = 0
    """Its active share of its workers' time, in microseconds."""
    waited_ms: int = 0
    """Time in waits, hot or parked, as far as they have ended."""
    replays: int = 0
    polls: int = 0
    exits: int = 0
    """1 when a parked task has something to run before it may end."""


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an attempt failed. Stored in `results` as JSON, and shown as the task's `error`."""

    code: str
    message: str
    traceback: str = ""


class TaskView(msgspec.Struct, frozen=True):
    """One task as it stands, read in one script."""

    id: str
    queue: str
    spec: Spec
    run: Run
    outcome: bytes
    """JSON: the result of a succeeded task, else the latest Failure; empty when there is none."""
    submitted_ms: int
    progress: bytes = b""
    """JSON: `{"fraction", "message"}`, what the task last said of itself; empty when it has not."""


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
