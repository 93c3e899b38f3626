"""Task states and the one table of allowed transitions. Pure."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a task is. It is in exactly one state at any time."""

    SCHEDULED = "scheduled"
    """Accepted; starts when its delay has passed."""
    READY = "ready"
    """Waits for a worker."""
    RUNNING = "running"
    """Leased by a worker."""
    WAITING = "waiting"
    """Parked: it waits for a time, an event or a poll, and no worker holds it."""
    RETRYING = "retrying"
    """An attempt failed, or its worker lacked its code; the next one starts when its delay has passed."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """Nobody started it within its `expires`."""

    @property
    def done(self) -> bool:
        """Whether the state is terminal: it changes only if somebody has a failed task retried."""
        return self in _TERMINAL


_TERMINAL: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED})

TRANSITIONS: Final = MappingProxyType(
    {
        State.SCHEDULED: frozenset({State.READY, State.FAILED, State.CANCELLED, State.EXPIRED}),
        State.READY: frozenset({State.RUNNING, State.FAILED, State.CANCELLED, State.EXPIRED}),
        State.RUNNING: frozenset(
            {
                State.READY,
                State.WAITING,
                State.RETRYING,
                State.SUCCEEDED,
                State.FAILED,
                State.CANCELLED,
            }
        ),
        State.WAITING: frozenset({State.READY, State.FAILED, State.CANCELLED}),
        State.RETRYING: frozenset({State.READY, State.FAILED, State.CANCELLED}),
        State.SUCCEEDED: frozenset[State](),
        State.FAILED: frozenset({State.READY, State.SCHEDULED}),
        State.CANCELLED: frozenset[State](),
        State.EXPIRED: frozenset[State](),
    }
)
"""Every change of state there is. Scripts, docs/state-machine.md and tests are checked against it."""
