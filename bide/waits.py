"""An attempt's branches: how many are at work, and what the others wait for."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol


class Idler(Protocol):
    """Whoever wants to know when an attempt has nothing to do but wait."""

    def on_idle(self) -> None:
        """Every branch waits now. Called by the last one, before it does."""

    async def readmit(self) -> None:
        """Returns when a branch may go on; called after a wait that found every branch waiting."""

    def on_busy(self) -> None:
        """A branch goes on, for whatever reason."""


class Wait:
    """What one branch waits for: a time, an event, or whichever is first."""

    __slots__ = ("awaits", "due_at", "over")

    def __init__(self, due_at: float | None, awaits: str = "") -> None:
        """due_at: in seconds on the loop's clock; None for no time. awaits: name of an event, or empty."""
        self.due_at = due_at
        self.awaits = awaits
        self.over: asyncio.Future[None] | None = None


class Waits:
    """The branches of one attempt that wait, and the number of those that do not."""

    __slots__ = ("_active", "_idler", "_waits")

    def __init__(self, idler: Idler) -> None:
        self._idler = idler
        self._active = 1
        self._waits: list[Wait] = []

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

    async def until(self, wait: Wait) -> None:
        """Wait, until it is due: only the store can say that an event has come, to a parked task."""
        loop = asyncio.get_running_loop()
        wait.over = loop.create_future()
        timer = None
        if wait.due_at is not None:
            timer = loop.call_at(wait.due_at, _set, wait.over)
        self._waits.append(wait)
        self._leave()
        try:
            await wait.over
            if self.idle:
                await self._idler.readmit()
        finally:
            if timer is not None:
                timer.cancel()
            self._waits.remove(wait)
            self._active += 1
            if self._active == 1:
                self._idler.on_busy()

    def _leave(self) -> None:
        self._active -= 1
        if self._active == 0:
            self._idler.on_idle()


def _set(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)
