"""What it costs a worker that a task moves (parked here, resumed there), and that it leaves itself."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from bench.bed import bed, submission
from bench.crew import crew
from bench.dense import check_values
from bench.errors import BenchFailed
from bide.reads import Reads
from bide.settings import DEFAULT_QUEUE

TASKS: Final = 500
HOPS: Final = 20
WAITING: Final = 20
_WAIT_SECONDS: Final = 600
_SPARE_SECONDS: Final = 60.0
_SETTLED_SECONDS: Final = 0.5
"""Until the tasks that were leased wait."""
_MOST: Final = 0.9
"""A wait that is over before the store has its park is not parked."""

_SETTINGS: Final = {"BIDE_HOT_WAIT_SECONDS": "0", "BIDE_CONCURRENCY": str(TASKS)}
"""Every wait is parked, however short, and resumed a moment later."""


class Cost(NamedTuple):
    """Of one worker that does nothing but park and resume."""

    wall_ms: float
    """Per move: what the worker is busy with it, of both its ends together."""
    cpu_ms: float
    """Its CPU time per move."""
    moves: int


def cost(tasks: int = TASKS, hops: int = HOPS) -> Cost:
    """Let each of so many tasks be parked and resumed so many times. Raises BenchFailed.

    Starting and settling the tasks is in it, and so is whatever the worker waits for the store.
    """
    with bed() as store, crew(1, store.url, settings=_SETTINGS) as worker:
        submitting = store.store()
        for value in range(tasks):
            submitting.submit(submission("hop", f'{{"times":{hops},"value":{value}}}'))
        cpu_s, started = worker.cpu_seconds(), time.monotonic()
        worker.go()
        wall_s = store.wait_for_results(tasks, _SPARE_SECONDS, 0.01) - started
        cpu_s = worker.cpu_seconds() - cpu_s
        replays = Reads(submitting).totals().replays
        check_values(store, tasks)
        submitting.client.close()
    if replays < tasks * hops * _MOST:
        raise BenchFailed(f"{replays} of {tasks * hops} waits were parked and resumed")
    return Cost(wall_s / replays * 1000, cpu_s / replays * 1000, replays)


def leaving_s(tasks: int = WAITING) -> float:
    """Seconds that a worker with so many waiting tasks takes to park them and end, its process included."""
    with bed() as store, crew(1, store.url, settings={"BIDE_HOT_WAIT_SECONDS": str(_WAIT_SECONDS)}) as worker:
        submitting = store.store()
        for value in range(tasks):
            submitting.submit(submission("pause", f'{{"seconds":{_WAIT_SECONDS},"value":{value}}}'))
        worker.go()
        leased, due = store.keys.slot(DEFAULT_QUEUE, ("leased", "due"))
        deadline = time.monotonic() + _SPARE_SECONDS
        while store.client.zcard(leased) < tasks:
            if time.monotonic() > deadline:
                raise BenchFailed("the worker did not take all tasks")
            time.sleep(0.01)
        time.sleep(_SETTLED_SECONDS)
        started = time.monotonic()
        worker.leave()
        took = time.monotonic() - started
        parked = store.client.zcard(due)
        submitting.client.close()
    if parked != tasks:
        raise BenchFailed(f"{parked} of {tasks} tasks were parked")
    return took
