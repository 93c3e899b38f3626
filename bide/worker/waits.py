"""An attempt's branches: how many are at work, and what the others wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Final, Protocol

NO_CONTEXT: Final = Context()
"""For callbacks that need none: a copy of the current one for each would be half of a wait's memory."""


class Idler(Protocol):
    """Whoever wants to know when an attempt has nothing to do but wait."""

    def on_idle(self) -> None:
        """Every branch waits now. Called by the last one, before it does."""

    def readmit(self, go_on: Callable[[], bool]) -> None:
        """A wait is over that found every branch waiting: call `go_on` as soon as there is room.

        It returns False when the wait has ended otherwise meanwhile, and needs no room.
        """

    def on_busy(self) -> None:
        """A branch goes on, for whatever reason."""


class Wait(asyncio.Future[None]):
    """What one branch waits for: a time, an event, or whichever is first. Awaited once it has begun.

    A future itself, with functions for callbacks: of ten thousand waits, each object counts.
    """

    __slots__ = ("_timer", "_waits", "awaits", "due_at")

    def __init__(self, due_at: float | None, awaits: str = "") -> None:
        """due_at: in seconds on the loop's clock; None for no time. awaits: name of an event, or empty."""
        super().__init__(loop=asyncio.get_running_loop())
        self.due_at = due_at
        self.awaits = awaits
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, waits: Waits) -> None:
        """Let it end when it is due, and tell `waits` of its end, whatever that is."""
        self._waits = waits
        # Before the branch itself hears of it, so that it finds everything in order.
        self.add_done_callback(_end, context=NO_CONTEXT)
        if self.due_at is not None:
            self._timer = self.get_loop().call_at(self.due_at, waits.on_due, self, context=NO_CONTEXT)

    def go_on(self) -> bool:
        """Let the branch go on; False when it has long done so."""
        if self.done():
            return False
        self.set_result(None)
        return True

    def end(self) -> None:
        """It is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._waits.on_over(self)


def _end(wait: Wait) -> None:
    wait.end()


class Waits:
    """The branches of one attempt that wait, and the number of those that do not."""

    __slots__ = ("_active", "_admitted", "_due", "_idler", "_waits")

    def __init__(self, idler: Idler) -> None:
        self._idler = idler
        self._active = 1
        self._admitted = False
        """A branch is about to go on, though it does not know it yet."""
        self._due: tuple[Wait, ...] = ()
        """Waits that are over, and share the place that their branches need."""
        self._waits: tuple[Wait, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether every branch waits."""
        return self._active == 0

    @property
    def due_at(self) -> float | None:
        """When the first wait ends by itself, on the loop's clock; None if none does."""
        return min((wait.due_at for wait in self._waits if wait.due_at is not None), default=None)

    @property
    def awaits(self) -> tuple[str, ...]:
        """Names of the events that branches wait for."""
        return tuple(wait.awaits for wait in self._waits if wait.awaits)

    def fork(self, branches: int) -> None:
        """One branch makes place for so many of its own. It may be one that waited."""
        self._active += branches - 1
        if self._active == branches - 1 > 0:
            self._idler.on_busy()

    def end_branch(self) -> None:
        """A branch has ended, and its group goes on without it."""
        self._leave()

    def until(self, wait: Wait) -> Wait:
        """Await this, to wait until it is due: only the store tells a task, once parked, of an event."""
        wait.begin(self)
        self._waits = (*self._waits, wait)
        self._leave()
        return wait

    def on_due(self, wait: Wait) -> None:
        """A wait's time has come."""
        if self._admitted or not self.idle:
            wait.go_on()
            return
        self._due = (*self._due, wait)
        if len(self._due) == 1:
            self._idler.readmit(self._admit)

    def _admit(self) -> bool:
        due, self._due = self._due, ()
        going_on = [wait.go_on() for wait in due]
        self._admitted = any(going_on)
        return self._admitted

    def on_over(self, wait: Wait) -> None:
        """A wait has ended, whether it was due or cancelled."""
        self._waits = tuple(other for other in self._waits if other is not wait)
        self._admitted = False
        self._active += 1
        if self._active == 1:
            self._idler.on_busy()

    def _leave(self) -> None:
        self._active -= 1
        if self._active == 0:
            self._idler.on_idle()
