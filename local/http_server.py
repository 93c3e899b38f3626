"""The HTTP server: uvicorn on listening sockets that it is given."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Generator
from typing import Final

import uvicorn

from local.acceptor import Acceptor
from local.admission import Admission
from local.asgi import Application
from local.http_connection import Bounds, Connection, Silent

_IDLE_SECONDS: Final = 75
"""How long an idle connection is kept; more than clients and proxies commonly do."""

_STOP_SECONDS: Final = 3
"""How long a stopping process works on the requests that it has."""

_DRAIN_SECONDS: Final = 30.0
"""How long a draining process works on the requests that it has; longer than any may wait."""

_DRAIN_IDLE_SECONDS: Final = 5.0
"""How long a draining process keeps an idle connection for the one answer that closes it."""


class Server(uvicorn.Server):
    """uvicorn on inherited sockets; stops by SIGTERM, or drains."""

    def __init__(
        self,
        application: Application,
        on_ready: Callable[[], None],
        bounds: Bounds | None = None,
        admission: Admission | None = None,
    ) -> None:
        """bounds: those of the process by default. admission: who may connect; by default, all."""
        super().__init__(
            uvicorn.Config(
                application,
                http="httptools",
                ws="none",
                lifespan="off",
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        self._application = application
        self._on_ready = on_ready
        self._bounds = bounds or Bounds.of_process()
        self._silent = Silent(self._bounds.silent)
        self._admission = admission
        self._acceptors: list[Acceptor] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # _serve() handles them, on the event loop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections as `Acceptor` does, so that the processes share them evenly."""
        self.servers = []
        self._acceptors = [Acceptor(listener, self._protocol, self._open) for listener in sockets or ()]
        self.started = True
        self._on_ready()

    def _protocol(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state, self._bounds, self._silent, self._admission)

    def _open(self) -> int:
        return len(self.server_state.connections)

    def stop(self) -> None:
        """Accept no more, close idle connections, finish requests within `_STOP_SECONDS`, end."""
        self._stop_accepting()
        # What is cut then is meant to be: uvicorn would log a traceback for each.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self.should_exit = True

    def drain(self) -> None:
        """Accept no more, answer once more on each open connection, then `stop`."""
        self._stop_accepting()
        self._application.draining = True
        self._drain = asyncio.create_task(self._stop_when_drained())

    async def _stop_when_drained(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            while self.server_state.connections and loop.time() < begun + _DRAIN_SECONDS:
                if loop.time() > begun + _DRAIN_IDLE_SECONDS and not self.server_state.tasks:
                    break
                await asyncio.sleep(0.05)
        finally:
            self.stop()

    def _stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
