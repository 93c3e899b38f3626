"""A worker's places: for tasks at work, and one for a task that must be alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Room:
    """Counts places. Tasks that wait have given theirs up, and take one again before they go on."""

    def __init__(self, places: int, on_room: Callable[[], object]) -> None:
        """on_room: called when a place has become free."""
        self.places = places
        self._free = places
        self._on_room = on_room
        self._returning: deque[Callable[[], bool]] = deque()

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
            if self._returning.popleft()():
                count -= 1
        self._free += count
        if count:
            self._on_room()

    def take(self, go_on: Callable[[], bool]) -> None:
        """Call this as soon as there is a place, which it takes; unless it returns False."""
        if self._free > 0:
            if go_on():
                self._free -= 1
        else:
            self._returning.append(go_on)


class Isolation:
    """The one place for a task that must not share its worker with another of its kind."""

    def __init__(self, on_free: Callable[[], object]) -> None:
        """on_free: called when it has become free."""
        self._on_free = on_free
        self._taken = False

    def reserve(self) -> bool:
        """Set it aside; False when it is taken."""
        granted = not self._taken
        self._taken = True
        return granted

    def release(self) -> None:
        """Give it back."""
        self._taken = False
        self._on_free()
