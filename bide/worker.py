"""A worker: leases tasks from every slot, runs them side by side, leaves in good order."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bide.clock import Clock
from bide.connection import connect, connect_async
from bide.context import StopReason
from bide.errors import StoreUnavailable
from bide.exchange import Lease, Settlement
from bide.heartbeat import Heartbeat, Held
from bide.keys import Keys
from bide.lane import Lane
from bide.registry import Registry
from bide.runner import Attempt, Runner
from bide.settings import Settings
from bide.store import Store

_BEAT_S: Final = 1.0
"""How often the loop shows that it turns."""
_UNWIND_S: Final = 1.5
"""How long interrupted tasks may take to unwind before they are handed back regardless."""
_FAREWELL_S: Final = 2.0
"""How long the last exchanges may take."""

_log = logging.getLogger(__name__)


class Worker:
    """One worker process's work: `await run()`; `stop()` ends it."""

    def __init__(self, settings: Settings, registry: Registry, store_url: str, *, stays: bool = True) -> None:
        """stays: go on when idle; otherwise leave after `idle_seconds` without work."""
        clock = Clock()
        self.name = secrets.token_hex(6)
        self.boot = round(clock.local() * 1000)
        self.lease_ms = round(settings.lease_seconds * 1000)
        self._settings = settings
        self._stays = stays
        self._room = settings.concurrency
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="task")
        self._store = Store(connect(store_url), Keys(settings.prefix), clock)
        self._runner = Runner(registry, self._threads, clock.local)
        self._isolated = False
        queues = sorted({*registry.queues, *settings.queues})
        self._attempts: dict[str, dict[bytes, Attempt]] = {slot: {} for slot in queues}
        self._lanes = {
            slot: Lane(self, self._store, slot, lambda reply_s: connect_async(store_url, reply_s=reply_s))
            for slot in queues
        }
        self._beat_at = clock.local()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Lease nothing more, let tasks finish for `grace_seconds`, hand the rest back; then `run` returns.

        Call it on the event loop's thread, as from a signal handler of the loop.
        """
        self._stop.set()

    async def run(self) -> None:
        """Work until stopped or, where the worker may leave, idle."""
        loop = asyncio.get_running_loop()
        heartbeat = Heartbeat(
            self._store,
            self.name,
            self._settings.lease_seconds,
            held=self._held,
            stalled_s=lambda: self._store.clock.local() - self._beat_at - _BEAT_S,
            on_lost=lambda slot, leases: loop.call_soon_threadsafe(self._lose, slot, leases),
            on_cancel=lambda slot, keys: loop.call_soon_threadsafe(self.cancel, slot, keys),
        )
        heartbeat.start()
        try:
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._beat())
                lanes = [group.create_task(lane.run()) for lane in self._lanes.values()]
                await self._until_time_to_leave()
                await self._drain(lanes)
                beat.cancel()
        finally:
            heartbeat.stop()
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._store.client.close()

    # --- what lanes ask (lane.Host) ---------------------------------------------------------

    def reserve(self, wanted: int) -> int:
        granted = min(wanted, self._room)
        self._room -= granted
        return granted

    def release(self, count: int) -> None:
        self._room += count
        if count:
            for lane in self._lanes.values():
                lane.nudge()

    @property
    def room(self) -> int:
        return self._room

    def reserve_isolation(self) -> bool:
        granted = not self._isolated
        self._isolated = True
        return granted

    def release_isolation(self) -> None:
        self._isolated = False
        for lane in self._lanes.values():
            lane.nudge(isolation=True)

    def start(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            attempt = Attempt(lease)
            self._attempts[lease.id.slot][lease.id.key] = attempt
            attempt.work = asyncio.create_task(self._work(attempt))
        if leases:
            self._lanes[leases[0].id.slot].watch_cancels(True)

    def cancel(self, slot: str, keys: Sequence[bytes]) -> None:
        for key in keys:
            attempt = self._attempts[slot].get(key)
            if attempt is not None:
                attempt.stop(StopReason.CANCEL)

    # --- attempts ---------------------------------------------------------------------------

    async def _work(self, attempt: Attempt) -> None:
        settle = await self._runner.run(attempt)
        if settle is not None:
            self._lanes[attempt.lease.id.slot].settle(settle)
        if attempt.thread is not None and not attempt.thread.done():
            # Its thread is still taken, and so is its place.
            attempt.thread.add_done_callback(lambda _: self._forget(attempt))
        else:
            self._forget(attempt)

    def _forget(self, attempt: Attempt) -> None:
        lease = attempt.lease
        attempts = self._attempts[lease.id.slot]
        # A lease that was lost may have come back to this worker meanwhile.
        if attempts.get(lease.id.key) is attempt:
            del attempts[lease.id.key]
        if lease.isolated:
            self.release_isolation()
        if not attempts:
            self._lanes[lease.id.slot].watch_cancels(False)
        self.release(1)

    def _lose(self, slot: str, leases: Sequence[tuple[bytes, int]]) -> None:
        for key, fence in leases:
            attempt = self._attempts[slot].get(key)
            if attempt is not None and attempt.lease.fence == fence and attempt.context.stopping is None:
                _log.warning("%s: its lease has passed to another worker; stopped here", attempt.lease.id)
                attempt.stop(StopReason.LOST)

    def _held(self) -> Held:
        """Called in the heartbeat's thread; `list` of a dict's values is atomic in CPython."""
        return {
            slot: held
            for slot, attempts in self._attempts.items()
            if (held := [a.lease_held for a in list(attempts.values()) if not a.is_over])
        }

    def _all_attempts(self) -> Iterator[Attempt]:
        for attempts in self._attempts.values():
            yield from attempts.values()

    async def _beat(self) -> None:
        while True:
            self._beat_at = self._store.clock.local()
            await asyncio.sleep(_BEAT_S)

    # --- leaving ----------------------------------------------------------------------------

    async def _until_time_to_leave(self) -> None:
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(None if self._stays else max(0.05, self._idle_left())):
                    await self._stop.wait()
            except TimeoutError:
                if self._idle_left() <= 0 and await self._may_retire():
                    return

    def _idle_left(self) -> float:
        """Seconds of idleness before the worker may leave."""
        if any(self._attempts.values()):
            return self._settings.idle_seconds
        last_work = max(lane.last_work for lane in self._lanes.values())
        return last_work + self._settings.idle_seconds - self._store.clock.local()

    async def _may_retire(self) -> bool:
        """Ask every slot; one that has work makes the worker stay."""
        may = await self._lead_out() and not any(self._attempts.values())
        if may and await asyncio.to_thread(self._retire, forced=False):
            return True
        for lane in self._lanes.values():
            lane.lead_out(False)
            lane.last_work = self._store.clock.local()
        return False

    async def _lead_out(self) -> bool:
        """Lease nothing more; returns when every lease has arrived, False when the store does not answer."""
        for lane in self._lanes.values():
            lane.lead_out()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                for lane in self._lanes.values():
                    await lane.led_out()
        except TimeoutError:
            return False
        return True

    def _retire(self, *, forced: bool) -> bool:
        window_ms = round(self._settings.idle_seconds * 1000)
        try:
            return all(self._store.retire(slot, self.name, window_ms, forced=forced) for slot in self._lanes)
        except StoreUnavailable as error:
            _log.warning("retire: %s", error)
            return False

    async def _drain(self, lanes: Sequence[asyncio.Task[Any]]) -> None:
        await self._lead_out()
        await self._wait_for_attempts(self._settings.grace_seconds)
        for attempt in tuple(self._all_attempts()):
            attempt.stop(StopReason.SHUTDOWN)
        await self._wait_for_attempts(_UNWIND_S)
        for attempt in tuple(self._all_attempts()):
            if attempt.work is not None and not attempt.work.done():
                self._lanes[attempt.lease.id.slot].settle(attempt.settle(Settlement.HANDED_BACK))
        for lane in self._lanes.values():
            lane.close()
        _, pending = await asyncio.wait(lanes, timeout=_FAREWELL_S)
        for unfinished in pending:
            _log.warning("left without a last exchange: the store does not answer")
            unfinished.cancel()
        await asyncio.to_thread(self._retire, forced=True)

    async def _wait_for_attempts(self, seconds: float) -> None:
        work = [attempt.work for attempt in self._all_attempts() if attempt.work]
        if work:
            await asyncio.wait(work, timeout=seconds)
