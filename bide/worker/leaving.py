"""When a worker leaves, and how: nothing is lost, what waits is parked, the successor is started first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bide.autoscaler import Departure, Reason, Seen, is_spare, reserve
from bide.context import StopReason
from bide.errors import StoreError
from bide.reads import Reads
from bide.replies import Need
from bide.settings import Settings
from bide.store import Store
from bide.wake import Waker
from bide.worker.floor import Floor
from bide.worker.lane import Lane
from bide.worker.lifetime import Lifetime

PARK_S: Final = 1.0
"""A wait longer than this is no reason to stay, where the worker may leave."""
EXCESS_S: Final = 2.0
"""A worker that may not lease stays for so long after its start: perhaps another is just leaving."""
_LOOK_S: Final = 1.0
_RETRY_S: Final = 0.2
"""After a slot made the worker stay."""
_UNWIND_S: Final = 1.5
"""How long interrupted tasks may take to unwind before they are handed back regardless."""
FOLLOWED_S: Final = 10.0
"""How long a successor may take to come, before the worker hands over to nobody in particular."""
_ASK_S: Final = 0.1
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
        lives_s: float | None,
    ) -> None:
        """lives_s: after so many seconds of `lifetime` it hands over; None for never."""
        self._worker = worker
        self._settings = settings
        self._floor = floor
        self._lanes = lanes
        self._store = store
        self._waker = waker
        self._lifetime = lifetime
        self._lives_s = lives_s
        self._stop = False
        self._retired: set[str] = set()

    def stop(self) -> None:
        """It is time."""
        self._stop = True
        self._floor.changed.set()

    async def time_to_leave(self, *, stays: bool) -> Departure:
        """Returns when the worker is stopped, has lived for long enough or, unless it stays, has retired."""
        while not self._stop:
            self._floor.changed.clear()
            life_s = self._life_left()
            if life_s is not None and life_s <= 0:
                return Departure.LIFETIME
            left_s, departure = (None, Departure.IDLE) if stays else self._outlook()
            if left_s is not None and left_s <= 0:
                if await self._may_retire(departure):
                    return departure
                left_s = _RETRY_S
            try:
                async with asyncio.timeout(min((s for s in (left_s, life_s) if s is not None), default=None)):
                    await self._floor.changed.wait()
            except TimeoutError:
                continue
        return Departure.STOPPED

    async def drain(self, lanes: Sequence[asyncio.Task[Any]], departure: Departure) -> None:
        """Clear the floor, unless that has been done, say the last things and retire."""
        if departure in (Departure.STOPPED, Departure.LIFETIME):
            await self._clear_floor(departure)
        for lane in self._lanes.values():
            lane.close()
        _, pending = await asyncio.wait(lanes, timeout=_FAREWELL_S)
        for unfinished in pending:
            _log.warning("left without a last exchange: the store does not answer")
            unfinished.cancel()
        await asyncio.to_thread(self._retire, departure, forced=True)

    # --- whether ------------------------------------------------------------------------------

    def _life_left(self) -> float | None:
        if self._lives_s is None:
            return None
        return self._lifetime.began_at + self._lives_s - self._store.clock.local()

    def _outlook(self) -> tuple[float, Departure]:
        """Seconds until the worker may leave as things stand, and why it would."""
        if self._floor.busy:
            return _LOOK_S, Departure.IDLE
        if not all(attempt.parkable for attempt in self._floor.waiting):
            return _LOOK_S, Departure.PARKED
        if not any(lane.admitted for lane in self._lanes.values()):
            return self._lifetime.began_at + EXCESS_S - self._store.clock.local(), Departure.EXCESS
        if any(lane.seen is None or lane.seen.ready for lane in self._lanes.values()):
            return _LOOK_S, Departure.IDLE
        if any(lane.seen and lane.seen.awake <= self._least(slot) for slot, lane in self._lanes.items()):
            return _LOOK_S, Departure.IDLE
        if self._is_spare():
            return 0, Departure.SPARE
        wait_s = self._shortest_wait()
        if wait_s is not None:
            return 0 if wait_s > PARK_S else max(0.01, wait_s + 0.01), Departure.PARKED
        since = max(self._floor.ended_at, self._lifetime.began_at)
        since = max(since, *(lane.last_arrival for lane in self._lanes.values()))
        return since + self._settings.idle_seconds - self._store.clock.local(), Departure.IDLE

    def _shortest_wait(self) -> float | None:
        """Seconds until the first wait ends that is left, here or in the store; None without any."""
        now, now_ms = asyncio.get_running_loop().time(), self._store.clock.estimate_ms()
        here = [(attempt.waits.due_at or now) - now for attempt in self._floor.waiting]
        parked = [(lane.due_ms - now_ms) / 1000 for lane in self._lanes.values() if lane.due_ms is not None]
        return min((*here, *parked), default=None)

    def _least(self, slot: str) -> int:
        return self._settings.limits(slot).minimum

    def _is_spare(self) -> bool:
        """Whether the others have places for all that this worker does."""
        return all(
            lane.seen is not None and is_spare(self._taken(slot), lane.seen, self._settings.limits(slot))
            for slot, lane in self._lanes.items()
        )

    def _taken(self, slot: str) -> int:
        room = self._floor.room(slot)
        return room.places - room.free

    async def _may_retire(self, departure: Departure) -> bool:
        """Park what waits, and ask every slot; one that needs the worker makes it stay."""
        self._floor.leaving = True
        if await self._lead_out() and (departure is not Departure.SPARE or self._is_covered()):
            self._floor.park_all()
            if await self._all_said() and await asyncio.to_thread(self._retire, departure, forced=False):
                return True
        self._floor.leaving = False
        for lane in self._lanes.values():
            lane.lead_out(False)
        return False

    def _is_covered(self) -> bool:
        """Once this worker leases nothing more: whether the others still have places for what it does.

        Another may have left for the same places meanwhile.
        """
        return all(
            lane.seen is not None and _suffices(lane.seen, self._settings.limits(slot).concurrency)
            for slot, lane in self._lanes.items()
        )

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

    # --- how ----------------------------------------------------------------------------------

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

    async def _clear_floor(self, departure: Departure) -> None:
        """Lease nothing more, park what waits, let the rest finish or hand it back."""
        await self._lead_out()
        if departure is Departure.LIFETIME:
            slot = await asyncio.to_thread(self._call_successor, self._slots_to_follow())
            if slot is not None:
                await self._until_followed(slot)
        self._floor.leaving = True
        self._floor.park_all()
        await self._wait_for_attempts(self._settings.grace_seconds)
        for attempt in tuple(self._floor.attempts()):
            attempt.stop(StopReason.SHUTDOWN)
        await self._wait_for_attempts(_UNWIND_S)
        lives_s = self._lives_s if departure is Departure.LIFETIME else None
        for attempt in tuple(self._floor.attempts()):
            if attempt.work is not None and not attempt.work.done():
                self._floor.give_up(attempt, lives_s)

    def _slots_to_follow(self) -> list[str]:
        """Queues in which there is anything to take over."""
        slots = {attempt.id.slot for attempt in self._floor.attempts()}
        slots |= {slot for slot, lane in self._lanes.items() if lane.seen is None or lane.seen.ready}
        slots |= {slot for slot in self._lanes if self._least(slot)}
        return sorted(slots)

    def _call_successor(self, slots: Sequence[str]) -> str | None:
        """Start the worker that takes over in one of these; returns a queue that will see it."""
        try:
            for slot in slots:
                if self._store.note_starts(slot, Reason.SUCCESSOR, 1):
                    self._waker.answer(slot, Need(workers=1))
                    return slot  # it serves all of them
        except StoreError as error:
            _log.warning("no successor could be started: %s", error)
        return None

    async def _until_followed(self, slot: str) -> None:
        """Wait until another worker may lease: till then nobody could go on with what is handed over."""
        try:
            async with asyncio.timeout(FOLLOWED_S):
                while not await asyncio.to_thread(self._is_followed, slot):
                    await asyncio.sleep(_ASK_S)
        except TimeoutError:
            _log.warning("nobody has followed within %g s; the tick will start somebody", FOLLOWED_S)

    def _is_followed(self, slot: str) -> bool:
        try:
            return Reads(self._store).fleet(slot).seen.awake > 0
        except StoreError:
            return False

    def _retire(self, departure: Departure, *, forced: bool) -> bool:
        """Off every slot's lists; sets the alarms that the last to leave has to."""
        window_ms = round(PARK_S * 1000)
        try:
            for slot in self._lanes.keys() - self._retired:
                lived_ms = self._lifetime.unreported_ms()
                need = self._store.retire(slot, self._worker, window_ms, lived_ms, departure, forced=forced)
                if need is None:
                    return False
                self._waker.answer(slot, need)
                if forced:
                    self._retired.add(slot)
        except StoreError as error:
            _log.warning("retire: %s", error)
            return False
        return True

    async def _wait_for_attempts(self, seconds: float) -> None:
        work = [attempt.work for attempt in self._floor.attempts() if attempt.work]
        if work:
            await asyncio.wait(work, timeout=seconds)


def _suffices(others: Seen, places: int) -> bool:
    return others.awake > 0 and others.ready == 0 and others.free >= reserve(places)
