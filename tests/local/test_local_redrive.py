"""Quick mode's tick goes on with bulk operations that whoever began them has left."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from bide.bulk import Bulk, Kind
from bide.store import Store
from bide.submission import Submission
from bide.wake import NoWake, Waker
from local.children import Role, spawn


def _fail(store: Store, count: int) -> None:
    """Have so many tasks fail: nobody finishes them by their deadline."""
    for _ in range(count):
        store.submit(Submission("echo", "{}", "default", "", 1, 60_000, deadline_ms=1))
    until = time.monotonic() + 60
    while store.command("ZCARD", store.keys.slot("default", ("dead",))[0]) < count:
        assert time.monotonic() < until
        store.tick("default", store.begin_turn())


def test_the_tick_ends_what_a_request_had_no_time_for(store: Store, store_url: str, prefix: str) -> None:
    _fail(store, 250)
    bulk = Bulk(store, Waker(store, NoWake()))
    id = bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=lambda: False).id
    assert bulk.show(id).operation.changed == 100
    environ = {"BIDE_REDIS_URL": store_url, "BIDE_PREFIX": prefix, "BIDE_TICK_SECONDS": "3600"}

    async def tick() -> None:
        child = await spawn(Role("tick"), {**os.environ, **environ})
        following = asyncio.create_task(child.follow(lambda *_: None))
        async with asyncio.timeout(30):
            while bulk.show(id).operation.running:
                await asyncio.sleep(0.02)
        child.signal(signal.SIGTERM)
        await following

    asyncio.run(tick())
    assert bulk.show(id).operation.changed == 250
