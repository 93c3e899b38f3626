"""A task that polls for a minute, every half minute: workers come for each poll, and leave.

In quick mode and on the emulator, side by side: both are idle nearly all the time, and
half a poll apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from bench.bed import Bed, bed
from bench.billing import Billed, billed
from bench.dense import EVERY, check_values, gone, watch_body
from bench.line import Line, at_most
from bench.roll import Roll, roll
from bench.running_lambda import Meter, at_rest, running_lambda
from bench.running_stack import running_stack, submit
from bide.reads import Reads
from bide.settings import DEFAULT_QUEUE, Settings

TASKS: Final = 20
SECONDS: Final = 60.0
APART: Final = 30.0
_SPARE_SECONDS: Final = 30.0
_OUT_OF_STEP_SECONDS: Final = EVERY / 2
_BILLED_PERCENT: Final = 2
"""On Lambda, where a worker need not be started for each poll."""

_SAMPLE_SECONDS: Final = 0.25
_IDLE_SECONDS: Final = Settings().idle_seconds
_LEAVING_SECONDS: Final = 1.0
"""How long a worker may take to leave once it may."""


@dataclass
class Samples:
    """Four looks a second at the workers and at what there is to do."""

    all: int = 0
    idle: int = 0
    """In which every task waits, and nothing is due."""
    idle_manned: int = 0
    """Of those, with a worker alive: it has not left yet."""
    lingering: int = 0
    """Of those, after it should have: a worker that has found nothing due for longer than it may linger."""
    unmanned: int = 0
    """Without a worker."""


def measure(quick: bool) -> Iterator[Line]:
    tasks = 4 if quick else TASKS
    samples = Samples()
    with bed() as store, bed() as lambda_store, roll() as workers:
        run = uvloop.run(_both(store, lambda_store, workers, samples, tasks))
        totals = Reads(store.store()).totals()
    waited = tasks * SECONDS
    what = f"{tasks} tasks of {SECONDS:g} s, one every {APART:g} s, polled every {EVERY:g} s"
    if quick:
        what = f"A GLANCE, NOT THE BENCHMARK: {what}"
    yield Line(
        "sparse", "billed of waited time", workers.billed_s() / waited * 100, "%", at_most(15),
        note=f"{what}: billed {workers.billed_s():.1f} s of {waited:,.0f} s waited, process starts included",
    )  # fmt: skip
    yield Line(
        "sparse", "samples with a worker long after the last work", samples.lingering, "", at_most(0),
        note=f"nothing due for {_IDLE_SECONDS + _LEAVING_SECONDS:g} s; {samples.all:,} samples, "
        f"each {_SAMPLE_SECONDS:g} s",
    )  # fmt: skip
    yield Line("sparse", "samples without a worker", samples.unmanned / samples.all * 100, "%")
    yield Line(
        "sparse", "samples with a worker while nothing was due", samples.idle_manned, "",
        note=f"of {samples.idle:,} in which every task waited; a worker lingers and leaves",
    )  # fmt: skip
    yield Line(
        "sparse", "worker processes started", workers.starts, "",
        note=f"{workers.billed_s() / max(1, workers.starts):.2f} s each, {totals.polls} polls",
    )  # fmt: skip
    yield from billed("sparse", run, _BILLED_PERCENT, what)


async def _both(store: Bed, lambda_store: Bed, workers: Roll, samples: Samples, tasks: int) -> Billed:
    async with asyncio.TaskGroup() as group:
        run = group.create_task(_run_on_lambda(lambda_store, tasks))
        group.create_task(_run(store, workers, samples, tasks))
    return run.result()


async def _run_on_lambda(store: Bed, tasks: int) -> Billed:
    async with running_lambda(store) as stack:
        await asyncio.sleep(_OUT_OF_STEP_SECONDS)
        meter, before = Meter(stack), store.commands()
        await _submit(stack.url, tasks, stack.key)
        await asyncio.to_thread(store.wait_for_results, tasks, SECONDS + _SPARE_SECONDS, 0.25)
        await at_rest(stack)
        bill, commands = meter.read(), store.commands() - before
        check_values(store, tasks)
    totals = Reads(store.store()).totals()
    return Billed(bill, totals, commands, tasks, SECONDS, tasks * APART)


async def _submit(url: str, tasks: int, key: str = "") -> None:
    """One task after another."""
    started = time.monotonic()
    for value in range(tasks):
        await asyncio.sleep(max(0.0, started + value * APART - time.monotonic()))
        await submit(url, watch_body(SECONDS, EVERY), 1, first=value, key=key)


async def _run(store: Bed, workers: Roll, samples: Samples, tasks: int) -> None:
    async with running_stack(store, "bench.tasks", BIDE_WORKERS_MIN="0") as url:
        looking = asyncio.create_task(_look(store, workers, samples))
        try:
            await _submit(url, tasks)
            await asyncio.to_thread(store.wait_for_results, tasks, SECONDS + _SPARE_SECONDS, 0.25)
        finally:
            looking.cancel()
        check_values(store, tasks)
        await gone(workers)


async def _look(store: Bed, workers: Roll, samples: Samples) -> None:
    idle_since: float | None = None
    while True:
        await asyncio.sleep(_SAMPLE_SECONDS)
        idle = await asyncio.to_thread(_nothing_due, store)
        now, manned = time.monotonic(), workers.alive > 0
        samples.all += 1
        samples.unmanned += not manned
        if not idle:
            idle_since = None
            continue
        idle_since = now if idle_since is None else idle_since
        samples.idle += 1
        samples.idle_manned += manned
        # What takes less than a sample may be missed: no worker has idled for longer than it has lived.
        samples.lingering += min(now - idle_since, workers.oldest_s()) > _IDLE_SECONDS + _LEAVING_SECONDS


def _nothing_due(store: Bed) -> bool:
    """Whether no task is ready, leased, or due by now."""
    ready, isolated, leased, due = store.keys.slot(DEFAULT_QUEUE, ("ready", "isolated", "leased", "due"))
    pipeline = store.client.pipeline(transaction=False)
    for key in (ready, isolated, leased):
        pipeline.zcard(key)
    pipeline.zcount(due, "-inf", time.time() * 1000)
    counts: list[Any] = pipeline.execute()
    return not any(counts)
