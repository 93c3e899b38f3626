"""What a cloud was asked and what it has: calls and instances, as it shows them in JSON."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec


class Call(msgspec.Struct, frozen=True):
    """One API call. `at` and `took` in seconds, `at` of the cloud's monotonic clock."""

    action: str
    ids: tuple[str, ...]
    """The instances that it names."""
    at: float
    took: float
    status: int
    """Of the HTTP answer."""


class Known(msgspec.Struct, frozen=True):
    """What the cloud knows of an instance."""

    state: str
    address: str | None
    token: str | None
    """The ClientToken that it was started with."""
    reason: str
    """Why it is in its state; empty unless it failed."""


class CallLog:
    """All calls so far. Thread-safe."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, action: str, ids: Sequence[str], begun: float, status: int) -> None:
        """Note a call that began at `begun` and has just been answered."""
        with self._lock:
            self._calls.append(Call(action, tuple(ids), begun, time.monotonic() - begun, status))

    def all(self) -> list[Call]:
        """The calls in the order of their answers."""
        with self._lock:
            return list(self._calls)
