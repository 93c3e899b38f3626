"""What the store answers. Pure."""

from __future__ import annotations

from typing import NamedTuple

from bide.autoscaler import Seen
from bide.ids import TaskId
from bide.records import TaskView


class Need(NamedTuple):
    """What a script found lacking, of one slot."""

    workers: int = 0
    """Workers to start now."""
    alarm_ms: int = 0
    """Set an alarm for this time of the store's; 0 is none."""


class Accepted(NamedTuple):
    """The store's answer to a submission."""

    id: TaskId
    seen: bool
    """Whether this answers a submission that had been accepted before."""
    need: Need
    """What it takes that somebody runs it."""
    burst_left: int | None
    """Submissions that the rate limit still allows at once; None without a limit."""
    view: TaskView | None = None
    """The task as it has just been recorded; None of one that had been accepted before: only a read tells."""


class Cancelled(NamedTuple):
    """The store's answer to a cancel."""

    now: bool
    """True when the task is cancelled; False when a worker has been asked to end it."""
    need: Need


class Retried(NamedTuple):
    """The store's answer to a retry."""

    seen: bool
    """Whether it had been retried before, and has not finished since."""
    need: Need


class Sent(NamedTuple):
    """The store's answer to an event."""

    seen: bool
    """Whether this answers an event that had been accepted before."""
    need: Need
    burst_left: int | None = None
    """As in Accepted, events and submissions together; None also for a repeat."""


class Upkeep(NamedTuple):
    """What one tick of a slot did, and what it found."""

    promoted: int
    reaped: int
    pruned: int
    listeners: int
    next_due_ms: int
    """When the slot next has something to promote, end or reap; -1 is never."""
    alarm_ms: int
    """When to set an alarm for, as none is set for then; 0 is none."""
    seen: Seen
    operating: int = 0
    """Bulk operations that are running."""
