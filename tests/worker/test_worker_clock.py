"""What a worker does when its sample of the store's time has just expired, or the local time has leapt."""

from __future__ import annotations

import asyncio

import pytest

from bide import Context, task
from bide.clock import EXPIRY_S, Clock, boot_time
from bide.reads import Reads
from bide.registry import Registry
from bide.settings import Settings
from bide.state import State
from bide.store import Store
from bide.submission import Submission
from bide.worker.worker import Worker


class ForgetfulClock(Clock):
    """Tells the time once after each sample."""

    _told = True

    def record(self, reply: tuple[int, int], sent: float) -> None:
        super().record(reply, sent)
        self._told = False

    def now_ms(self) -> int | None:
        now_ms = None if self._told else super().now_ms()
        self._told = True
        return now_ms


@task
async def later() -> None: ...


def test_a_delayed_task_starts_in_time_though_the_sample_expires_after_each_exchange(
    store: Store, store_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would wait until its lane looks again by itself, which takes 20 s."""
    monkeypatch.setattr("bide.worker.worker.Clock", ForgetfulClock)
    id = store.submit(Submission("later", "{}", "default", "", 1, 60_000, delay_ms=150)).id

    async def scenario() -> None:
        worker = Worker(Settings(prefix=prefix), Registry({"later": later}), store_url)
        at_work = asyncio.create_task(worker.run())
        async with asyncio.timeout(5):
            while not Reads(store).task(id, "").run.state.done:
                await asyncio.sleep(0.01)
        worker.stop()
        await asyncio.wait_for(at_work, 10)

    asyncio.run(scenario())


class LeapingClock(Clock):
    """Its local time can leap, as that of a machine that slept."""

    leapt_s = 0.0

    def __init__(self) -> None:
        super().__init__(lambda: boot_time() + LeapingClock.leapt_s)


acts = 0


async def act() -> None:
    global acts
    acts += 1


@task
async def oversleep(ctx: Context) -> int:
    await ctx.step(act)
    LeapingClock.leapt_s += 2 * EXPIRY_S
    await ctx.step(act)
    return ctx.attempt


def test_a_task_whose_lease_has_run_out_here_alone_goes_on_once_the_store_has_renewed_it(
    store: Store, store_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for at once: the next heartbeat would be due in a third of the lease."""
    monkeypatch.setattr("bide.worker.worker.Clock", LeapingClock)
    monkeypatch.setattr(LeapingClock, "leapt_s", 0.0)
    id = store.submit(Submission("oversleep", "{}", "default", "", 1, 60_000)).id
    settings = Settings(prefix=prefix, lease_seconds=2 * EXPIRY_S)

    async def scenario() -> None:
        worker = Worker(settings, Registry({"oversleep": oversleep}), store_url)
        at_work = asyncio.create_task(worker.run())
        async with asyncio.timeout(15):
            while not Reads(store).task(id, "").run.state.done:
                await asyncio.sleep(0.01)
        worker.stop()
        await asyncio.wait_for(at_work, 10)

    asyncio.run(scenario())
    task = Reads(store).task(id, "")
    assert (task.run.state, task.run.outcome, acts) == (State.SUCCEEDED, "1", 2)
