"""Which worker with room gets the next ready task."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Protocol

from bide.simulation.worker import Worker


class Placement(Protocol):
    """The workers with room. Some that are offered may since have filled up or left."""

    def offer(self, worker: Worker) -> None:
        """It has room; it is not among those offered."""

    def take(self) -> Worker | None:
        """One that was offered, which is so no more."""


class LongestListening:
    """A token on the bell goes to whoever has blocked on it for longest."""

    def __init__(self) -> None:
        self._listeners: deque[Worker] = deque()

    def offer(self, worker: Worker) -> None:
        self._listeners.append(worker)

    def take(self) -> Worker | None:
        return self._listeners.popleft() if self._listeners else None


class FirstFit:
    """The oldest first, so that the youngest run dry."""

    def __init__(self) -> None:
        self._by_age: list[tuple[int, Worker]] = []

    def offer(self, worker: Worker) -> None:
        heapq.heappush(self._by_age, (worker.number, worker))

    def take(self) -> Worker | None:
        return heapq.heappop(self._by_age)[1] if self._by_age else None
