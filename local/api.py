"""An API process: `python -m local.api --socket FD --line FD`.

Serves the Chalice app with uvicorn on a listening socket that it inherits, so that
processes come and go without a connection being refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Generator
from typing import Final

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bide.settings import Settings
from local.acceptor import Acceptor
from local.asgi import Application
from local.gateway import Gateway
from local.line import DRAIN, SERVE, Line, Problems, Ready, Stopped
from local.wake import LineWake

_IDLE_SECONDS: Final = 75
"""How long an idle connection is kept; more than clients and proxies commonly do."""

_STOP_SECONDS: Final = 3
"""How long a stopping process works on the requests that it has."""

_DRAIN_SECONDS: Final = 30.0
"""How long a draining process works on the requests that it has; longer than any may wait."""

_DRAIN_IDLE_SECONDS: Final = 5.0
"""How long a draining process keeps an idle connection for the one answer that closes it."""

_SPARE_THREADS: Final = 16
"""Threads for requests that do not wait, beside those that `BIDE_WAIT_SLOTS` allows to."""


class Server(uvicorn.Server):
    """uvicorn on inherited sockets; stops by SIGTERM, or drains."""

    def __init__(self, application: Application, on_ready: Callable[[], None]) -> None:
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
        return HttpToolsProtocol(self.config, self.server_state, app_state={})

    def _open(self) -> int:
        return len(self.server_state.connections)

    def stop(self) -> None:
        """Accept no more, close idle connections, finish requests within `_STOP_SECONDS`, end."""
        self._stop_accepting()
        self.should_exit = True

    def drain(self) -> None:
        """Accept no more, answer once more on each open connection, then `stop`."""
        self._stop_accepting()
        self._application.draining = True
        self._drain = asyncio.create_task(self._stop_when_drained())

    async def _stop_when_drained(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while self.server_state.connections and loop.time() < begun + _DRAIN_SECONDS:
            if loop.time() > begun + _DRAIN_IDLE_SECONDS and not self.server_state.tasks:
                break
            await asyncio.sleep(0.05)
        self.stop()

    def _stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        settings = Settings.from_environ(os.environ)
        from app import app
        from chalice_app.services import PROVIDER, build

        PROVIDER.use(build(settings, wake=LineWake(line)))
        line.report(Problems.of(PROVIDER.get().registry.problems))
        application = Application(Gateway(app), settings.wait_slots + _SPARE_THREADS)
    uvloop.run(_serve(application, socket.socket(fileno=arguments.socket), line))
    os._exit(0)  # without joining the threads of requests that still wait


async def _serve(application: Application, listener: socket.socket, line: Line) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.Event()
    server = Server(application, on_ready=serving.set)
    permitted = asyncio.Event()

    def on_command(command: str) -> None:
        if command == SERVE:
            permitted.set()
        elif command == DRAIN and serving.is_set():
            server.drain()
            line.report(Stopped())
        elif command == DRAIN:
            os._exit(0)

    loop.add_signal_handler(signal.SIGTERM, lambda: server.stop() if serving.is_set() else os._exit(0))
    line.watch(lambda command: loop.call_soon_threadsafe(on_command, command))
    line.report(Ready())
    await permitted.wait()
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    main()
