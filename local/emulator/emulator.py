"""The emulator: functions, the Lambda endpoint, API Gateway's face, and what invokes functions by itself."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from bide.duty import Duties, perform
from local import ports
from local.asgi import Application
from local.emulator.discovery import Account, Clients
from local.emulator.dispatcher import Deployed, Dispatcher
from local.emulator.figures import Figures
from local.emulator.function import Function, Rules
from local.emulator.queues import QueueSource
from local.emulator.rest_api import TOO_LONG, RestApi, RestApiFace
from local.emulator.schedules import ScheduleSource
from local.emulator.service import Service
from local.emulator.streams import StreamSource
from local.emulator.upstream import Upstream
from local.http_server import Server
from local.proxy_event import MAX_BODY_BYTES
from local.signing import AccessKey, Gate

_MAX_API_CALL_BYTES: Final = 70_000_000
"""Largest call of Lambda's API: a zip of 50 MB in base64."""

_END_S: Final = 5.0
"""How long servers may take to end: longer than they give the requests that they have."""

_THREADS: Final = 16
"""How many calls to the endpoint behind may be under way."""


class Source(Protocol):
    """Something that invokes functions by itself until it is cancelled, such as a schedule."""

    async def run(self) -> None: ...


class Emulator:
    """Owns everything of one account; start it and stop it on one event loop.

    No process that it has started outlives it: `stop` ends them, and the system kills them, frozen
    or not, when the thread that runs the event loop ends otherwise.
    """

    def __init__(
        self,
        *,
        upstream: str | None = None,
        key: AccessKey | None = None,
        variables: Mapping[str, str] | None = None,
        rules: Rules | None = None,
        directory: Path | None = None,
    ) -> None:
        """upstream: URL of the endpoint that knows the rest of Lambda's API.

        key: the access key that the Lambda endpoint and `upstream` answer to, and that functions get; a
        new one if not given.
        variables: what every function is told besides its own, such as other endpoints.
        directory: where packages are unpacked and logs kept, empty or missing; a temporary one, deleted
        at the end, if not given.
        """
        self.rules = rules or Rules()
        self.key = key or AccessKey.new()
        self._upstream = upstream
        self._variables = variables or {}
        self._temporary = directory is None
        self._directory = directory or Path(tempfile.mkdtemp(prefix="bide-lambda-"))
        self._dispatcher: Dispatcher | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="upstream")
        self._servers: dict[socket.socket, Server] = {}
        """By what they listen on."""
        self._serving: list[asyncio.Task[None]] = []
        self._stopping = False
        self._sources = Duties()
        self._loaded: dict[object, asyncio.Task[None]] = {}
        """The sources that `load` has set to work, by what it found."""
        self._faces: dict[str, tuple[RestApiFace, str]] = {}
        """API Gateway's faces and their URLs, by `<id of the API>/<stage>`."""
        self.url = ""
        """The Lambda endpoint, after `start`."""

    async def start(self, port: int = 0) -> None:
        """Open the Lambda endpoint, on a free port if none is given; functions can be deployed then."""
        listener = ports.listen(port)
        port = listener.getsockname()[1]
        self.url = f"http://{ports.LOOPBACK}:{port}"
        variables = {"AWS_ENDPOINT_URL_LAMBDA": self.url, **self._variables, **self.key.environ}
        self._dispatcher = Dispatcher(self._directory, self.rules, variables)
        upstream = Upstream(self._upstream, self.key, self._threads) if self._upstream else None
        service = Service(self._dispatcher, upstream, Gate(self.key, ("lambda",), port))
        await self._serve(listener, Application(service.answer, max_body_bytes=_MAX_API_CALL_BYTES))

    async def stop(self) -> None:
        """End everything, without waiting for what runs."""
        self._stopping = True
        await self._sources.end()
        if self._dispatcher is not None:
            await self._dispatcher.close()
        for listener, server in self._servers.items():
            server.stop()
            listener.close()
        if self._serving:
            _, hanging = await asyncio.wait(self._serving, timeout=_END_S)
            for serving in hanging:
                serving.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._temporary:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def __aenter__(self) -> Emulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def dispatcher(self) -> Dispatcher:
        """Invokes functions from inside, as event sources do."""
        assert self._dispatcher is not None, "the emulator has not been started"
        return self._dispatcher

    def deploy(self, functions: Iterable[Function]) -> None:
        """Deploy functions, or new versions of them."""
        for function in functions:
            self.dispatcher.put(function)

    async def serve_api(self, rest_api: RestApi, listener: socket.socket | None = None) -> str:
        """Open API Gateway's face for one stage; returns its URL, which ends with the stage.

        It is on a free port unless it gets a socket that listens. A stage that is served already keeps
        its URL and gets the new routes.
        """
        key = f"{rest_api.id}/{rest_api.stage}"
        if key in self._faces:
            face, url = self._faces[key]
            face.route(rest_api)
            return url
        listener = listener or ports.listen(0)
        url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}/{rest_api.stage}"
        face = RestApiFace(rest_api, self.dispatcher, self.rules.gateway_s)
        self._faces[key] = face, url
        await self._serve(
            listener, Application(face.answer, max_body_bytes=MAX_BODY_BYTES, too_large=TOO_LONG)
        )
        return url

    def run(self, source: Source) -> asyncio.Task[None]:
        """Let a source invoke functions until the emulator stops, or the returned task is cancelled."""
        return self._sources.begin(type(source).__name__, source.run)

    async def load(
        self, account: Account, clients: Clients, listener: socket.socket | None = None
    ) -> dict[str, str]:
        """Deploy what `discover` has found, and let its sources run; returns the URL of each API's stage.

        The keys are `<id of the API>/<stage>`; the first API is served on `listener` if given. Loading
        again deploys what is new, and ends the sources that are no longer there.
        """
        self.deploy(account.functions)
        for name, rules in account.async_rules.items():
            self.deployed(name).events.rules = rules
        for name in account.loops_allowed:
            self.deployed(name).recursion_allowed = True
        await self._run_sources(account, clients)
        urls = {}
        for api in account.rest_apis:
            urls[f"{api.id}/{api.stage}"] = await self.serve_api(api, listener)
            listener = None
        return urls

    async def _run_sources(self, account: Account, clients: Clients) -> None:
        found = {*account.schedules, *account.queues, *account.streams}
        for gone in self._loaded.keys() - found:
            self._loaded.pop(gone).cancel()
        for schedule in account.schedules:
            if schedule not in self._loaded:
                period_s = self.rules.schedule_period_s or schedule.period_s
                ticking = ScheduleSource(self.dispatcher.accept, replace(schedule, period_s=period_s))
                self._loaded[schedule] = self.run(ticking)
        for queue in account.queues:
            if queue not in self._loaded:
                polling = QueueSource(clients("sqs"), self.dispatcher.invoke, queue)
                self._loaded[queue] = self.run(polling)
        for stream in account.streams:
            if stream not in self._loaded:
                source = StreamSource(
                    clients("kinesis"), self.dispatcher.invoke, stream, self.rules.stream_poll_s
                )
                self._loaded[stream] = self.run(source)
                await source.reading.wait()

    def deployed(self, name: str) -> Deployed:
        """A function as it stands: its chaos, its rules, its log. Raises NoSuchFunction."""
        return self.dispatcher.find(name)

    def account(self, name: str) -> Figures:
        """A copy of the figures of one function. Raises NoSuchFunction."""
        return self.dispatcher.figures()[self.deployed(name).function.name]

    def figures(self) -> dict[str, Figures]:
        """A copy of the figures of all functions, by name."""
        return self.dispatcher.figures()

    async def _serve(self, listener: socket.socket, application: Application) -> None:
        ready = asyncio.Event()

        async def serve() -> None:
            if self._stopping:
                return
            server = self._servers[listener] = Server(application, on_ready=ready.set)
            try:
                await server.serve(sockets=[listener.dup()])  # a server closes what it is given
            finally:
                server.stop()

        name = f"serving port {listener.getsockname()[1]}"
        self._serving.append(asyncio.create_task(perform(name, serve)))
        await ready.wait()
