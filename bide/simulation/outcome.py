"""What came of a simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """Times are in seconds since the trace began."""

    delays: Sequence[float]
    """Of each task, from its arrival to its start. What a task loses later, when it moves, is not in it."""
    worker_seconds: float
    """What all workers were billed: each from its start, cold start included, until it had left."""
    starts: int
    """Cold starts."""
    peak: int
    """Most workers at a time, starting and leaving ones included."""
    sizes: Sequence[tuple[float, int]]
    """When the number of workers changed, and to what."""
    handed_over: int = 0
    """Workers that left by handing their tasks over."""
    moved: int = 0
    """Tasks handed over, each time."""
    longest_move: float = 0.0
    """The longest that a task made no progress because it moved."""

    def delay(self, share: float) -> float:
        """The delay that this share of the tasks does not exceed, interpolated; 0 without tasks."""
        return percentile(sorted(self.delays), share)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of a sorted sequence, interpolated between its neighbours; 0 for an empty one."""
    if not ordered:
        return 0.0
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
