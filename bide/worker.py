"""A worker: leases tasks from every slot, runs them side by side, leaves in good order."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bide.attempt import Attempt
from bide.branches import adopt
from bide.clock import Clock
from bide.connection import connect, connect_async
from bide.context import StopReason
from bide.errors import StoreUnavailable
from bide.exchange import Event, Lease, Message, Settlement
from bide.heartbeat import Heartbeat, Held
from bide.ids import TaskId
from bide.keys import Keys
from bide.lane import Answered, Lane
from bide.meter import Meter
from bide.poller import Poller, Watcher
from bide.polling import Rounds
from bide.registry import Registry
from bide.runner import Runner
from bide.settings import Settings
from bide.store import Store
from bide.wake import NoWake, Wake, Waker

_BEAT_S: Final = 1.0
"""How often the loop shows that it turns."""
_UNWIND_S: Final = 1.5
"""How long interrupted tasks may take to unwind before they are handed back regardless."""
_FAREWELL_S: Final = 2.0
"""How long the last exchanges may take."""

PARK_S: Final = 1.0
"""A wait longer than this is no reason to stay, where the worker may leave."""
_LOOK_S: Final = 1.0
_RETRY_S: Final = 0.2
"""After a slot made the worker stay."""

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
    ) -> None:
        """stays: go on when idle; otherwise leave once nothing is left but waits, and nothing new has
        come for `idle_seconds`. wake: sets the alarm for what is due when nobody is awake any more.
        """
        clock = Clock()
        self.name = secrets.token_hex(6)
        self.boot = round(clock.local() * 1000)
        self.lease_ms = round(settings.lease_seconds * 1000)
        self._settings = settings
        self._stays = stays
        self._room = settings.concurrency
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="task")
        self._store = Store(connect(store_url), Keys(settings.prefix), clock)
        self._waker = Waker(self._store, wake or NoWake())
        self._runner = Runner(registry, self._threads, clock.local, rounds=Rounds(self))
        self.meter = Meter(clock.local)
        self.executor = self._threads
        self._waiting: set[Attempt] = set()
        self._returning: deque[asyncio.Future[None]] = deque()
        self._changed = asyncio.Event()
        self._leaving = False
        self._has_worked = False
        self._retired: set[str] = set()
        self._began_at = clock.local()
        self._lived_until = self._began_at - _process_age_s()
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
        self._changed.set()

    async def run(self) -> None:
        """Work until stopped or, where the worker may leave, idle."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(adopt)
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
        while count and self._returning:
            turn = self._returning.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1
        self._room += count
        if count:
            for lane in self._lanes.values():
                lane.nudge()

    @property
    def room(self) -> int:
        return self._room

    def lived_ms(self) -> int:
        now = self._store.clock.local()
        lived_ms = int((now - self._lived_until) * 1000)
        self._lived_until += lived_ms / 1000
        return lived_ms

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
            attempt = Attempt(lease, self)
            self._attempts[lease.id.slot][lease.id.key] = attempt
            attempt.work = asyncio.create_task(self._work(attempt))
        if leases:
            self._has_worked = True
            self._lanes[leases[0].id.slot].watch_cancels(True)

    def cancel(self, slot: str, keys: Sequence[bytes]) -> None:
        for key in keys:
            attempt = self._attempts[slot].get(key)
            if attempt is not None:
                attempt.stop(StopReason.CANCEL)

    # --- what attempts ask (attempt.Floor) and rounds (polling.Telling) -----------------------

    def now_ms(self) -> int:
        return self._store.clock.estimate_ms()

    def send(self, slot: str, message: Message, answered: Answered | None = None) -> None:
        self._lanes[slot].send(message, answered)

    async def tell(self, slot: str, messages: Sequence[Message]) -> None:
        if not messages:
            return
        told = asyncio.Event()
        for message in messages[:-1]:
            self.send(slot, message)
        self.send(slot, messages[-1], lambda _: told.set())
        await told.wait()

    async def read_events(self, id: TaskId) -> Sequence[Event]:
        return await asyncio.to_thread(self._store.unread_events, id)

    async def watchers(self, poller: Poller) -> list[Watcher]:
        return await asyncio.to_thread(self._store.watchers, poller)

    async def awaiting(self, slot: str, waits: Sequence[tuple[bytes, int]]) -> str:
        return await asyncio.to_thread(self._store.awaiting, slot, waits)

    def on_idle(self, attempt: Attempt) -> None:
        self._waiting.add(attempt)
        self._free(attempt)
        due_at = attempt.due_at
        if (
            self._leaving
            or due_at is None
            or attempt.waits.awaits
            or len(self._waiting) > self._settings.hot_waits
        ):
            is_hot = False
        else:
            is_hot = due_at - asyncio.get_running_loop().time() <= self._settings.hot_wait_seconds
        if not is_hot and attempt.parkable:
            attempt.stop(StopReason.PARK)
        self._changed.set()

    def on_busy(self, attempt: Attempt) -> None:
        self._waiting.discard(attempt)

    async def readmit(self, attempt: Attempt) -> None:
        if attempt.lease.isolated:
            return
        if self._room <= 0:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._returning.append(turn)
            await turn  # `release` has counted it
        else:
            self._room -= 1
        attempt.holds_room = True

    # --- attempts ---------------------------------------------------------------------------

    async def _work(self, attempt: Attempt) -> None:
        settle = await self._runner.run(attempt)
        if settle is not None:
            self._lanes[attempt.lease.id.slot].send(settle)
        running = [thread for thread in attempt.threads if not thread.done()]
        if running:
            # Its threads are still taken, and so is its place.
            await asyncio.wait([asyncio.wrap_future(thread) for thread in running])
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
        self._waiting.discard(attempt)
        self._free(attempt)
        self._changed.set()

    def _free(self, attempt: Attempt) -> None:
        """Give its place to others."""
        if attempt.holds_room:
            attempt.holds_room = False
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
            self._changed.clear()
            left_s = None if self._stays else self._idle_left()
            if left_s is not None and left_s <= 0:
                if await self._may_retire():
                    return
                left_s = _RETRY_S
            try:
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _idle_left(self) -> float:
        """Seconds before the worker may leave: none when it only waits, and nothing new has come lately."""
        loop_now, now = asyncio.get_running_loop().time(), self._store.clock.local()
        attempts = sum(map(len, self._attempts.values()))
        if attempts > len(self._waiting):
            return _LOOK_S
        soonest = min((attempt.due_at or loop_now for attempt in self._waiting), default=None)
        if soonest is not None and soonest - loop_now <= PARK_S:
            return max(0.01, soonest - loop_now + 0.01)
        if not all(attempt.parkable for attempt in self._waiting):
            return _LOOK_S
        arrival = max(lane.last_arrival for lane in self._lanes.values())
        if not self._has_worked:
            arrival = max(arrival, self._began_at)
        return arrival + self._settings.idle_seconds - now

    async def _may_retire(self) -> bool:
        """Park what waits, and ask every slot; one that has work makes the worker stay."""
        self._leaving = True
        may = await self._lead_out()
        if may:
            self._park_all()
            may = await self._emptied()
        if may and await asyncio.to_thread(self._retire, forced=False):
            return True
        self._leaving = False
        for lane in self._lanes.values():
            lane.lead_out(False)
        return False

    def _park_all(self) -> None:
        for attempt in tuple(self._waiting):
            if attempt.parkable:
                attempt.stop(StopReason.PARK)

    async def _emptied(self) -> bool:
        """Returns True once no attempt is left and all is said; False when that takes too long."""
        try:
            async with asyncio.timeout(_FAREWELL_S):
                while any(self._attempts.values()):
                    if len(self._waiting) < sum(map(len, self._attempts.values())) and not self._unwinding():
                        return False
                    self._changed.clear()
                    await self._changed.wait()
                for lane in self._lanes.values():
                    await lane.said()
        except TimeoutError:
            return False
        return True

    def _unwinding(self) -> bool:
        """Whether everything that is left has been asked to end."""
        return all(attempt.context.stopping is not None for attempt in self._all_attempts())

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
        """Off every slot's lists; sets the alarms that the last to leave has to."""
        window_ms = round(PARK_S * 1000)
        try:
            for slot in self._lanes:
                if slot in self._retired:
                    continue
                need = self._store.retire(slot, self.name, window_ms, self.lived_ms(), forced=forced)
                if need is None:
                    return False
                self._waker.answer(slot, need)
                if forced:
                    self._retired.add(slot)
        except StoreUnavailable as error:
            _log.warning("retire: %s", error)
            return False
        return True

    async def _drain(self, lanes: Sequence[asyncio.Task[Any]]) -> None:
        self._leaving = True
        await self._lead_out()
        self._park_all()
        await self._wait_for_attempts(self._settings.grace_seconds)
        for attempt in tuple(self._all_attempts()):
            attempt.stop(StopReason.SHUTDOWN)
        await self._wait_for_attempts(_UNWIND_S)
        for attempt in tuple(self._all_attempts()):
            if attempt.work is not None and not attempt.work.done():
                self._lanes[attempt.lease.id.slot].send(attempt.settle(Settlement.HANDED_BACK))
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


def _process_age_s() -> float:
    """Seconds since this process was started, interpreter and imports included, where the system tells."""
    try:
        with open("/proc/self/stat") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, ValueError):
        return time.process_time()
