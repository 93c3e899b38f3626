"""A worker that is to leave while a reply is still under way to it.

The worker runs in this process; its exchanges reach the real store, but the first reply
that brings leases is held up on its way back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bide import Retry, task
from bide.exchange import ExchangeReply
from bide.ids import TaskId
from bide.reads import Reads
from bide.records import Run
from bide.registry import Registry
from bide.settings import Settings
from bide.state import State
from bide.store import Store
from bide.submission import Submission
from bide.worker.worker import Worker

HELD_UP_S = 0.4
started = 0


@task(retry=Retry(max_attempts=1))
async def begin(seconds: float = 0) -> None:
    global started
    started += 1
    await asyncio.sleep(seconds)


@pytest.fixture
def submit(store: Store) -> Callable[..., TaskId]:
    """Submits one `begin`, with these arguments as JSON."""
    return lambda args="{}": store.submit(Submission("begin", args, "default", "", 1, 60_000)).id


@pytest.fixture
def hire(store_url: str, prefix: str) -> Callable[..., Worker]:
    """A worker in this process; call it on the event loop."""

    def make(*, stays: bool = True, **settings: Any) -> Worker:
        given = Settings(
            prefix=prefix, workers_min=0, **{"idle_seconds": 0.1, "lease_seconds": 10, **settings}
        )
        return Worker(given, Registry({"begin": begin}), store_url, stays=stays)

    return make


@pytest.fixture
def leases_under_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[], asyncio.Event]:
    """Call it on the event loop: the event is set when the store has leased, and nobody knows yet."""

    def arrange() -> asyncio.Event:
        under_way, exchange = asyncio.Event(), Store.exchange

        async def held_up(*args: Any, **options: Any) -> ExchangeReply:
            reply = await exchange(*args, **options)
            if reply.leases and not under_way.is_set():
                under_way.set()
                await asyncio.sleep(HELD_UP_S)
            return reply

        monkeypatch.setattr(Store, "exchange", held_up)
        return under_way

    return arrange


def run_of(store: Store, id: TaskId) -> Run:
    return Reads(store).task(id, "").run


def test_an_idle_worker_does_not_leave_while_leases_are_under_way_to_it(
    hire: Any, submit: Any, leases_under_way: Any, store: Store
) -> None:
    id = submit()

    async def scenario() -> None:
        leases_under_way()
        await asyncio.wait_for(hire(stays=False).run(), 10)

    asyncio.run(scenario())
    assert (run_of(store, id).state, run_of(store, id).attempt) == (State.SUCCEEDED, 1)


def test_a_stopped_worker_waits_for_leases_that_are_under_way_and_lets_them_finish(
    hire: Any, submit: Any, leases_under_way: Any, store: Store
) -> None:
    id = submit()

    async def scenario() -> None:
        under_way, worker = leases_under_way(), hire(grace_seconds=2)
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(under_way.wait(), 5)
        worker.stop()
        await asyncio.wait_for(running, 10)

    asyncio.run(scenario())
    assert run_of(store, id).state is State.SUCCEEDED


def test_a_worker_stopped_without_grace_hands_back_leases_that_were_under_way(
    hire: Any, submit: Any, leases_under_way: Any, store: Store
) -> None:
    id = submit('{"seconds": 60}')

    async def scenario() -> None:
        under_way, worker = leases_under_way(), hire(grace_seconds=0)
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(under_way.wait(), 5)
        worker.stop()
        await asyncio.wait_for(running, 10)

    asyncio.run(scenario())
    assert (run_of(store, id).state, run_of(store, id).attempt) == (State.READY, 0)


def test_leases_that_ran_out_on_their_way_are_handed_back_and_leased_again(
    hire: Any, submit: Any, leases_under_way: Any, store: Store
) -> None:
    """The task may be tried once only: to let its lease be reaped would be to fail it unstarted."""
    id = submit()
    before = started

    async def scenario() -> None:
        leases_under_way()
        worker = hire(lease_seconds=HELD_UP_S / 2)
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(5):
            while not run_of(store, id).state.done:
                await asyncio.sleep(0.01)
        worker.stop()
        await asyncio.wait_for(running, 10)

    asyncio.run(scenario())
    assert (run_of(store, id).state, run_of(store, id).attempt) == (State.SUCCEEDED, 1)
    assert started == before + 1
