"""One tick: upkeep of every slot, and what the autoscaler makes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from bide.autoscaler import Departure, decide
from bide.bulk import Bulk
from bide.errors import ScriptError, Superseded
from bide.replies import Need, Upkeep
from bide.store import Store
from bide.wake import Waker

START_MS: Final = 10_000
"""How long workers that were started are counted on; lua/_fleet.lua has it, too."""

OPERATE_S: Final = 2.0
"""How long a look goes on with bulk operations; the next one goes on with what is left."""

_FULL: Final = 100
"""Tasks of a kind that one call sees to; a slot that had so many is asked again."""


_log = logging.getLogger(__name__)


class Report(NamedTuple):
    """What one look did."""

    started: int
    """Workers that it had started."""
    promoted: int
    reaped: int
    pruned: int
    complete: bool
    """Whether every slot was seen to; not when time ran out, or a later look has begun."""
    operating: bool
    """Whether bulk operations are left to go on with; not when a later look has begun, which does so."""


class Caretaker:
    """Makes up for every wake, alarm and worker that got lost. May raise StoreUnavailable.

    One at a time has the say: a look that begins takes it from those that are under way, which then
    stop. Each begins with another slot, so that none is left out if time is always short.
    """

    def __init__(self, store: Store, waker: Waker) -> None:
        self._store = store
        self._waker = waker
        self._bulk = Bulk(store, waker)

    def lose(self, worker: str) -> None:
        """Take a worker off every slot's lists whose process has died. Its leases end by themselves."""
        for slot in self._store.slots():
            need = self._store.retire(slot, worker, 0, 0, Departure.LOST, forced=True)
            if need is not None:
                self._waker.answer(slot, need)

    def look(
        self,
        within_ms: int,
        *,
        goes_on: Callable[[], bool] = lambda: True,
        every_alarm: bool = False,
        afresh: bool = False,
    ) -> Report:
        """See to every slot, and set alarms for what is due within `within_ms`.

        goes_on: asked before each call to the store; False ends the look.
        every_alarm: set one also where one has been set, or a worker is awake: where alarms are cheap.
        afresh: whoever has started workers before is gone: count on none of those.
        """
        epoch = self._store.begin_turn()
        slots = self._store.slots()
        first = epoch % len(slots) if slots else 0
        started, complete, operating = 0, True, list[str]()
        found: list[Upkeep] = []
        for slot in (*slots[first:], *slots[:first]):
            try:
                upkeep = self._keep_up(slot, epoch, goes_on, found, afresh=afresh)
            except Superseded:
                upkeep = None
            except ScriptError as error:  # one queue's damage is not the others'
                _log.error("queue %s has no upkeep: %s", slot, error)
                complete = False
                continue
            if upkeep is None:
                complete = False
                break
            started += self._start(slot, upkeep, epoch)
            self._set_alarm(slot, upkeep, within_ms, every_alarm=every_alarm)
            operating += [slot] * (upkeep.operating > 0)

        left = self._operate(operating, goes_on)
        goes_on_later = bool(left) and self._has_the_say(left[0], epoch)
        if goes_on_later:
            self._waker.look()
        return Report(
            started,
            sum(upkeep.promoted for upkeep in found),
            sum(upkeep.reaped for upkeep in found),
            sum(upkeep.pruned for upkeep in found),
            complete,
            goes_on_later,
        )

    def _operate(self, slots: Sequence[str], goes_on: Callable[[], bool]) -> list[str]:
        """Go on with the bulk operations of these slots for a while; those where some are left."""
        local = self._store.clock.local
        ends_at = local() + OPERATE_S
        return [slot for slot in slots if not self._bulk.go_on(slot, lambda: local() < ends_at and goes_on())]

    def _has_the_say(self, slot: str, epoch: int) -> bool:
        """Whether no later look has been at this slot: of several, one alone asks for the next."""
        try:
            self._store.tick(slot, epoch)
        except Superseded:
            return False
        return True

    def _keep_up(
        self, slot: str, epoch: int, goes_on: Callable[[], bool], found: list[Upkeep], *, afresh: bool
    ) -> Upkeep | None:
        """Upkeep until there is none left; None when there is no time for it. Raises Superseded."""
        while goes_on():
            upkeep = self._store.tick(slot, epoch, afresh=afresh)
            found.append(upkeep)
            if max(upkeep.promoted, upkeep.reaped, upkeep.pruned) < _FULL:
                return upkeep
        return None

    def _start(self, slot: str, upkeep: Upkeep, epoch: int) -> int:
        decision = decide(upkeep.seen, self._store.limits(slot))
        if not decision.start:
            return 0
        try:
            count = self._store.note_starts(slot, decision.reason, decision.start, epoch)
        except Superseded:
            return 0
        self._waker.answer(slot, Need(workers=count))
        return count

    def _set_alarm(self, slot: str, upkeep: Upkeep, within_ms: int, *, every_alarm: bool) -> None:
        if upkeep.seen.ready and upkeep.seen.starting:
            # Whoever was to start them may have died: then this is known when they count no more.
            self._waker.answer(slot, Need(alarm_ms=self._store.now_ms() + START_MS + 1))
        due_ms = upkeep.next_due_ms if every_alarm else upkeep.alarm_ms
        if due_ms > 0 and due_ms - self._store.now_ms() <= within_ms:
            self._waker.answer(slot, Need(alarm_ms=due_ms))
