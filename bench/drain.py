"""Draining a queue of tasks that do nothing but return a value, against bare SETs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

import redis

from bench.bed import Bed, bed, submission
from bench.crew import crew
from bench.errors import BenchFailed
from bench.line import Line, at_least, at_most
from bench.sample import median, spread
from bench.spinner import core_awake
from bide.settings import DEFAULT_QUEUE
from bide.store import Store

WORKERS: Final = 2

_POLL_SECONDS: Final = 0.01
"""Looking for the end more often would take from what is measured."""
_TIMEOUT_SECONDS: Final = 60.0


def measure(quick: bool) -> Iterator[Line]:
    rounds, tasks, sets = (3, 15_000, 8_000) if quick else (5, 40_000, 20_000)
    drains: list[tuple[float, float]] = []
    bare: list[float] = []
    with bed() as store, core_awake():
        for _ in range(rounds):
            bare.append(_sets(store, sets))
            drains.append(drain(store, tasks))
        bare.append(_sets(store, sets))
    rates = [rate for rate, _ in drains]
    cpu = [seconds for _, seconds in drains]
    # Each drain stands between two rounds of SETs.
    ratios = [
        rate / ((before + after) / 2) for rate, before, after in zip(rates, bare, bare[1:], strict=False)
    ]
    note = f"{rounds} rounds of {tasks:,} tasks, {WORKERS} worker processes"
    yield Line(
        "drain", "no-op drain against bare sequential SETs", median(ratios), "x", at_least(1.0),
        spread(ratios), note,
    )  # fmt: skip
    yield Line(
        "drain", "worker CPU per 1,000 tasks", median(cpu), "s", at_most(0.05), spread(cpu),
        "user and system, both workers, without start and imports",
    )  # fmt: skip
    yield Line("drain", "tasks drained", median(rates), "/s", spread=spread(rates))
    yield Line("drain", "bare sequential SETs", median(bare), "/s", spread=spread(bare))


def fill(submitting: Store, tasks: int) -> list[bytes]:
    """Submit `noop` tasks, each with its number as argument; returns their ids in the store."""
    return [submitting.submit(submission("noop", f'{{"value":{number}}}')).id.key for number in range(tasks)]


def drain(store: Bed, tasks: int, settings: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Tasks per second, and worker CPU seconds per 1,000 tasks.

    The time runs from the moment the workers may connect until the last result is seen in the store.
    """
    store.clear()
    submitting = store.store()
    with crew(WORKERS, store.url, settings=settings) as workers:
        ids = fill(submitting, tasks)
        cpu = workers.cpu_seconds()
        started = time.monotonic()
        workers.go()
        ended = store.wait_for_results(tasks, _TIMEOUT_SECONDS, _POLL_SECONDS)
        cpu = workers.cpu_seconds() - cpu
    _check(store, ids)
    submitting.client.close()
    return tasks / (ended - started), cpu / tasks * 1000


def _check(store: Bed, ids: list[bytes]) -> None:
    """Every result is its task's number, and nothing is left over."""
    leased, ready = store.keys.slot(DEFAULT_QUEUE, ("leased", "ready"))
    found = store.outcomes()
    if [found.get(id) for id in ids] != list(range(len(ids))):
        raise BenchFailed("a drained task has a wrong result")
    left = store.client.zcard(leased), store.client.zcard(ready)
    if left != (0, 0):
        raise BenchFailed(f"after the drain {left[0]} tasks are leased and {left[1]} ready")


def _sets(store: Bed, count: int) -> float:
    """SETs per second, one after another, with a client as redis-py makes it."""
    store.clear()
    client = redis.Redis.from_url(store.url)
    client.ping()
    started = time.perf_counter()
    for number in range(count):
        client.set(f"bare:{number}", "12345")
    rate = count / (time.perf_counter() - started)
    client.close()
    return rate
