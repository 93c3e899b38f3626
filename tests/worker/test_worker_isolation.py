"""Isolated tasks of several queues share the one place that a worker has for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bide import Context, RetryAfter, task
from bide.async_connection import connect_async
from bide.ids import TaskId
from bide.reads import Reads
from bide.registry import Registry
from bide.settings import Settings
from bide.state import State
from bide.store import Store
from bide.submission import Submission
from bide.worker.worker import Worker

QUEUES = ("here", "there")
running, most = 0, 0


@task
async def suspect(seconds: float) -> None:
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(seconds)
    running -= 1


begun = 0


@task
async def meet(ctx: Context, tasks: int) -> None:
    """Fails once in good order, then waits until all the others have come as far."""
    global begun
    if ctx.attempt == 1:
        raise RetryAfter(0)
    begun += 1
    while begun < tasks:
        await asyncio.sleep(0.005)


async def crash(store: Store, url: str, queue: str) -> None:
    """Have a worker of this queue lease everything, and die."""
    client = connect_async(url)
    asked: dict[str, Any] = {
        "messages": (), "free": 100, "isolate": False, "listen_ms": 0, "lived_ms": 0, "asked_at": 0.0,
    }  # fmt: skip
    await store.exchange(client, queue, worker="dead", boot=1, seq=1, capacity=100, lease_ms=0, **asked)
    await client.aclose()
    store.tick(queue, 0)


def suspects(store: Store, url: str, queue: str, count: int, seconds: float) -> list[TaskId]:
    """Tasks of this queue that have one attempt left after a crash."""
    submission = Submission("suspect", f'{{"seconds": {seconds}}}', queue, "", 2, 60_000)
    ids = [store.submit(submission).id for _ in range(count)]
    asyncio.run(crash(store, url, queue))
    return ids


@pytest.mark.parametrize(("here", "there"), [(2, 2), (1, 1), (0, 2), (2, 0)], ids=lambda count: f"{count}")
def test_a_freed_place_goes_to_whoever_waits_for_it(
    store: Store, store_url: str, prefix: str, here: int, there: int
) -> None:
    """Neither queue has to wait until its lane looks again by itself, which takes 20 s."""
    global most
    most = 0
    ids = suspects(store, store_url, "here", here, 0.1) + suspects(store, store_url, "there", there, 0.1)
    assert store.tick("here", 0).seen.ready + store.tick("there", 0).seen.ready == len(ids)

    async def scenario() -> None:
        settings = Settings(prefix=prefix, queues=QUEUES)
        worker = Worker(settings, Registry({"suspect": suspect}), store_url)
        at_work = asyncio.create_task(worker.run())
        reads = Reads(store)
        async with asyncio.timeout(5):
            while not all(reads.task(id, "").run.state.done for id in ids):
                await asyncio.sleep(0.01)
        worker.stop()
        await asyncio.wait_for(at_work, 10)

    asyncio.run(scenario())
    assert most == 1


def test_last_attempts_share_a_worker_when_the_first_ones_have_failed_in_good_order(
    store: Store, store_url: str, prefix: str
) -> None:
    global begun
    begun = 0
    submission = Submission("meet", '{"tasks": 40}', "here", "", 2, 60_000)
    ids = [store.submit(submission).id for _ in range(40)]

    async def scenario() -> None:
        worker = Worker(Settings(prefix=prefix, queues=QUEUES), Registry({"meet": meet}), store_url)
        at_work = asyncio.create_task(worker.run())
        reads = Reads(store)
        async with asyncio.timeout(20):
            while not all(reads.task(id, "").run.state.done for id in ids):
                await asyncio.sleep(0.01)
        worker.stop()
        await asyncio.wait_for(at_work, 10)

    asyncio.run(scenario())
    assert {Reads(store).task(id, "").run.state for id in ids} == {State.SUCCEEDED}
