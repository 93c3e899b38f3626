"""How long a worker's process has lived: what somebody pays for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import ClassVar


class Lifetime:
    """Measures from its making; the first of a process also from the process's start, imports included.

    A process that serves one invocation after another is frozen between them, and that costs nothing.
    """

    _is_first: ClassVar = True

    def __init__(self, local: Callable[[], float]) -> None:
        """local: the boot-time clock, in seconds."""
        self._local = local
        self.began_at = local()
        self._reported_until = self.began_at - (_process_age_s() if Lifetime._is_first else 0.0)
        Lifetime._is_first = False

    def unreported_ms(self) -> int:
        """What has passed since this was last asked, in whole milliseconds."""
        lived_ms = int((self._local() - self._reported_until) * 1000)
        self._reported_until += lived_ms / 1000
        return lived_ms


def _process_age_s() -> float:
    """Seconds since this process was started; where the system does not tell, those it has computed."""
    try:
        with open("/proc/self/stat") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, ValueError):
        return time.process_time()
