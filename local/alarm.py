"""The alarm clock of one machine: calls back when something is due while no worker is awake."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from math import ceil
from typing import Final

_STEP_SECONDS: Final = 0.005
"""It rings once for all alarms of a step, at its end, so that nothing is too early."""

_MOST: Final = 1000
"""Alarms that are kept. Beyond that the latest are let go: the tick sets them again in time."""


class AlarmClock:
    """Any number of alarms; each calls `ring` at its time. Use it on the event loop.

    There is no taking back: a late or needless ring finds nothing to do.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._steps: list[int] = []
        """When to ring, ascending, in steps of the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def set(self, delay_ms: int) -> None:
        """Ring that many milliseconds from now; at once for none."""
        if self._stopped:
            return
        now = asyncio.get_running_loop().time()
        step = ceil((now + max(0, delay_ms) / 1000) / _STEP_SECONDS)
        place = bisect_left(self._steps, step)
        if place < len(self._steps) and self._steps[place] == step:
            return
        self._steps.insert(place, step)
        del self._steps[_MOST:]
        if place == 0:
            self._wind()

    def stop(self) -> None:
        """Ring no more."""
        self._stopped = True
        self._steps.clear()
        self._wind()

    def __len__(self) -> int:
        """Alarms that are set."""
        return len(self._steps)

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._steps:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._steps[0] * _STEP_SECONDS, self._go_off)

    def _go_off(self) -> None:
        now = asyncio.get_running_loop().time()
        # The loop may call a timer early, by its clock's resolution; the first is meant in any case.
        passed = max(1, bisect_left(self._steps, now / _STEP_SECONDS))
        del self._steps[:passed]
        self._wind()
        self._ring()
