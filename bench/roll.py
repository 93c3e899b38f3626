"""The roll of worker processes, called from outside: who lives, and from when to when.

Looks at this process's children forty times a second. A process is seen up to 25 ms after
its start, and missed up to 25 ms after its end, so that lifetimes are right on average.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

_PERIOD_SECONDS: Final = 0.025
_COMMAND: Final = ("-m", "local.worker")


class Roll:
    """Worker processes that are children of this one."""

    def __init__(self) -> None:
        self._spans: dict[int, list[float]] = {}
        """By pid: first and last seen, monotonic. A pid comes back only after thousands of others."""
        self._others: set[int] = set()
        self._alive: frozenset[int] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roll", daemon=True)
        self.most = 0
        """Most workers at a time."""

    @property
    def alive(self) -> int:
        """Workers that live now."""
        return len(self._alive)

    def oldest_s(self) -> float:
        """Seconds for which the oldest of those alive has lived; 0 when there is none."""
        return max((last - first for first, last in map(self._spans.__getitem__, self._alive)), default=0.0)

    @property
    def starts(self) -> int:
        return len(self._spans)

    def billed_s(self) -> float:
        """Wall time of all workers from start to exit, added up."""
        return sum(last - first for first, last in self._spans.values())

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(_PERIOD_SECONDS):
            children = own.children()
            now = time.monotonic()
            alive = frozenset(child.pid for child in children if self._works(child))
            for pid in alive | self._alive:
                self._spans.setdefault(pid, [now, now])[1] = now
            self._alive = alive
            self.most = max(self.most, len(alive))

    def _works(self, child: psutil.Process) -> bool:
        if child.pid in self._alive:
            return True
        if child.pid in self._others:
            return False
        try:
            command = tuple(child.cmdline()[1:3])
        except psutil.Error:
            return False
        if command[:1] == _COMMAND[:1] and command != _COMMAND:
            self._others.add(child.pid)
        return command == _COMMAND


@contextmanager
def roll() -> Iterator[Roll]:
    """Keep the roll during the body."""
    kept = Roll()
    kept.start()
    try:
        yield kept
    finally:
        kept.stop()
