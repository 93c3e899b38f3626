"""The whole of Bide on one machine: store, API processes, workers, tick, and their reload."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bide.connection import connect
from bide.errors import StoreError
from bide.settings import Settings
from local import ports
from local.children import Role, shown
from local.reload import forget_bytecode, watch, watched
from local.store import EmbeddedStore, StoreFailed
from local.supervisor import API, TICK, WORKER, Supervisor

_STORE_STOP_SECONDS: Final = 1.0

_GRACE_SECONDS: Final = 6.0
"""How long workers may go on with their tasks at most, of the ten seconds that Ctrl-C has."""

_STORE_PAUSES: Final = (0.0, 0.2, 1.0, 5.0)
"""Seconds before the store is started again, by how often that failed in a row."""


def _reach(redis_url: str) -> None:
    """Raise StoreFailed when nothing useful answers there: better said now than by each part."""
    client = connect(redis_url)
    try:
        client.execute_command("PING")
    except StoreError as error:
        raise StoreFailed(f"The store at BIDE_REDIS_URL does not answer: {error}") from error
    finally:
        client.close()


class Stack:
    """Everything behind one listening socket. The caller has claimed the `data` folder."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        listener: socket.socket,
        data: Path,
        say: Callable[[str], None],
    ) -> None:
        self.url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
        self._settings = settings
        self._environ = environ
        self._listener = listener
        self._store = None if settings.redis_url else EmbeddedStore(data / "store")
        self._say = say
        self._supervisor: Supervisor | None = None
        self._changed: set[Path] = set()
        self._change = asyncio.Event()
        self._duties: list[asyncio.Task[None]] = []

    async def start(self) -> bool:
        """Start everything; False when a part could not start: it is tried again. Raises StoreFailed."""
        redis_url = self._settings.redis_url
        if self._store is not None:
            redis_url = self._store.start()
            self._duties.append(asyncio.create_task(self._keep_store(self._store)))
        else:
            await asyncio.to_thread(_reach, redis_url)
        listener = self._listener.fileno()
        self._supervisor = Supervisor(
            [
                Role(WORKER),
                Role(TICK),
                Role(API, ("--socket", str(listener)), (listener,)),
            ],
            {WORKER: self._settings.workers_min, TICK: 1, API: self._settings.api_processes},
            {WORKER: self._settings.workers_max},
            {
                **self._environ,
                "BIDE_LOCAL": "1",
                "BIDE_REDIS_URL": redis_url,
                "BIDE_GRACE_SECONDS": f"{min(self._settings.grace_seconds, _GRACE_SECONDS):g}",
            },
            self._say,
        )
        paths = watched(self._settings.tasks)
        self._duties.append(asyncio.create_task(watch(paths, self._on_change)))
        complete = await self._supervisor.start()
        self._duties.append(asyncio.create_task(self._reload()))
        return complete

    async def stop(self) -> None:
        """Drain and end everything, within ten seconds."""
        for duty in self._duties:
            duty.cancel()
        if self._supervisor is not None:
            await self._supervisor.stop()
        if self._store is not None:
            await asyncio.to_thread(self._store.stop, _STORE_STOP_SECONDS)

    def kill(self) -> None:
        """End everything at once."""
        if self._supervisor is not None:
            self._supervisor.kill()
        if self._store is not None:
            self._store.kill()

    def _on_change(self, paths: list[Path]) -> None:
        self._changed.update(paths)
        self._change.set()

    async def _reload(self) -> None:
        assert self._supervisor is not None
        while True:
            await self._change.wait()
            self._change.clear()
            changed, self._changed = sorted(self._changed), set()
            forget_bytecode(changed)
            names = ", ".join(shown(path) for path in changed[:3]) + (", ..." if len(changed) > 3 else "")
            if await self._supervisor.reload():
                self._say(f"reloaded: {names}")
            else:
                self._say(f"not reloaded: {names}; what ran before goes on")

    async def _keep_store(self, store: EmbeddedStore) -> None:
        failures = 0
        while True:
            code = await asyncio.to_thread(store.wait)
            if not failures:
                self._say(f"store {store.pid} ended with code {code}; starting it again")
            await asyncio.sleep(_STORE_PAUSES[min(failures, len(_STORE_PAUSES) - 1)])
            store.spawn()
            try:
                await asyncio.to_thread(store.wait_ready)
                self._say(f"store {store.pid} started, with its data")
                failures = 0
            except StoreFailed as error:
                self._say(str(error))
                failures += 1
