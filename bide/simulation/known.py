"""The rules of other systems, as they document them; each with its defaults, where it has any."""

from __future__ import annotations

import math
from collections import deque

from bide.simulation.fleet import Fleet
from bide.simulation.replicas import Replicas, fitting


class Fixed(Replicas):
    """A pool as large as the peak needs, such as Celery's, that stays."""

    def __init__(self, size: int) -> None:
        self._size = size

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        return self._size


class HireFire(Replicas):
    """HireFire, job queue size: once a minute, what waits and runs over a ratio; here a worker's places."""

    first_tick_s = 30.0

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        return fitting(fleet.unfinished, fleet.concurrency)


class HireFireLatency(Replicas):
    """HireFire, job queue latency: once a minute, one more above 30 s, one less below 1 s."""

    first_tick_s = 30.0
    above_s, below_s = 30.0, 1.0

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        if fleet.oldest_wait > self.above_s:
            return fleet.size + 1
        return max(1, fleet.size - 1) if fleet.oldest_wait <= self.below_s else fleet.size


class Judoscale(Replicas):
    """Judoscale, queue time: one more above 5 s, 30 s apart; one less after 10 minutes of calm."""

    tick_s, first_tick_s = 10.0, 30.0
    above_s, up_apart_s, calm_s = 5.0, 30.0, 600.0

    def __init__(self) -> None:
        self._raised_at = self._lowered_at = -math.inf
        self._busy_at = 0.0

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        if fleet.oldest_wait > self.above_s:
            self._busy_at = fleet.now
            if fleet.now - self._raised_at >= self.up_apart_s:
                self._raised_at = fleet.now
                return fleet.size + 1
        elif fleet.now - max(self._busy_at, self._lowered_at) >= self.calm_s:
            self._lowered_at = fleet.now
            return max(1, fleet.size - 1)
        return fleet.size


class Keda(Replicas):
    """KEDA polls each 30 s between none and one; above, Kubernetes' HPA looks each 15 s.

    Up at most to twice as many or by four; down to the most that it wanted within five minutes; to
    none after five minutes without tasks. What runs counts (a stream's pending entries).
    """

    tick_s = 15.0
    tolerance, down_s, cooldown_s, looks_per_poll = 0.1, 300.0, 300.0, 2

    def __init__(self) -> None:
        self._looks = 0
        self._active_at = -math.inf
        self._wanted: deque[tuple[float, int]] = deque()

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        self._looks += 1
        load, size = fleet.unfinished, fleet.size
        activates = load > 0 and self._looks % self.looks_per_poll == 0
        if activates:
            self._active_at = fleet.now
        if not size:
            return int(activates)
        if not load and fleet.now - self._active_at >= self.cooldown_s:
            self._wanted.clear()
            return 0
        wanted = max(1, fitting(load, fleet.concurrency))
        if abs(load / (fleet.concurrency * size) - 1) <= self.tolerance:
            wanted = size
        wanted = min(wanted, max(2 * size, size + 4))
        self._wanted.append((fleet.now, wanted))
        while self._wanted[0][0] < fleet.now - self.down_s:
            self._wanted.popleft()
        return wanted if wanted > size else min(size, max(count for _, count in self._wanted))


