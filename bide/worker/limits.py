"""Ends attempts that are active for too long, with one timer for them all."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

_NEVER: Final = float("inf")


class Limited(Protocol):
    """What has a limit."""

    def time_out(self) -> None:
        """Its time is up."""


class Limits:
    """When each active attempt has to end, in seconds on the loop's clock."""

    def __init__(self) -> None:
        self._ends: dict[Limited, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = _NEVER

    def add(self, limited: Limited, end: float) -> None:
        """Time it out then, unless it is discarded before."""
        self._ends[limited] = end
        if end < self._next:
            self._arm(end)

    def discard(self, limited: Limited) -> None:
        self._ends.pop(limited, None)

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = at
        self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer, self._next = None, _NEVER
        for limited in [limited for limited, end in self._ends.items() if end <= now]:
            del self._ends[limited]
            limited.time_out()
        if self._ends:
            self._arm(min(self._ends.values()))
