"""A clock that stands still until a test moves it."""

from __future__ import annotations

from bide.clock import Clock

START_MS = 1_800_000_000_000


class HandClock(Clock):
    """The store's time, as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    @property
    def lag_s(self) -> float:
        return 0.0

    def pass_ms(self, ms: int) -> None:
        """Let time pass."""
        self.ms += ms
