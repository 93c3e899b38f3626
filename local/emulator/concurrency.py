"""How many environments may run at once: of a function with a reservation, and of the account."""

from __future__ import annotations

from collections import Counter

from local.emulator.errors import Throttled


class Concurrency:
    """Functions without a reservation share what the reservations leave of `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._reserved: dict[str, int] = {}
        self._running: Counter[str] = Counter()

    def reserve(self, name: str, count: int | None) -> None:
        """Set a function's reservation; 0 throttles every invocation, None lets it share."""
        if count is None:
            self._reserved.pop(name, None)
        else:
            self._reserved[name] = count

    def reserved(self, name: str) -> int | None:
        """A function's reservation, None when it has none."""
        return self._reserved.get(name)

    def enter(self, name: str) -> None:
        """One more invocation of this function runs. Raises Throttled when it may not."""
        reserved = self._reserved.get(name)
        if reserved is not None:
            if self._running[name] >= reserved:
                raise Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        else:
            shared = sum(count for other, count in self._running.items() if other not in self._reserved)
            if shared >= self._limit - sum(self._reserved.values()):
                raise Throttled("ConcurrentInvocationLimitExceeded")
        self._running[name] += 1

    def leave(self, name: str) -> None:
        """One invocation less."""
        self._running[name] -= 1
