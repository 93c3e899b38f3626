"""What a process does for as long as it runs. Each duty is watched, so that none ends unheard.

One that fails is logged with its traceback and begun again, after pauses that grow while it keeps failing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

_PAUSES_S: Final = (0.1, 0.5, 2.0, 10.0, 30.0)
"""Before a duty is begun again, by how often it has failed in a row."""

_SOUND_S: Final = 60.0
"""A duty that went on for so long has got over what it failed of before."""

_log = logging.getLogger(__name__)


class Failures:
    """Those of one duty."""

    def __init__(self, duty: str) -> None:
        """duty: what it is, for the log."""
        self._duty = duty
        self._in_a_row = 0
        self._told = ""
        self._begun_at = time.monotonic()

    def add(self, error: Exception) -> float:
        """Log one, unless the one before it was the same; returns the pause from now on, in seconds."""
        now = time.monotonic()
        if now - self._begun_at > _SOUND_S:
            self._in_a_row, self._told = 0, ""
        pause_s = _PAUSES_S[min(self._in_a_row, len(_PAUSES_S) - 1)]
        self._in_a_row += 1
        self._begun_at = now + pause_s
        if repr(error) != self._told:
            self._told = repr(error)
            _log.error("%s failed and is begun again in a moment", self._duty, exc_info=error)
        return pause_s


async def perform(name: str, duty: Callable[[], Awaitable[object]]) -> None:
    """Perform a duty until it returns, however often it has to be begun. `name`: what it is, for the log."""
    failures = Failures(name)
    while True:
        try:
            await duty()
            return
        except Exception as error:
            pause_s = failures.add(error)
        await asyncio.sleep(pause_s)


class Duties:
    """Those that an object has on its event loop, until it is told to end them."""

    def __init__(self) -> None:
        self._tasks = set[asyncio.Task[None]]()

    def begin(self, name: str, duty: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
        """Have a duty performed, until it returns or the task is cancelled."""
        task = asyncio.create_task(perform(name, duty), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self) -> None:
        """Cancel all of them; returns when they have ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
