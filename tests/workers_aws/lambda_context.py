"""Lambda's context, as a function is given it: it knows how much time is left."""

from __future__ import annotations

import time


class LambdaContext:
    """An invocation that began when this was made."""

    def __init__(self, timeout_s: float = 900.0) -> None:
        self._ends_at = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._ends_at - time.monotonic()) * 1000))
