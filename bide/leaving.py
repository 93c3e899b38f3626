"""When a worker leaves, and how: nothing is lost, and what waits is parked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bide.context import StopReason
from bide.errors import StoreUnavailable
from bide.exchange import Settlement
from bide.floor import Floor
from bide.lane import Lane
from bide.lifetime import Lifetime
from bide.settings import Settings
from bide.store import Store
from bide.wake import Waker

PARK_S: Final = 1.0
"""A wait longer than this is no reason to stay, where the worker may leave."""
_LOOK_S: Final = 1.0
_RETRY_S: Final = 0.2
"""After a slot made the worker stay."""
_UNWIND_S: Final = 1.5
"""How long interrupted tasks may take to unwind before they are handed back regardless."""
_FAREWELL_S: Final = 2.0
"""How long the last exchanges may take."""

_log = logging.getLogger(__name__)


class Leaving:
    """One worker's way out."""

    def __init__(
        self,
        worker: str,
        settings: Settings,
        floor: Floor,
        lanes: Mapping[str, Lane],
        store: Store,
        waker: Waker,
        lifetime: Lifetime,
    ) -> None:
        self._worker = worker
        self._settings = settings
        self._floor = floor
        self._lanes = lanes
        self._store = store
        self._waker = waker
        self._lifetime = lifetime
        self._stop = False
        self._retired: set[str] = set()

    def stop(self) -> None:
        """It is time."""
        self._stop = True
        self._floor.changed.set()

    async def time_to_leave(self, *, stays: bool) -> None:
        """Returns when the worker has been stopped or, unless it stays, has retired for want of work."""
        while not self._stop:
            self._floor.changed.clear()
            left_s = None if stays else self._idle_left()
            if left_s is not None and left_s <= 0:
                if await self._may_retire():
                    return
                left_s = _RETRY_S
            try:
                async with asyncio.timeout(left_s):
                    await self._floor.changed.wait()
            except TimeoutError:
                continue

    async def drain(self, lanes: Sequence[asyncio.Task[Any]]) -> None:
        """Lease nothing more, park what waits, let the rest finish or hand it back; then retire."""
        self._floor.leaving = True
        await self._lead_out()
        self._floor.park_all()
        await self._wait_for_attempts(self._settings.grace_seconds)
        for attempt in tuple(self._floor.attempts()):
            attempt.stop(StopReason.SHUTDOWN)
        await self._wait_for_attempts(_UNWIND_S)
        for attempt in tuple(self._floor.attempts()):
            if attempt.work is not None and not attempt.work.done():
                self._floor.send(attempt.id.slot, attempt.settle(Settlement.HANDED_BACK))
        for lane in self._lanes.values():
            lane.close()
        _, pending = await asyncio.wait(lanes, timeout=_FAREWELL_S)
        for unfinished in pending:
            _log.warning("left without a last exchange: the store does not answer")
            unfinished.cancel()
        await asyncio.to_thread(self._retire, forced=True)

    def _idle_left(self) -> float:
        """Seconds before the worker may leave: none when it only waits, and nothing new has come lately."""
        if self._floor.busy:
            return _LOOK_S
        now = asyncio.get_running_loop().time()
        soonest = min((attempt.waits.due_at or now for attempt in self._floor.waiting), default=None)
        if soonest is not None and soonest - now <= PARK_S:
            return max(0.01, soonest - now + 0.01)
        if not all(attempt.parkable for attempt in self._floor.waiting):
            return _LOOK_S
        since = max(lane.last_arrival for lane in self._lanes.values())
        if not self._floor.has_worked:
            since = max(since, self._lifetime.began_at)
        return since + self._settings.idle_seconds - self._store.clock.local()

    async def _may_retire(self) -> bool:
        """Park what waits, and ask every slot; one that has work makes the worker stay."""
        self._floor.leaving = True
        if await self._lead_out():
            self._floor.park_all()
            if await self._all_said() and await asyncio.to_thread(self._retire, forced=False):
                return True
        self._floor.leaving = False
        for lane in self._lanes.values():
            lane.lead_out(False)
        return False

    async def _all_said(self) -> bool:
        """Whether no attempt is left, and the store knows it."""
        try:
            async with asyncio.timeout(_FAREWELL_S):
                if not await self._floor.emptied():
                    return False
                for lane in self._lanes.values():
                    await lane.said()
        except TimeoutError:
            return False
        return True

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
        try:
            for slot in self._lanes.keys() - self._retired:
                need = self._store.retire(
                    slot, self._worker, round(PARK_S * 1000), self._lifetime.unreported_ms(), forced=forced
                )
                if need is None:
                    return False
                self._waker.answer(slot, need)
                if forced:
                    self._retired.add(slot)
        except StoreUnavailable as error:
            _log.warning("retire: %s", error)
            return False
        return True

    async def _wait_for_attempts(self, seconds: float) -> None:
        work = [attempt.work for attempt in self._floor.attempts() if attempt.work]
        if work:
            await asyncio.wait(work, timeout=seconds)
