"""The tasks of a simulation: when each arrives, and how long it holds a place."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bide.simulation.trace import Trace

MOST_ARRIVALS: Final = 5_000_000
"""More than a simulation in memory is for."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Tasks in order of arrival. Times are in seconds; the first row of the trace is at 0."""

    arrivals: Sequence[float]
    holds: Sequence[float]
    """How long each task holds its place once it has begun; of the same length."""

    @property
    def mean_hold(self) -> float:
        """1 without tasks."""
        return math.fsum(self.holds) / len(self.holds) if self.holds else 1.0


def workload(trace: Trace, *, scale: float, mean: float, cv: float, seed: int) -> Workload:
    """Draw the tasks of a trace; the same seed draws the same ones.

    scale: arrivals for each one of the trace. Below 1 each is kept with that probability, above 1
    each row's number is drawn from Poisson's distribution. mean, cv: of the holds, which are
    lognormal; cv is their standard deviation over their mean, 0 for holds all alike.
    """
    drawn = random.Random(seed)
    arrivals = []
    for at, count in trace.rows:
        copies = count if scale == 1 else _scaled(count, scale, drawn)
        arrivals += [at + drawn.random() * trace.gap for _ in range(copies)]
    arrivals.sort()
    return Workload(arrivals, _holds(len(arrivals), mean, cv, random.Random(seed + 1)))


def _scaled(count: int, scale: float, drawn: random.Random) -> int:
    if scale < 1:
        return _kept(count, scale, drawn)
    expected, total = count * scale, 0
    at = drawn.expovariate(1)
    while at < expected:
        total += 1
        at += drawn.expovariate(1)
    return total


def _kept(count: int, share: float, drawn: random.Random) -> int:
    """How many of `count` are kept, each with the probability `share`.

    The distances between those that are kept are geometric, so that the cost is that of the kept ones: a row
    may stand for a thousand million arrivals.
    """
    total, at = 0, -1.0
    while True:
        at += 1 + math.log(1 - drawn.random()) // math.log1p(-share)
        if at >= count:
            return total
        total += 1


def _holds(count: int, mean: float, cv: float, drawn: random.Random) -> list[float]:
    if cv == 0:
        return [mean] * count
    sigma = math.sqrt(math.log1p(cv * cv))
    mu = math.log(mean) - sigma * sigma / 2
    return [drawn.lognormvariate(mu, sigma) for _ in range(count)]
