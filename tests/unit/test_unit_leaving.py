"""A worker's way out: what it asks of its floor in which thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bide.autoscaler import Departure
from bide.clock import boot_time
from bide.settings import Settings
from bide.worker.attempt import Attempt
from bide.worker.leaving import Leaving
from bide.worker.lifetime import Lifetime


class WatchedFloor:
    """A floor without attempts, which notes the threads that look at them."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.leaving = False
        self.seen_from: set[int] = set()

    def attempts(self) -> Iterator[Attempt]:
        self.seen_from.add(threading.get_ident())
        return iter(())

    def park_all(self) -> None: ...


@pytest.mark.parametrize("departure", [Departure.LIFETIME, Departure.STOPPED])
def test_only_the_loops_thread_looks_at_attempts_as_they_come_and_go_there(departure: Departure) -> None:
    async def leave() -> set[int]:
        floor: Any = WatchedFloor()
        nothing: Any = None
        lifetime = Lifetime(boot_time)
        leaving = Leaving("worker", Settings(), floor, {}, nothing, nothing, lifetime, lives_s=0.0)
        await leaving.drain([asyncio.create_task(asyncio.sleep(0))], departure)
        return floor.seen_from  # type: ignore[no-any-return]

    assert asyncio.run(leave()) == {threading.get_ident()}
