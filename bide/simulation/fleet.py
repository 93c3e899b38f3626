"""The engine: tasks, workers and time. When workers start and leave is a Rule's business."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from bide.simulation.outcome import Outcome
from bide.simulation.placement import Placement
from bide.simulation.worker import Stage, Worker
from bide.simulation.workload import Workload


class Costs(NamedTuple):
    """What starting a worker and moving a task cost, in seconds."""

    cold_start: float
    """From the start of a worker until it takes tasks."""
    park: float = 0.0
    """Per task of a worker that hands over: it is billed for longer by that, and the tasks wait for all."""
    resume: float = 0.0
    """Per task that was handed over: its new worker is busy for that long, and begins nothing else."""
    leave: float = 0.0
    """Besides that: how long a worker that leaves is still billed, and the tasks that it hands over wait."""


class Rule(Protocol):
    """When workers start and leave."""

    tick_s: float
    first_tick_s: float

    def placement(self) -> Placement: ...

    def on_tick(self, fleet: Fleet) -> None: ...

    def on_ready(self, fleet: Fleet) -> None:
        """A task arrived, or was handed over, and there is no place for it."""

    def on_exchange(self, fleet: Fleet, worker: Worker) -> None:
        """A worker has come, or a task of its began or ended; it is awake."""

    def is_done(self, fleet: Fleet) -> bool:
        """All tasks are done: whether to end here, rather than when further workers have left."""


class Fleet:
    """One run. What is read of it is of the moment `now`."""

    def __init__(self, tasks: Workload, concurrency: int, costs: Costs, rule: Rule) -> None:
        self.concurrency = concurrency
        self.costs = costs
        self.mean_hold = tasks.mean_hold
        self.now = 0.0
        self.running = 0
        """Tasks that hold a place."""
        self.moving = 0
        """Tasks between two workers: being parked."""
        self.free = 0
        """Free places on workers that are awake."""
        self.awake: dict[int, Worker] = {}
        self.starting: dict[int, Worker] = {}
        self._leaving = 0
        self._tasks = tasks
        self._rule = rule
        self._placement = rule.placement()
        self._ready: deque[int] = deque()
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._events_so_far = 0
        count = len(tasks.arrivals)
        self._arrived = 0
        self._unfinished = count
        self._delays = [-1.0] * count
        self._left = list(tasks.holds)
        """What each task has yet to hold a place for."""
        self._begins = [0.0] * count
        self._ends = [0.0] * count
        self._moves = 0
        self._handed_over = 0
        self._longest_move = 0.0
        self._parked_at: dict[int, float] = {}
        self._billed = 0.0
        self._starts = self._peak = 0
        self._sizes: list[tuple[float, int]] = [(0.0, 0)]
        self._times, self._counts, self._integrals = [0.0], [0], [0.0]

    # --- what rules see ---------------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """Tasks that wait for a place."""
        return len(self._ready)

    @property
    def unfinished(self) -> int:
        """Tasks that have arrived and are not done."""
        return len(self._ready) + self.running + self.moving

    @property
    def size(self) -> int:
        """Workers that take tasks or will: awake or starting."""
        return len(self.awake) + len(self.starting)

    @property
    def oldest_wait(self) -> float:
        """How long the first in line has waited, in seconds; 0 for an empty line."""
        return self.now - self._tasks.arrivals[self._ready[0]] if self._ready else 0.0

    def average(self, seconds: float) -> float:
        """Unfinished tasks on average over the last so many seconds."""
        return (self._integral(self.now) - self._integral(self.now - seconds)) / seconds

    # --- what rules do ----------------------------------------------------------------------------

    def start(self, count: int) -> None:
        """Start workers."""
        for _ in range(count):
            worker = Worker(self._starts, self.now)
            self._starts += 1
            self.starting[worker.number] = worker
            self.call(self.now + self.costs.cold_start, self._wake, worker)
        if count:
            self._note_size()

    def drain(self, worker: Worker) -> None:
        """Give it no more tasks; it leaves when the last of its own has ended."""
        self._take_out(worker)
        if not worker.load:
            self.call(self.now + self.costs.leave, self._end, worker)

    def hand_over(self, worker: Worker) -> None:
        """Let others go on with its tasks; it leaves once they are parked."""
        self._take_out(worker)
        tasks = sorted(worker.tasks)
        worker.tasks.clear()
        self.running -= len(tasks)
        self.moving += len(tasks)
        self._handed_over += 1
        for task in tasks:
            self._left[task] = self._ends[task] - max(self.now, self._begins[task])
            self._ends[task] = math.inf
            self._parked_at[task] = self.now
        gone_at = self.now + len(tasks) * self.costs.park + self.costs.leave
        self.call(gone_at, self._parked, worker, tasks)

    def call(self, at: float, what: Callable[..., None], *arguments: object) -> None:
        """Call something at that time."""
        self._events_so_far += 1
        heapq.heappush(self._events, (at, self._events_so_far, what, arguments))

    # --- the run ----------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Until all tasks are done, and the rule is."""
        arrivals, events, rule = self._tasks.arrivals, self._events, self._rule
        count = len(arrivals)
        self.call(rule.first_tick_s, self._tick)
        while self._unfinished or self._leaving or not rule.is_done(self):
            arriving = arrivals[self._arrived] if self._arrived < count else math.inf
            if events[0][0] <= arriving:
                self.now, _, what, arguments = heapq.heappop(events)
                what(*arguments)
            else:
                self.now = arriving
                self._ready.append(self._arrived)
                self._arrived += 1
                self._place()
                self._note_unfinished()
                if self._ready:
                    rule.on_ready(self)
        for worker in (*self.awake.values(), *self.starting.values()):
            self._billed += self.now - worker.started_at
        return Outcome(
            self._delays, self._billed, self._starts, self._peak, self._sizes,
            self._handed_over, self._moves, self._longest_move,
        )  # fmt: skip

    def _tick(self) -> None:
        self._rule.on_tick(self)
        self.call(self.now + self._rule.tick_s, self._tick)

    def _wake(self, worker: Worker) -> None:
        if worker.stage is not Stage.STARTING:
            return
        del self.starting[worker.number]
        worker.stage = Stage.AWAKE
        self.awake[worker.number] = worker
        self.free += self.concurrency
        self._offer(worker)
        self._place()
        self._note_unfinished()
        if worker.stage is Stage.AWAKE:
            self._rule.on_exchange(self, worker)

    def _place(self) -> None:
        """Give ready tasks to workers with room."""
        while self._ready and (worker := self._placement.take()) is not None:
            worker.is_offered = False
            if worker.stage is not Stage.AWAKE:
                continue
            while self._ready and worker.load < self.concurrency:
                self._begin(self._ready.popleft(), worker)
            self._offer(worker)
            self._rule.on_exchange(self, worker)

    def _begin(self, task: int, worker: Worker) -> None:
        begins = max(self.now, worker.busy_until)
        parked_at = self._parked_at.pop(task, None)
        if parked_at is not None:
            begins += self.costs.resume
            worker.busy_until = begins
            self._moves += 1
            self._longest_move = max(self._longest_move, begins - parked_at)
        if self._delays[task] < 0:
            self._delays[task] = begins - self._tasks.arrivals[task]
        worker.tasks.add(task)
        self.running += 1
        self.free -= 1
        self._begins[task] = begins
        ends = self._ends[task] = begins + self._left[task]
        self.call(ends, self._finish, task, worker)

    def _finish(self, task: int, worker: Worker) -> None:
        if self._ends[task] != self.now or task not in worker.tasks:
            return  # it has moved
        worker.tasks.remove(task)
        self.running -= 1
        self._unfinished -= 1
        if worker.stage is Stage.AWAKE:
            self.free += 1
            self._offer(worker)
            self._place()
            self._note_unfinished()
            if worker.stage is Stage.AWAKE:
                self._rule.on_exchange(self, worker)
        else:
            self._note_unfinished()
            if not worker.load:
                self.call(self.now + self.costs.leave, self._end, worker)

    def _parked(self, worker: Worker, tasks: list[int]) -> None:
        self.moving -= len(tasks)
        self._ready.extend(tasks)
        self._end(worker)
        self._place()
        if self._ready:
            self._rule.on_ready(self)

    def _offer(self, worker: Worker) -> None:
        if worker.load < self.concurrency and not worker.is_offered:
            worker.is_offered = True
            self._placement.offer(worker)

    def _take_out(self, worker: Worker) -> None:
        if worker.stage is Stage.STARTING:
            del self.starting[worker.number]
        else:
            del self.awake[worker.number]
            self.free -= self.concurrency - worker.load
        worker.stage = Stage.LEAVING
        self._leaving += 1

    def _end(self, worker: Worker) -> None:
        worker.stage = Stage.GONE
        self._leaving -= 1
        self._billed += self.now - worker.started_at
        self._note_size()

    # --- records ----------------------------------------------------------------------------------

    def _note_size(self) -> None:
        size = self.size + self._leaving
        self._peak = max(self._peak, size)
        self._sizes.append((self.now, size))

    def _note_unfinished(self) -> None:
        self._integrals.append(self._integrals[-1] + self._counts[-1] * (self.now - self._times[-1]))
        self._times.append(self.now)
        self._counts.append(self.unfinished)

    def _integral(self, at: float) -> float:
        if at <= 0:
            return 0.0
        last = bisect_right(self._times, at) - 1
        return self._integrals[last] + self._counts[last] * (at - self._times[last])
