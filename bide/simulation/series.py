"""Series over time, for a plot: spans of equal length, and a value for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bide.simulation.bound import running
from bide.simulation.outcome import Outcome
from bide.simulation.workload import Workload


class Series(NamedTuple):
    """A value for each span, in the order of time."""

    span: float
    """Seconds."""
    arrivals: Sequence[float]
    """Per minute."""
    running: Sequence[float]
    """Tasks that would run if each started on arrival; mean."""
    workers: Sequence[float]
    """Mean."""
    bound: Sequence[float]
    """Workers of the clairvoyant; mean."""
    delay: Sequence[float]
    """The longest start delay of a task that arrived in it, in seconds."""


def series(tasks: Workload, outcome: Outcome, concurrency: int, spans: int) -> Series:
    """Cut the time from 0 to when all is over into so many spans."""
    wanted = running(tasks)
    end = max(wanted[-1][0] if wanted else 0.0, outcome.sizes[-1][0], 1.0)
    span = end / spans
    counts, delays = [0] * spans, [0.0] * spans
    for at, delay in zip(tasks.arrivals, outcome.delays, strict=True):
        index = min(spans - 1, int(at / span))
        counts[index] += 1
        delays[index] = max(delays[index], delay)
    needed = [(at, -(-count // concurrency)) for at, count in wanted]
    return Series(
        span,
        [count * 60 / span for count in counts],
        means(wanted, span, spans),
        means(outcome.sizes, span, spans),
        means(needed, span, spans),
        delays,
    )


def means(changes: Sequence[tuple[float, int]], span: float, spans: int) -> list[float]:
    """The mean in each span of what changes at these times, and is 0 before the first."""
    sums = [0.0] * spans
    before, value = 0.0, 0
    for at, now in (*changes, (span * spans, 0)):
        _spread(sums, before, at, value, span)
        before, value = at, now
    return [total / span for total in sums]


def _spread(sums: list[float], start: float, end: float, value: int, span: float) -> None:
    """Add a value that lasted from start to end."""
    last = len(sums) - 1
    first = min(last, int(start / span))
    for index in range(first, min(last, int(end / span)) + 1):
        lasted = min(end, (index + 1) * span) - max(start, index * span)
        sums[index] += value * max(0.0, lasted)
