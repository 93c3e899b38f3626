"""The store's time, sampled. The only place in Bide that knows "now".

Every decision about time is taken by the store's clock, so that a worker with a
wrong clock can neither take another's lease nor start a task early. A sample is
the store's TIME together with the local boot-time clock at the moment the reply
arrived; later readings add the local time that has passed since. As the store
read its clock before we read ours, a reading never runs ahead of the store:
an error can make us late, never early.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

EXPIRY_S: Final = 30.0
"""Age from which a sample is worthless, and the next call asks again: clocks drift, machines sleep."""
SLOW_S: Final = 1.0
"""A reply that took longer than this is no sample: the process may have been frozen."""

_MOST_LAG: Final = 4
"""Of a lease, which lasts that many times as long as the reading may lag."""


def boot_time() -> float:
    """Seconds on a clock that goes on while the machine is suspended, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Clock:
    """The store's Unix time in milliseconds, from samples. Thread-safe: one tuple is swapped."""

    def __init__(self, local: Callable[[], float] = boot_time) -> None:
        self.local = local
        self._sample: tuple[int, float, float] | None = None

    def record(self, reply: tuple[int, int], sent: float) -> None:
        """Take a sample: the store's TIME reply (seconds, microseconds), asked at local time `sent`."""
        received = self.local()
        if received - sent <= SLOW_S:
            self._sample = (reply[0] * 1000 + reply[1] // 1000, received, received - sent)

    @property
    def lag_s(self) -> float:
        """How many seconds at most a reading is behind the store; infinite without a sample."""
        sample = self._sample
        return sample[2] if sample else float("inf")

    def suits(self, lease_ms: float) -> bool:
        """Whether there is a sample that is young enough, and good enough for leases of that length.

        Each ends earlier, by as much as the reading lags, than whoever takes it may think: one that is
        shorter than that seems to have run out on its way here.
        """
        return self.now_ms() is not None and self.lag_s * 1000 <= lease_ms / _MOST_LAG

    def estimate_ms(self) -> int:
        """The store's time from the last sample, however old; 0 before the first.

        Good enough for when a wait ends, which may be late by what clocks drift; not for taking a
        lease from somebody.
        """
        sample = self._sample
        return sample[0] + int((self.local() - sample[1]) * 1000) if sample else 0

    def now_ms(self) -> int | None:
        """The store's time, or None when there is no sample young enough to tell."""
        sample = self._sample
        if sample is None:
            return None
        passed = self.local() - sample[1]
        return sample[0] + int(passed * 1000) if 0 <= passed <= EXPIRY_S else None
