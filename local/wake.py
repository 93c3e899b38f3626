"""Waking on one machine: a word to the supervisor, which starts workers and has the alarm clock."""

from __future__ import annotations

from typing import Final

from local.line import Alarm, Line, Need


class LineWake:
    """`bide.wake.Wake` over the line of this process. Thread-safe."""

    farthest_ms: Final = 365 * 86_400_000

    def __init__(self, line: Line) -> None:
        self._line = line

    def start(self, count: int) -> None:
        """Ask for up to `count` workers."""
        self._line.report(Need(count))

    def alarm(self, delay_ms: int) -> None:
        """Ask for a worker that many milliseconds from now, unless one is awake then."""
        self._line.report(Alarm(delay_ms))

    def look(self) -> None:
        """The tick looks again within its second, and then without a pause while something is left."""
