"""The records that the store keeps of a task. Pure."""

from __future__ import annotations

import msgspec

from bide.state import State


class Spec(msgspec.Struct, frozen=True, array_like=True):
    """What was submitted; never changes. Stored in `specs`, MessagePack, in this order."""

    name: str
    args: str
    """A JSON object."""
    tenant: str
    run_at_ms: int
    """When the submitter wanted it to start; 0 is at once."""
    idempotency: str
    """Field of `idempotency` that answers repeats of this submission; empty without a key."""


class Run(msgspec.Struct, frozen=True, array_like=True):
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
    """When a scheduled or retrying task becomes ready; 0 otherwise."""
    cancelling: int = 0
    """1 once a cancel was asked of a running task."""


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
