"""The autoscaler's policy: what one queue needs, from what is seen of it at one moment.

Pure: no clock, no store. All of it is sums over the queue's workers and a worker's own
load, so that a script can say the same in constant time. `bide scaling simulate` replays
arrivals through these very functions.

- *Start* exactly what lacks, at once: the doorbell, inside the script that makes work (`missing`).
- *Repair*: the tick asks again, and keeps the minimum (`decide`).
- *Pack*: which worker gets a task is not chosen; rather, a worker whose tasks fit on the
  others hands them over and leaves (`is_spare`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

RESERVE_SHARE: Final = 20
"""A worker leaves only if one place of so many of a worker's, rounded up, stays free on the others."""


class Limits(NamedTuple):
    """What one queue is allowed."""

    minimum: int
    """Workers at least, 0 or more."""
    maximum: int
    """Workers at most, no fewer than `minimum`."""
    concurrency: int
    """Places of each worker, 1 or more."""


class Seen(NamedTuple):
    """An observation of one queue at one moment."""

    ready: int
    """Tasks that wait for a worker."""
    awake: int
    """Workers heard of lately, without those that have said they leave."""
    free: int
    """Free places on them."""
    starting: int
    """Workers started and not heard of yet: rows of at most 10 s, for a start may get lost."""


class Reason(StrEnum):
    """Why a decision is as it is."""

    NONE = "none"
    """What there is suffices."""
    READY = "ready"
    """Tasks wait for which there is no place, nor will be on the workers that are starting."""
    MINIMUM = "minimum"
    """Fewer workers than the minimum."""
    SUCCESSOR = "successor"
    """A worker whose time is up hands over."""
    MAXIMUM = "maximum"
    """Tasks wait for which there is no place, and the maximum does not allow all the workers they need."""


class Departure(StrEnum):
    """Why a worker leaves."""

    IDLE = "idle"
    """It has had nothing to do for as long as it may linger."""
    PARKED = "parked"
    """All that is left are waits, and none of them ends soon."""
    SPARE = "spare"
    """Its tasks fit on the others."""
    EXCESS = "excess"
    """There are as many others as may be."""
    LIFETIME = "lifetime"
    """It has lived for as long as it may; its successor has been started."""
    STOPPED = "stopped"
    """Somebody has ended it."""
    LOST = "lost"
    """Its process was seen to die."""


class Decision(NamedTuple):
    """What to do now."""

    start: int
    """Workers to start, 0 or more."""
    reason: Reason


def missing(seen: Seen, limits: Limits) -> int:
    """Workers to start so that each ready task gets a place: the doorbell.

    `ceil((ready - free - starting * concurrency) / concurrency)`,
    at most `maximum - awake - starting`, at least 0.
    """
    return max(0, min(_lacking(seen, limits), limits.maximum - seen.awake - seen.starting))


def decide(seen: Seen, limits: Limits) -> Decision:
    """What the tick does: start what is missing, and never fewer than the minimum needs.

    `max(missing, minimum - awake - starting)`, at least 0.
    """
    start = missing(seen, limits)
    below = limits.minimum - seen.awake - seen.starting
    if below > start:
        return Decision(below, Reason.MINIMUM)
    if start < _lacking(seen, limits):
        return Decision(start, Reason.MAXIMUM)
    return Decision(start, Reason.READY if start else Reason.NONE)


def is_spare(load: int, seen: Seen, limits: Limits) -> bool:
    """Whether a worker with `load` of its places taken may hand its tasks to the others and leave.

    The worker is one of `seen.awake`; all its tasks can be parked. All of these hold:

    - nothing is ready, and nobody is starting;
    - `awake - 1 >= minimum`, and `awake > 1`;
    - the others have places for its tasks and a reserve against flapping:
      `free - (concurrency - load) >= load + reserve(concurrency)`;
    - it is no fuller than the average, so that few tasks move:
      `load * awake <= awake * concurrency - free`. The emptiest worker always meets this.

    Whoever acts on it takes the worker out of `awake` and `free` first and then makes sure that
    the others still have `load + reserve` places free, lest two leave for the same ones; from then
    until its tasks are on the others, these count as taken: `free` is without their places.
    """
    return has_spare(seen, limits) and load * seen.awake <= seen.awake * limits.concurrency - seen.free


def has_spare(seen: Seen, limits: Limits) -> bool:
    """Whether any worker is spare: what `is_spare` asks that is the same for all of them.

    With `taken = awake * concurrency - free`, the places that are left without one worker
    suffice: `(awake - 1) * concurrency >= taken + reserve(concurrency)`.
    """
    if seen.ready or seen.starting or seen.awake <= max(1, limits.minimum):
        return False
    return seen.free - limits.concurrency >= reserve(limits.concurrency)


def reserve(concurrency: int) -> int:
    """Places that stay free on the others when a worker leaves: `ceil(concurrency / RESERVE_SHARE)`."""
    return -(-concurrency // RESERVE_SHARE)


def _lacking(seen: Seen, limits: Limits) -> int:
    """Workers that the ready tasks lack, whatever is allowed; negative when places will be left over."""
    without_place = seen.ready - seen.free - seen.starting * limits.concurrency
    return -(-without_place // limits.concurrency)
