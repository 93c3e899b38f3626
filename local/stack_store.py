"""The store of a stack: an embedded one that is started again when it dies, or one that was there before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from bide.connection import connect
from bide.duty import Duties
from bide.errors import StoreError
from bide.settings import Settings
from local.earlier_workers import lose_all
from local.store import EmbeddedStore, StoreFailed

_STOP_SECONDS: Final = 1.0

_PAUSES: Final = (0.0, 0.2, 1.0, 5.0)
"""Seconds before the store is started again, by how often that failed in a row."""


class StackStore:
    """Start it on the main thread, and stop it on the same event loop."""

    def __init__(self, redis_url: str, directory: Path, say: Callable[[str], None]) -> None:
        """redis_url: where one runs; empty for an embedded one, whose data is in `directory`."""
        self._redis_url = redis_url
        self._embedded = None if redis_url else EmbeddedStore(directory)
        self._say = say
        self._duties = Duties()

    async def start(self, settings: Settings) -> str:
        """Returns its URL when it answers. Raises StoreFailed.

        settings: of the stack. Workers of an earlier one are counted on no longer in an embedded store.
        """
        if self._embedded is None:
            await asyncio.to_thread(_reach, self._redis_url)
            return self._redis_url
        redis_url = self._embedded.start()
        await asyncio.to_thread(lose_all, settings, redis_url)
        self._duties.begin("the watch over the store", partial(self._keep, self._embedded))
        return redis_url

    async def stop(self) -> None:
        """End an embedded one; its data stays."""
        await self._duties.end()
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.stop, _STOP_SECONDS)

    def kill(self) -> None:
        """End an embedded one at once; what it has written is kept."""
        if self._embedded is not None:
            self._embedded.kill()

    async def _keep(self, store: EmbeddedStore) -> None:
        failures, said = 0, ""
        while True:
            code = await asyncio.to_thread(store.wait)
            if not failures:
                self._say(f"store {store.pid} ended with code {code}; starting it again")
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            try:
                store.spawn()
                await asyncio.to_thread(store.wait_ready)
                self._say(f"store {store.pid} started, with its data")
                failures, said = 0, ""
            except StoreFailed as error:
                if str(error) != said:  # once, not at each try
                    said = str(error)
                    self._say(f"{said}; it is tried again")
                failures += 1


def _reach(redis_url: str) -> None:
    """Raise StoreFailed when nothing useful answers there: better said now than by each part."""
    client = connect(redis_url)
    try:
        client.execute_command("PING")
    except StoreError as error:
        raise StoreFailed(f"The store at BIDE_REDIS_URL does not answer: {error}") from error
    finally:
        client.close()
