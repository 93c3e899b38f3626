"""What tasks cost: each active one an equal share of its worker's time. Pure."""

from __future__ import annotations

from collections.abc import Callable


class Meter:
    """A worker's meter. While n tasks are active, each is charged 1/n of the time.

    It adds up what one task that was always active would have been charged; any other is
    charged the growth of that sum while it was active itself. So each change costs the same,
    however many tasks there are.
    """

    __slots__ = ("_active", "_at", "_clock", "_share")

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds."""
        self._clock = clock
        self._at = clock()
        self._active = 0
        self._share = 0.0

    @property
    def active(self) -> int:
        """How many tasks are active."""
        return self._active

    def enter(self) -> float:
        """A task becomes active; returns the sum that `leave` wants."""
        self._advance()
        self._active += 1
        return self._share

    def leave(self, entered: float) -> float:
        """A task is no longer active; returns the seconds that it is charged."""
        self._advance()
        self._active -= 1
        return self._share - entered

    def _advance(self) -> None:
        now = self._clock()
        if self._active:
            self._share += (now - self._at) / self._active
        self._at = now
