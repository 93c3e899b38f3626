"""Waking: how workers come to be where none is.

Whoever makes work (a submission, an event, a due time) is told by the store's script
what it takes. Every wake and every alarm is a hint: one too many finds nothing to do,
and one that got lost is made up for by the tick.
"""

from __future__ import annotations

from typing import Final, Protocol

from bide.replies import Need
from bide.store import Store


class Wake(Protocol):
    """Starts workers, wherever they run. Neither method waits for them, nor raises."""

    @property
    def farthest_ms(self) -> int:
        """How far ahead an alarm can be set; farther ones are left to the tick. -1 for not at all."""

    def start(self, count: int) -> None:
        """Start up to `count` workers now."""

    def alarm(self, delay_ms: int) -> None:
        """Start a worker that many milliseconds from now, unless one is awake then."""

    def look(self) -> None:
        """Have the upkeep look once more at once, where it would not do so for a long time by itself."""


class NoWake:
    """For where workers are kept running by somebody else."""

    farthest_ms: Final = -1

    def start(self, count: int) -> None:
        pass

    def alarm(self, delay_ms: int) -> None:
        pass

    def look(self) -> None:
        pass


class Waker:
    """Answers needs."""

    def __init__(self, store: Store, wake: Wake) -> None:
        self._store = store
        self._wake = wake

    def answer(self, slot: str, need: Need) -> None:
        """Start workers and set alarms as needed. May raise StoreUnavailable, after both."""
        if need.workers:
            self._wake.start(need.workers)
        if need.alarm_ms:
            delay_ms = max(0, need.alarm_ms - self._store.now_ms())
            if delay_ms <= self._wake.farthest_ms:
                self._wake.alarm(delay_ms)
                # Only now: an alarm that is recorded and was never set would be waited for in vain.
                self._store.arm(slot, need.alarm_ms)

    def look(self) -> None:
        """Have somebody go on with what has been begun."""
        self._wake.look()
