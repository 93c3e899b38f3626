"""Lambda fed by an SQS event source mapping: an invocation per batch, no places in it for others."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import Final

from bide.simulation.outcome import Outcome
from bide.simulation.workload import Workload

FIRST_POLLERS: Final = 5
MORE_A_SECOND: Final = 300 / 60
MOST: Final = 1250
KEPT_S: Final = 600.0
"""How long an environment stays warm after an invocation."""
_LOOK_S: Final = 1.0


class Invocations:
    """Standard mode: five invocations at a time, 300 more a minute while a backlog lasts.

    The tasks of a batch run together, and it is billed until the longest has ended.
    """

    def __init__(self, tasks: Workload, cold_start: float, batch: int = 10, window: float = 0.0) -> None:
        """batch: messages an invocation takes at most. window: seconds it waits for that many."""
        self._tasks = tasks
        self._cold_start = cold_start
        self._batch = batch
        self._window = window
        self._queue: deque[int] = deque()
        self._ends: list[float] = []
        self._warm: list[float] = []
        self._limit = float(FIRST_POLLERS)
        self._counted_at = 0.0
        self._delays = [0.0] * len(tasks.arrivals)
        self._billed = 0.0
        self._starts = self._peak = 0
        self._sizes: list[tuple[float, int]] = [(0.0, 0)]

    def run(self) -> Outcome:
        """Until the last invocation has ended."""
        arrivals, count = self._tasks.arrivals, len(self._tasks.arrivals)
        arrived, look_at = 0, math.inf
        while arrived < count or self._ends or self._queue:
            arriving = arrivals[arrived] if arrived < count else math.inf
            ending = self._ends[0] if self._ends else math.inf
            now = min(arriving, ending, look_at)
            if now == arriving:
                self._queue.append(arrived)
                arrived += 1
            elif now == ending:
                heapq.heappop(self._ends)
                self._warm.append(now)
                self._sizes.append((now, len(self._ends)))
                if len(self._ends) <= 2 and not self._queue:
                    self._limit = max(FIRST_POLLERS, len(self._ends))
            if not self._queue:
                self._counted_at = now
            self._invoke(now)
            look_at = self._next_look(now) if self._queue else math.inf
        return Outcome(self._delays, self._billed, self._starts, self._peak, self._sizes)

    def _invoke(self, now: float) -> None:
        while self._queue and (len(self._queue) >= self._batch or self._waited(now) >= self._window - 1e-9):
            if not self._may_invoke(now):
                return
            tasks = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            cold = self._environment(now)
            for task in tasks:
                self._delays[task] = now + cold - self._tasks.arrivals[task]
            lasts = cold + max(self._tasks.holds[task] for task in tasks)
            self._billed += lasts
            heapq.heappush(self._ends, now + lasts)
            self._sizes.append((now, len(self._ends)))
            self._peak = max(self._peak, len(self._ends))
            if len(self._ends) < int(self._limit):
                self._counted_at = now

    def _may_invoke(self, now: float) -> bool:
        """Whether one more may run now; the limit grows while it holds a backlog up."""
        if len(self._ends) >= int(self._limit):
            self._limit = min(MOST, self._limit + (now - self._counted_at) * MORE_A_SECOND)
            self._counted_at = now
        return len(self._ends) < int(self._limit)

    def _environment(self, now: float) -> float:
        """Take the environment that ended last, if it is still warm; seconds until it is ready."""
        if self._warm and self._warm[-1] >= now - KEPT_S:
            self._warm.pop()
            return 0.0
        self._warm.clear()
        self._starts += 1
        return self._cold_start

    def _waited(self, now: float) -> float:
        return now - self._tasks.arrivals[self._queue[0]]

    def _next_look(self, now: float) -> float:
        if self._window and len(self._queue) < self._batch and self._waited(now) < self._window:
            return max(now + 0.05, min(now + _LOOK_S, now + self._window - self._waited(now)))
        return now + _LOOK_S
