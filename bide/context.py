"""What a task sees of itself while it runs."""

from __future__ import annotations

from enum import Enum
from typing import Final

from bide.errors import Interrupted, TaskCancelled, TaskTimeout
from bide.ids import TaskId


class StopReason(Enum):
    """Why a running attempt is asked to end."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    LOST = "lost"
    """Its lease has passed to another worker: nothing it does counts any more."""


_SHUTDOWN_MESSAGE: Final = "The worker is shutting down; the task goes back to its queue."
_LOST_MESSAGE: Final = "The lease was lost; another worker has the task."


class Context:
    """Handed to a task whose first parameter is annotated with it. One per attempt."""

    __slots__ = ("_id", "attempt", "stopping")

    def __init__(self, id: TaskId, attempt: int) -> None:
        self._id = id
        self.attempt = attempt
        """Which attempt this is, from 1."""
        self.stopping: StopReason | None = None
        """Why the attempt should end; None while it should not."""

    @property
    def task_id(self) -> str:
        """The id that the submitter was given."""
        return str(self._id)

    @property
    def queue(self) -> str:
        return self._id.slot

    def check(self) -> None:
        """Raise if the attempt should end: call it in the loops of a plain function.

        An async task needs no checks: it is interrupted at its next await. A thread
        cannot be interrupted, so a plain function that never calls this runs to its end.
        Raises TaskCancelled, TaskTimeout, or Interrupted when the worker shuts down or has
        lost the task; let it pass through.
        """
        if self.stopping is None:
            return
        if self.stopping is StopReason.CANCEL:
            raise TaskCancelled
        if self.stopping is StopReason.TIMEOUT:
            raise TaskTimeout
        raise Interrupted(_SHUTDOWN_MESSAGE if self.stopping is StopReason.SHUTDOWN else _LOST_MESSAGE)
