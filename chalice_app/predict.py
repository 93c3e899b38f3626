"""When asking again may tell something new. Pure."""

from __future__ import annotations

import math

from bide.records import TaskView
from bide.state import State
from chalice_app.limits import LONGEST_RETRY_AFTER


def retry_after(view: TaskView, now_ms: int) -> int:
    """Seconds for `Retry-After` of a task, by the store's time `now_ms`; 0 is "very soon".

    A task that waits for its time is due then. Any other is likely to go on for a part of what
    it has taken so far: a quarter, so that a client learns of the end late by at most that;
    a parked one no longer than until it is due.
    """
    run = view.run
    if run.state.done or run.cancelling:
        return 0
    if run.state in (State.SCHEDULED, State.RETRYING):
        return _seconds_until(run.due_ms, now_ms)
    since_ms = run.started_ms or max(view.submitted_ms, view.spec.run_at_ms, run.retried_ms)
    patience = min(LONGEST_RETRY_AFTER, max(0, now_ms - since_ms) // 4000)
    if run.state is State.WAITING and run.due_ms:
        # What awaits an event is due when it gives up, and goes on sooner when the event comes.
        limit = max(1, patience) if run.awaits else LONGEST_RETRY_AFTER
        return min(limit, _seconds_until(run.due_ms, now_ms))
    return patience


def _seconds_until(due_ms: int, now_ms: int) -> int:
    return max(0, math.ceil((due_ms - now_ms) / 1000))
