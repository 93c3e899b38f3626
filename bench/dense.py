"""Many tasks at once that poll for a minute: what the workers cost, and each poll costs the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import uvloop

from bench.bed import Bed, bed, submission
from bench.billing import Billed, billed
from bench.crew import crew
from bench.errors import BenchFailed
from bench.line import Line, at_most
from bench.load import CONNECTIONS
from bench.relay import relay
from bench.roll import Roll, roll
from bench.running_lambda import Meter, at_rest, running_lambda
from bench.running_stack import running_stack, submit
from bide.reads import Reads
from bide.settings import DEFAULT_QUEUE

TASKS: Final = 2_000
EVERY: Final = 5.0
_BILLED_PERCENT: Final = 1
_SPARE_SECONDS: Final = 30.0
_PARKED_TASKS: Final = 500
_PARKED_SECONDS: Final = 5.0
_PARKED_EVERY: Final = 1.0


def measure(quick: bool) -> Iterator[Line]:
    tasks, seconds = (500, 15.0) if quick else (TASKS, 60.0)
    with bed() as store, roll() as workers:
        submitted = asyncio.run(_run(store, workers, tasks, seconds))
        totals = Reads(store.store()).totals()
    waited = tasks * seconds
    yield Line(
        "dense", "billed of waited time", workers.billed_s() / waited * 100, "%",
        at_most(_BILLED_PERCENT),
        note=f"{tasks:,} tasks of {seconds:g} s, polled every {EVERY:g} s: "
        f"billed {workers.billed_s():.1f} s of {waited:,.0f} s waited; every result checked",
    )  # fmt: skip
    yield Line(
        "dense", "submitting all of them", submitted, "s", note=f"over HTTP, {CONNECTIONS} connections"
    )
    yield Line(
        "dense", "worker processes started", workers.starts, "",
        note=f"at most {workers.most} at a time, {totals.polls:,} polls, {totals.replays:,} replays",
    )  # fmt: skip
    yield from _parked()
    with bed() as store:
        run = uvloop.run(_run_on_lambda(store, tasks, seconds))
    what = f"{tasks:,} tasks of {seconds:g} s, polled every {EVERY:g} s"
    yield from billed("dense", run, _BILLED_PERCENT, what)


async def _run_on_lambda(store: Bed, tasks: int, seconds: float) -> Billed:
    async with running_lambda(store, api_concurrency=CONNECTIONS) as stack:
        meter, before = Meter(stack), store.commands()
        submitted = await submit(stack.url, watch_body(seconds, EVERY), tasks, key=stack.key)
        await asyncio.to_thread(store.wait_for_results, tasks, seconds + _SPARE_SECONDS, 0.1)
        await at_rest(stack)
        bill, commands = meter.read(), store.commands() - before
        check_values(store, tasks)
    totals = Reads(store.store()).totals()
    return Billed(bill, totals, commands, tasks, seconds, submitted.seconds)


async def _run(store: Bed, workers: Roll, tasks: int, seconds: float) -> float:
    """Until the last worker has left by itself; returns the seconds that submitting took."""
    async with running_stack(store, "bench.tasks", BIDE_WORKERS_MIN="0") as url:
        if workers.starts:
            raise BenchFailed("a worker was started before there was work")
        submitted = (await submit(url, watch_body(seconds, EVERY), tasks)).seconds
        await asyncio.to_thread(store.wait_for_results, tasks, seconds + _SPARE_SECONDS, 0.1)
        check_values(store, tasks)
        await gone(workers)
    return submitted


def _parked() -> Iterator[Line]:
    """A worker that stays, and parks each wait at once: nothing but parked polls, and what they cost."""
    many, one = _parked_polls(_PARKED_TASKS, _PARKED_SECONDS), _parked_polls(1, _PARKED_SECONDS * 2)
    note = (
        f"{many.polls:,} polls of {_PARKED_TASKS} tasks, each parked by BIDE_HOT_WAIT_SECONDS=0; "
        "all that the store ran, those inside scripts and the tasks' ends included"
    )
    yield Line("dense", "store commands per parked poll", many.run / many.polls, "", at_most(6), note=note)
    yield Line("dense", "commands a worker sends per parked poll", many.sent / many.polls, "")
    yield Line(
        "dense", "store commands per parked poll of a lone task", one.run / one.polls, "",
        note=f"{one.sent / one.polls:.3g} sent; exchanges that nobody shares, and the worker's idleness",
    )  # fmt: skip


class _Cost(NamedTuple):
    polls: int
    sent: int
    """Commands that the worker sent."""
    run: int
    """Commands that the store ran."""


def _parked_polls(tasks: int, seconds: float) -> _Cost:
    """From when all tasks are parked for the first time until all are done."""
    with bed() as store, relay(store.url) as counted:
        submitting = store.store()
        reads = Reads(submitting)
        parked = {"BIDE_HOT_WAIT_SECONDS": "0", "BIDE_CONCURRENCY": "1000"}
        with crew(1, counted.url, settings=parked) as worker:
            for value in range(tasks):
                args = f'{{"seconds":{seconds},"every":{_PARKED_EVERY},"value":{value}}}'
                submitting.submit(submission("watch", args))
            worker.go()
            _wait_until_parked(store, tasks)
            asked = reads.totals().polls
            counted.reset()
            before = store.commands()
            store.wait_for_results(tasks, seconds + _SPARE_SECONDS, 0.1)
            cost = _Cost(reads.totals().polls - asked, counted.commands, store.commands() - before)
        check_values(store, tasks)
        submitting.client.close()
    return cost


def _wait_until_parked(store: Bed, tasks: int) -> None:
    due = store.keys.slot(DEFAULT_QUEUE, ("due",))[0]
    deadline = time.monotonic() + _SPARE_SECONDS
    while store.client.zcard(due) < tasks:
        if time.monotonic() > deadline:
            raise BenchFailed("the tasks were never all parked")
        time.sleep(0.01)


def watch_body(seconds: float, every: float) -> str:
    """Submissions of `watch` over HTTP; `%d` stands for the task's number."""
    return f'{{"name":"watch","args":{{"seconds":{seconds},"every":{every},"value":%d}}}}'


def check_values(store: Bed, tasks: int) -> None:
    """Raises BenchFailed unless the results are the numbers of the tasks."""
    if sorted(store.outcomes().values()) != list(range(tasks)):
        raise BenchFailed("a task that polled has a wrong result")


async def gone(workers: Roll, timeout: float = 15.0) -> None:
    """Return when no worker lives any more."""
    deadline = time.monotonic() + timeout
    while workers.alive:
        if time.monotonic() > deadline:
            raise BenchFailed(f"{workers.alive} workers stayed {timeout:g} s after all was done")
        await asyncio.sleep(0.05)
