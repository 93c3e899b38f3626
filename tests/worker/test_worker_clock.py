"""What a worker does when its sample of the store's time has just expired."""

from __future__ import annotations

import asyncio

import pytest

from bide import task
from bide.clock import Clock
from bide.reads import Reads
from bide.registry import Registry
from bide.settings import Settings
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
