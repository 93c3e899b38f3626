"""What no rule can undercut without making tasks wait, and what the best packing without moves costs."""

from __future__ import annotations

import heapq
from typing import NamedTuple

from bide.simulation.outcome import Outcome
from bide.simulation.workload import Workload


class Bound(NamedTuple):
    """The clairvoyant: zero delay, tasks that move for nothing, no cold start."""

    worker_seconds: float
    """The integral of ceil(running / concurrency)."""
    most_running: int
    peak: int
    """Workers at its peak."""


def running(tasks: Workload) -> list[tuple[float, int]]:
    """When the number of tasks that run changes, and to what, if each starts on arrival."""
    starts = [(at, 1) for at in tasks.arrivals]
    ends = [(at + hold, -1) for at, hold in zip(tasks.arrivals, tasks.holds, strict=True)]
    total, found = 0, []
    for at, change in sorted(starts + ends):
        total += change
        found.append((at, total))
    return found


def bound(tasks: Workload, concurrency: int) -> Bound:
    """concurrency: places of each worker."""
    seconds, most, before, now = 0.0, 0, 0.0, 0
    for at, count in running(tasks):
        seconds += -(-now // concurrency) * (at - before)
        before, now = at, count
        most = max(most, count)
    return Bound(seconds, most, -(-most // concurrency))


def first_fit(tasks: Workload, concurrency: int) -> Outcome:
    """Each task to the oldest worker with room, at once; a worker starts in no time and leaves when empty."""
    loads: list[int] = []
    born: list[float] = []
    with_room: list[int] = []
    ends: list[tuple[float, int]] = []
    sizes: list[tuple[float, int]] = []
    seconds, alive, peak = 0.0, 0, 0

    def end() -> None:
        nonlocal seconds, alive
        at, worker = heapq.heappop(ends)
        if loads[worker] == concurrency:
            heapq.heappush(with_room, worker)
        loads[worker] -= 1
        if not loads[worker]:
            seconds += at - born[worker]
            alive -= 1
            sizes.append((at, alive))

    for at, hold in zip(tasks.arrivals, tasks.holds, strict=True):
        while ends and ends[0][0] <= at:
            end()
        while with_room and not loads[with_room[0]]:
            heapq.heappop(with_room)
        if not with_room:
            heapq.heappush(with_room, len(loads))
            loads.append(0)
            born.append(at)
            alive += 1
            peak = max(peak, alive)
            sizes.append((at, alive))
        worker = with_room[0]
        loads[worker] += 1
        if loads[worker] == concurrency:
            heapq.heappop(with_room)
        heapq.heappush(ends, (at + hold, worker))
    while ends:
        end()
    return Outcome([0.0] * len(tasks.arrivals), seconds, len(loads), peak, sizes)
