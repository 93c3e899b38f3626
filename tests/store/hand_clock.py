"""A clock that stands still until a test moves it."""

from __future__ import annotations

from random import Random

from bide.clock import Clock

START_MS = 1_800_000_000_000


class HandClock(Clock):
    """The store's time, as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.ms = START_MS

    @property
    def told_ms(self) -> int:
        """What it told last."""
        return self.ms

    def now_ms(self) -> int:
        return self.ms

    @property
    def lag_s(self) -> float:
        return 0.0

    def pass_ms(self, ms: int) -> None:
        """Let time pass."""
        self.ms += ms


class ManyClocks(HandClock):
    """The readings of many processes: each lags behind the store's time by up to so many milliseconds."""

    def __init__(self, most_ms: int, random: Random) -> None:
        super().__init__()
        self._most_ms = most_ms
        self._random = random
        self._told_ms = self.ms

    @property
    def told_ms(self) -> int:
        return self._told_ms

    def now_ms(self) -> int:
        self._told_ms = self.ms - self._random.randint(0, self._most_ms)
        return self._told_ms