class Knative(Replicas):
    """Knative's KPA: each 2 s, 70 % of a worker's places on average over 60 s, or over 6 s in a panic.

    A panic begins when the short window wants twice what is ready, and lowers nothing for 60 s. Down to
    half at once; to none 30 s after the last window was empty. The activator wakes the first at once.
    """

    tick_s, wakes = 2.0, True
    target, stable_s, panic_s, grace_s, fastest = 0.7, 60.0, 6.0, 30.0, 1000

    def __init__(self) -> None:
        self._panics_since: float | None = None
        self._most = 0
        self._empty_since: float | None = None

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:
        if rung:
            return max(1, fleet.size)
        per_worker, ready = self.target * fleet.concurrency, max(1, len(fleet.awake))
        long = fitting(fleet.average(self.stable_s), per_worker)
        short = fitting(fleet.average(self.panic_s), per_worker)
        lowest, highest = ready // 2, ready * self.fastest
        wanted = min(max(long, lowest), highest)
        if short / ready >= 2:
            self._panics_since = fleet.now
        elif self._panics_since is not None and self._panics_since + self.stable_s < fleet.now:
            self._panics_since, self._most = None, 0
        if self._panics_since is not None:
            wanted = self._most = max(self._most, wanted, min(max(short, lowest), highest))
        if long or fleet.unfinished:
            self._empty_since = None
            return max(1, wanted) if fleet.size or fleet.ready else wanted
        if self._empty_since is None:
            self._empty_since = fleet.now
        if fleet.now - self._empty_since >= self.grace_s:
            return 0
        return max(1, wanted) if fleet.size else 0


class TargetTracking(Replicas):
    """AWS target tracking on the backlog per worker, for a wait of a minute.

    A metric a minute: more after three above the target, one less after fifteen below 90 % of it.
    """

    acceptable_s, out_after, in_after = 60.0, 3, 15

    def __init__(self) -> None:
        self._above = self._below = 0

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        target = max(1.0, fleet.concurrency * self.acceptable_s / fleet.mean_hold)
        size = max(1, fleet.size)
        backlog = fleet.ready / size
        self._above = self._above + 1 if backlog > target else 0
        is_low = backlog < 0.9 * target and fleet.free > fleet.concurrency
        self._below = self._below + 1 if is_low else 0
        if self._above >= self.out_after:
            return fleet.size + math.ceil(fleet.ready / target)
        if self._below >= self.in_after:
            self._below = 0
            return max(1, size - 1)
        return size


class AzureTarget(Replicas):
    """Azure Functions, target-based: tasks over a target a worker; four more or one less each 10 s."""

    tick_s = 10.0

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        wanted = fitting(fleet.unfinished, fleet.concurrency)
        return min(max(wanted, fleet.size - 1), fleet.size + 4)


class CloudRun(Replicas):
    """Cloud Run: 60 % of a worker's places on average over a minute; idle workers stay for 15 minutes.

    All of their time is counted here; request-based billing would not charge idle ones.
    """

    tick_s, wakes, newest_leave = 5.0, True, False
    target, window_s, keep_s = 0.6, 60.0, 900.0

    def __init__(self) -> None:
        self._wanted: deque[tuple[float, int]] = deque()

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:  # noqa: ARG002
        wanted = max(
            fitting(fleet.average(self.window_s), self.target * fleet.concurrency),
            fitting(fleet.unfinished, fleet.concurrency),
        )
        self._wanted.append((fleet.now, wanted))
        while self._wanted[0][0] < fleet.now - self.keep_s:
            self._wanted.popleft()
        return max(count for _, count in self._wanted)


class IdleExit(Replicas):
    """A doorbell, first-fit packing, and exit after 2 s without tasks: the best without moving any."""

    tick_s, wakes, rings, newest_leave = 1.0, True, True, False
    idle_s, life_s = 2.0, 900.0

    def __init__(self) -> None:
        self._idle: deque[tuple[float, int]] = deque()

    def wanted(self, fleet: Fleet, *, rung: bool) -> int:
        if rung:
            return len(fleet.awake) + max(len(fleet.starting), fitting(fleet.ready, fleet.concurrency))
        idle = sum(not worker.load for worker in fleet.awake.values())
        self._idle.append((fleet.now, idle))
        while self._idle[0][0] < fleet.now - self.idle_s:
            self._idle.popleft()
        return fleet.size - min(count for _, count in self._idle)

    def on_tick(self, fleet: Fleet) -> None:
        oldest = fleet.now - (self.life_s - 2 * fleet.mean_hold)
        for worker in [each for each in fleet.awake.values() if each.started_at < oldest]:
            fleet.drain(worker)
        super().on_tick(fleet)
