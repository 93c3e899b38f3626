"""A worker's places: for tasks at work, and one for a task that must be alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Room:
    """Counts places. Tasks that wait have given theirs up, and take one again before they go on."""

    def __init__(
        self, places: int, on_room: Callable[[], object], on_isolation: Callable[[], object]
    ) -> None:
        """on_room, on_isolation: called when a place, or that for an isolated task, has become free."""
        self._free = places
        self._on_room = on_room
        self._on_isolation = on_isolation
        self._isolated = False
        self._returning: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        """Places that nobody has or waits for."""
        return self._free

    def reserve(self, wanted: int) -> int:
        """Set aside up to `wanted` places; returns how many there are."""
        granted = min(wanted, self._free)
        self._free -= granted
        return granted

    def release(self, count: int) -> None:
        """Give places back: first to those whose wait is over."""
        while count and self._returning:
            turn = self._returning.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1
        self._free += count
        if count:
            self._on_room()

    async def take(self) -> None:
        """One place, as soon as there is one."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(1)
            raise

    def reserve_isolation(self) -> bool:
        """Set aside the one place for an isolated task; False when it is taken."""
        granted = not self._isolated
        self._isolated = True
        return granted

    def release_isolation(self) -> None:
        """Give that place back."""
        self._isolated = False
        self._on_isolation()
