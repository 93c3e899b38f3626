"""When asking again may tell something new. Pure.

A kind of which some have finished tells by their durations when the next ones end: `Retry-After` leads to
the end of the first crowd of them that is still ahead. One less than a second off is told as 0, "very soon",
since a client then has its next poll held until the end. Where the durations do not tell, the task is likely
to go on for a part of what it has taken so far.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from bide.records import TaskView
from bide.state import State
from chalice_app.limits import LONGEST_PREDICTION, LONGEST_RETRY_AFTER

ENOUGH: Final = 5
"""Durations that it takes to know a kind."""

_SLACK_MS: Final = 100
_SLACK_SHARE: Final = 20
"""A client may learn of the end late by a twentieth of the duration, or by that; two such make the tenth
that is the aim: one for durations that differ, one for whole seconds."""
_STRAYS: Final = 20
"""Of so many durations the shortest is no reason to ask."""
_PART: Final = 4
"""A quarter: of a task's age, and of the durations of its kind."""
_CROWD: Final = 3
"""Durations that are a crowd, where they are a quarter of those ahead, too."""


class _Progress(msgspec.Struct):
    fraction: float | None = None


_read_progress: Final = msgspec.json.Decoder(_Progress).decode


def retry_after(view: TaskView, now_ms: int) -> int:
    """Seconds for `Retry-After` of a task, by the store's time `now_ms`; 0 is "very soon"."""
    run = view.run
    if run.state.done or run.cancelling or run.ending:
        return 0
    # What awaits an event is due when it gives up, and goes on sooner when the event comes.
    from_ms = max(now_ms, 0 if run.awaits else run.due_ms)
    age_ms = from_ms - run.started_ms if run.started_ms else 0
    ordered = sorted(view.recent) if len(view.recent) >= ENOUGH else []
    found = _next_end(ordered, age_ms)
    if found is None:
        return _by_age(view, now_ms, longest_ms=ordered[-1] if ordered else 0)
    end_ms, slack_ms = found
    left_ms = from_ms - now_ms + min(end_ms - age_ms, LONGEST_PREDICTION * 1000)
    seconds = _whole_seconds(left_ms, slack_ms)
    if (run.state is State.READY and not run.started_ms) or 0 < run.due_ms <= now_ms:
        # Nothing tells when its turn comes: there may be no worker, or its queue may be paused.
        return max(seconds, _by_age(view, now_ms))
    return seconds


def _next_end(ordered: Sequence[int], age_ms: int) -> tuple[int, int] | None:
    """The age at which a task of these durations is likely to be done that is not at `age_ms`, and by how
    much later than that a client may ask. None when it has outlived them.
    """
    passed = bisect_right(ordered, age_ms)
    ahead = ordered[passed:]
    if not ahead:
        return None
    for first in (ahead[len(ahead) // _STRAYS], ahead[0]):
        slack_ms = _slack_ms(first)
        reached = bisect_right(ahead, first + slack_ms)
        end_ms = ahead[reached - 1]
        if reached >= _CROWD and reached * _PART >= len(ahead):
            break
    else:  # one may end at any time, from a little before the first of them on
        end_ms, slack_ms = age_ms + age_ms // _PART, 0
        # What few have reached, few durations tell: there may well be others between.
        if len(ahead) * _PART >= len(ordered):
            end_ms = max(first - first // _PART, end_ms)
    # Right after a crowd, its last ones may be a little later than ever before.
    crowd = passed - bisect_left(ordered, age_ms - 2 * _slack_ms(age_ms))
    if crowd * _PART >= len(ordered):
        end_ms = min(end_ms, age_ms + (age_ms - ordered[passed - 1]))
    return end_ms, slack_ms


def _by_age(view: TaskView, now_ms: int, longest_ms: int = 0) -> int:
    """The prediction for a task whose end nothing tells: a quarter of its age.

    A client then learns of the end late by at most that. Progress tells more; and a task that has outlived
    all of its kind, which took up to `longest_ms`, is likely to go on for as long as it has done so.
    A parked one goes on no longer than until it is due; one that is overdue, for a quarter of that time.
    """
    run = view.run
    if run.state in (State.SCHEDULED, State.RETRYING):
        return _seconds_until(run.due_ms, now_ms)
    age_ms = max(0, now_ms - (run.started_ms or max(view.submitted_ms, view.spec.run_at_ms, run.retried_ms)))
    patience_ms = age_ms // _PART
    fraction = _fraction(view)
    if run.started_ms and fraction > 0:
        left_ms = age_ms / fraction - age_ms
        patience_ms = math.floor(max(left_ms / 2, age_ms / 8))
    elif longest_ms and run.started_ms:
        patience_ms = min(patience_ms, max(0, age_ms - longest_ms))
    patience = min(LONGEST_RETRY_AFTER, patience_ms // 1000)
    if run.state is State.WAITING and run.due_ms:
        limit = max(1, patience) if run.awaits else LONGEST_RETRY_AFTER
        return min(limit, _seconds_until(run.due_ms, now_ms))
    return patience


def _fraction(view: TaskView) -> float:
    """What the task says it has done, up to 1; 0 when it does not say."""
    return (_read_progress(view.progress).fraction or 0.0) if view.progress else 0.0


def _slack_ms(duration_ms: int) -> int:
    return max(_SLACK_MS, duration_ms // _SLACK_SHARE)


def _whole_seconds(ms: int, slack_ms: int) -> int:
    """Whole seconds: after the end where that is late by no more than `slack_ms`, else before it."""
    up = max(0, math.ceil(ms / 1000))
    return up if up * 1000 - ms <= slack_ms else up - 1


def _seconds_until(due_ms: int, now_ms: int) -> int:
    if due_ms > now_ms:
        return math.ceil((due_ms - now_ms) / 1000)
    return min(LONGEST_RETRY_AFTER, (now_ms - due_ms) // _PART // 1000)
