"""What a task's attempts came to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from bide.records import Failure, Run
from bide.state import State


class Outcome(StrEnum):
    """How an attempt ended, or that it has not."""

    RUNNING = "running"
    """It goes on: in a worker, parked, or ready to resume."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """And the task with it."""
    RETRYING = "retrying"
    """It failed, and another was to come."""
    LOST = "lost"
    """Its worker died or fell silent."""
    CANCELLED = "cancelled"


class Attempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt. Stored in `attempts`, MessagePack, a list a task; written by lua/_attempts.lua."""

    number: int
    """From 1, and on through every retry."""
    worker: str
    """Who held it last; empty when none did, or it is not known."""
    began_ms: int
    ended_ms: int
    """0 while it goes on."""
    outcome: Outcome
    code: str = ""
    """Of the failure; empty without one."""
    message: str = ""
    """The first 500 bytes of the failure's."""


class History(NamedTuple):
    """The attempts of one task."""

    attempts: tuple[Attempt, ...]
    """The oldest first."""
    dropped: int
    """How many are no longer kept: those that followed the first ten."""
    traceback: str
    """Of the latest failure, which is the last attempt that failed; empty when none is kept."""


FAILURES: Final = (Outcome.FAILED, Outcome.RETRYING)

_attempts = msgspec.msgpack.Decoder(tuple[Attempt, ...]).decode
_failure = msgspec.json.Decoder(Failure).decode


def read_history(run: Run, packed: bytes) -> History:
    """The history of the task whose record is `run`.

    packed: its field of `attempts`, or empty: a task that succeeded at once has none.
    """
    attempts = list(_attempts(packed)) if packed else []
    if _is_open(run):
        attempts.append(Attempt(run.attempt, run.worker, run.began_ms, 0, Outcome.RUNNING))
    elif run.state is State.SUCCEEDED and not attempts:
        attempts.append(Attempt(run.attempt, "", run.started_ms, run.finished_ms, Outcome.SUCCEEDED))
    dropped = attempts[-1].number - len(attempts) if attempts else 0
    return History(tuple(attempts), max(0, dropped), _traceback(attempts, run))


def _is_open(run: Run) -> bool:
    """Whether an attempt has begun and not ended; one that is parked, or resumes, goes on.

    The last one has ended when the task is leased for what it has asked to be run at its end.
    """
    return not run.ending and (run.state is State.RUNNING or run.resumes == 1)


def _traceback(attempts: Sequence[Attempt], run: Run) -> str:
    """The traceback in the task's outcome, if that is the failure of its last attempt that failed."""
    failed = [attempt for attempt in attempts if attempt.outcome in FAILURES]
    if not failed or not run.outcome or run.state is State.SUCCEEDED:
        return ""
    try:
        failure = _failure(run.outcome)
    except msgspec.MsgspecError:
        return ""
    return failure.traceback if failure.code == failed[-1].code else ""
