"""A worker: leases tasks from every slot, runs them side by side, leaves in good order."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bide.async_connection import connect_async
from bide.clock import Clock
from bide.connection import connect
from bide.errors import StoreError
from bide.exchange import Lease
from bide.keys import Keys
from bide.registry import Registry
from bide.replies import Need
from bide.settings import Settings
from bide.store import Store
from bide.transition_log import TransitionLog
from bide.wake import NoWake, Wake, Waker
from bide.worker.branches import adopt
from bide.worker.capture import capturing
from bide.worker.floor import Floor
from bide.worker.heartbeat import Heartbeat
from bide.worker.lane import Lane
from bide.worker.leaving import Leaving
from bide.worker.lifetime import Lifetime
from bide.worker.room import Isolation, Room
from bide.worker.runner import PATIENCE_S

_BEAT_S: Final = 1.0
"""How often the loop shows that it turns."""

_log = logging.getLogger(__name__)


class Worker:
    """One worker process's work: `await run()`; `stop()` ends it."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        store_url: str,
        *,
        stays: bool = True,
        wake: Wake | None = None,
        lives_s: float | None = None,
        log: TransitionLog | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """stays: go on when idle; otherwise leave as soon as nothing is left but waits, or nothing at all
        has come for `idle_seconds`. wake: starts other workers where this one does not suffice, and sets
        the alarm for what is due when nobody is awake any more. lives_s: seconds from now after which it
        leases nothing more and hands over, its successor started first; None for never. log: of transitions.
        patience_s: how long tasks whose code is not here are left to other workers before they fail.
        """
        clock = Clock()
        self.name = secrets.token_hex(6)
        self.boot = round(clock.local() * 1000)
        self.lease_ms = round(settings.lease_seconds * 1000)
        self._settings = settings
        self._stays = stays
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="task")
        self._store = Store(
            connect(store_url), Keys(settings.prefix), clock, limits=settings.limits,
            records=settings.records, log=log and log.of_worker(self.name),
        )  # fmt: skip
        self._lifetime = Lifetime(clock.local)
        self._lanes: dict[str, Lane] = {}
        self._floor = Floor(settings, registry, self._threads, self._store, self._lanes, patience_s)
        for slot in sorted({*registry.queues, *settings.queues}):
            self._lanes[slot] = Lane(
                self, self._store, slot, lambda reply_s: connect_async(store_url, reply_s=reply_s)
            )
        self._waker = Waker(self._store, wake or NoWake())
        self._leaving = Leaving(
            self.name, settings, self._floor, self._lanes, self._store, self._waker, self._lifetime, lives_s
        )
        self._calls: set[asyncio.Task[None]] = set()
        self._beat_at = clock.local()

    def stop(self) -> None:
        """Lease nothing more, park what waits, let tasks finish for `grace_seconds`, hand the rest back;
        then `run` returns.

        Call it on the event loop's thread, as from a signal handler of the loop.
        """
        self._leaving.stop()

    @property
    def has_worked(self) -> bool:
        """Whether it has had a task to work on."""
        return self._floor.has_worked

    async def run(self) -> None:
        """Work until stopped, for `lives_s` or, where it may leave, until there is nothing to stay for.

        A plain function may go on then, in a thread: only the end of the process ends it.
        """
        loop = asyncio.get_running_loop()
        loop.set_task_factory(adopt)
        heartbeat = Heartbeat(
            self._store,
            self.name,
            self._settings.lease_seconds,
            held=self._floor.held,
            stalled_s=lambda: self._store.clock.local() - self._beat_at - _BEAT_S,
            on_renewed=lambda *renewed: loop.call_soon_threadsafe(self._floor.renew, *renewed),
            on_lost=lambda slot, leases: loop.call_soon_threadsafe(self._floor.lose, slot, leases),
            on_cancel=lambda slot, keys: loop.call_soon_threadsafe(self._floor.cancel, slot, keys),
        )
        self._floor.hurry = heartbeat.hurry
        heartbeat.start()
        try:
            with capturing(self._floor.scribe, self._settings.task_log_level):
                async with asyncio.TaskGroup() as group:
                    beat = group.create_task(self._beat())
                    lanes = [group.create_task(lane.run()) for lane in self._lanes.values()]
                    departure = await self._leaving.time_to_leave(stays=self._stays)
                    await self._leaving.drain(lanes, departure)
                    beat.cancel()
                await asyncio.gather(*self._calls, return_exceptions=True)
        finally:
            heartbeat.stop()
            self._threads.shutdown(wait=not self._floor.has_threads, cancel_futures=True)
            self._store.client.close()

    async def _beat(self) -> None:
        while True:
            self._beat_at = self._store.clock.local()
            await asyncio.sleep(_BEAT_S)

    # --- what lanes ask (lane.Host) ---------------------------------------------------------

    @property
    def isolation(self) -> Isolation:
        return self._floor.isolation

    def room(self, slot: str) -> Room:
        return self._floor.room(slot)

    def start(self, leases: Sequence[Lease]) -> None:
        self._floor.start(leases)

    def cancel(self, slot: str, keys: Sequence[bytes]) -> None:
        self._floor.cancel(slot, keys)

    def call_for(self, slot: str, workers: int) -> None:
        call = asyncio.create_task(asyncio.to_thread(self._call_for, slot, Need(workers)))
        self._calls.add(call)
        call.add_done_callback(self._called)

    def _called(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        error = None if call.cancelled() else call.exception()
        if error is not None:  # the tick makes up for it
            _log.error("a call for workers came to nothing", exc_info=error)

    def _call_for(self, slot: str, need: Need) -> None:
        try:
            self._waker.answer(slot, need)
        except StoreError as error:
            _log.warning("queue %s: the tick makes up for a call that failed: %s", slot, error)

    def unreported_ms(self) -> int:
        return self._lifetime.unreported_ms()
