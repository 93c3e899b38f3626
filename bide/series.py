"""What happened in each of the last minutes, by queue and by task: counts and durations. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bide.histogram import merged

MINUTE_MS: Final = 60_000
MINUTES: Final = 1_440
"""Minutes that are kept; see lua/_series.lua."""
OTHERS: Final = "*"
"""Stands for the names that came after the 64th of a minute."""

MOST_SERIES: Final = 100
"""Of single tasks in one chart."""
MOST_POINTS: Final = 6_000
"""In one chart, of all its series."""
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60)
"""Minutes that a point may stand for."""


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What the tasks of one name did in a minute, or in several. Stored in `series`, in this order."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    start_delay: dict[int, int] = {}
    """Of those that started: from when each became ready to its first start. Some buckets may be empty."""
    run: dict[int, int] = {}
    """Of those that ended and had started: from the first start to the end, waits included."""

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.cancelled + self.expired


Minutes = Mapping[int, Mapping[str, Counts]]
"""By minutes since 1970 and by name."""


@dataclass(frozen=True, slots=True)
class Series:
    """One queue, or one task of it."""

    queue: str
    name: str | None
    """None for all tasks of the queue."""
    total: Counts
    points: dict[int, Counts]
    """By the minute that each begins with, oldest first; those in which nothing happened are left out."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The series of some minutes."""

    series: list[Series]
    """By queue: all of its tasks, then each name, those that did most first."""
    step: int
    """Minutes that a point stands for: 1, or more where the points would be too many."""
    omitted: int
    """Tasks whose series are left out: those that did least."""


_read_minute = msgspec.msgpack.Decoder(dict[str, Counts]).decode


def read_minutes(packed: Mapping[int, bytes]) -> Minutes:
    """The minutes of a queue, as they are stored."""
    return {minute: _read_minute(value) for minute, value in packed.items()}


def chart(queues: Mapping[str, Minutes], minutes: int, name: str = "") -> Chart:
    """The series of these queues over so many minutes; of one task alone if its name is given."""
    named: dict[tuple[str, str], dict[int, Counts]] = defaultdict(dict)
    for queue, of_queue in queues.items():
        for minute, by_name in of_queue.items():
            for task, counts in by_name.items():
                if name in ("", task):
                    named[queue, task][minute] = counts
    busiest = sorted(named, key=lambda key: (-sum(map(_weight, named[key].values())), key))
    shown, omitted = busiest[:MOST_SERIES], busiest[MOST_SERIES:]
    step = _step((len(queues) + len(shown)) * minutes)
    found = []
    for queue in sorted(queues):
        if not name:
            everything = [named[key] for key in named if key[0] == queue]
            found.append(_series(queue, None, _together(everything), step))
        found += [_series(queue, task, named[queue, task], step) for of, task in shown if of == queue]
    return Chart(found, step, len(omitted))


def _weight(counts: Counts) -> int:
    return counts.ended + sum(counts.start_delay.values())


def _step(points: int) -> int:
    return next((step for step in _STEPS if points <= MOST_POINTS * step), _STEPS[-1])


def _together(parts: Iterable[Mapping[int, Counts]]) -> dict[int, Counts]:
    """The minutes of several names, added up."""
    by_minute: dict[int, list[Counts]] = defaultdict(list)
    for part in parts:
        for minute, counts in part.items():
            by_minute[minute].append(counts)
    return {minute: _sum(several) for minute, several in by_minute.items()}


def _series(queue: str, name: str | None, minutes: Mapping[int, Counts], step: int) -> Series:
    parts: dict[int, list[Counts]] = defaultdict(list)
    for minute in sorted(minutes):
        parts[minute - minute % step].append(minutes[minute])
    points = {first: _sum(counts) for first, counts in parts.items()}
    return Series(queue, name, _sum(points.values()), points)


def _sum(several: Iterable[Counts]) -> Counts:
    found = list(several)
    if len(found) == 1:
        return found[0]
    return Counts(
        sum(each.succeeded for each in found),
        sum(each.failed for each in found),
        sum(each.cancelled for each in found),
        sum(each.expired for each in found),
        merged(each.start_delay for each in found),
        merged(each.run for each in found),
    )
