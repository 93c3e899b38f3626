"""An API process: `python -m local.api --socket FD --line FD`.

Serves the Chalice app with uvicorn on a listening socket that it inherits, so that
processes come and go without a connection being refused.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket

import uvloop

from bide import forks, process_log
from bide.settings import Settings
from local.admission import Admission, admission
from local.asgi import Application
from local.blocking import Blocking
from local.gateway import Gateway
from local.http_server import Server
from local.line import DRAIN, SERVE, Line, Problems, Ready, Stopped, Tasks
from local.wake import LineWake


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        settings = Settings.from_environ(os.environ)
        process_log.set_up(settings)
        from app import app
        from chalice_app.services import PROVIDER, build

        PROVIDER.use(build(settings, wake=LineWake(line), log=process_log.transitions(settings)))
        registry = PROVIDER.get().registry
        line.report(Problems.of(registry.problems))
        line.report(Tasks.of(registry.definitions))
        application = Application(Blocking(Gateway(app), settings.api_concurrency).answer)
        admitted = admission(settings)
        listener = socket.socket(fileno=arguments.socket)
        forks.keep(listener)
    uvloop.run(_serve(application, admitted, listener, line))
    os._exit(0)  # without joining the threads of requests that still wait


async def _serve(
    application: Application, admitted: Admission | None, listener: socket.socket, line: Line
) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.Event()
    server = Server(application, on_ready=serving.set, admission=admitted)
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
