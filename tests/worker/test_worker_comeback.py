"""A lease that a worker loses, and that comes back to it."""

from __future__ import annotations

import asyncio

from bide import task
from bide.reads import Reads
from bide.registry import Registry
from bide.settings import Settings
from bide.store import Store
from bide.submission import Submission
from bide.worker.worker import Worker

events: list[str] = []


@task
async def stand(seconds: float) -> None:
    events.append("began")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        events.append("stopped")
        raise


def test_an_attempt_stops_when_its_task_is_leased_again_by_its_own_worker(
    store: Store, store_url: str, prefix: str
) -> None:
    """As after a stall of the whole process: nobody else has it, so no heartbeat tells."""
    events.clear()
    id = store.submit(Submission("stand", '{"seconds": 600}', "here", "", 9, 60_000)).id
    reads = Reads(store)
    (leased,) = store.keys.slot("here", ("leased",))

    async def scenario() -> None:
        worker = Worker(
            Settings(prefix=prefix, queues=("here",), grace_seconds=0.0),
            Registry({"stand": stand}), store_url,
        )  # fmt: skip
        at_work = asyncio.create_task(worker.run())
        async with asyncio.timeout(20):
            while not events:
                await asyncio.sleep(0.005)
            while reads.task(id, "").run.attempt == 1:  # a heartbeat may renew it in between
                store.command("ZADD", leased, 0, id.key)
                # A reason for an exchange, which takes the task from its worker and gives it back.
                store.submit(Submission("stand", '{"seconds": 0}', "here", "", 1, 60_000))
                await asyncio.sleep(0.05)
            while "stopped" not in events:
                await asyncio.sleep(0.005)
        worker.stop()
        await asyncio.wait_for(at_work, 20)

    asyncio.run(scenario())
