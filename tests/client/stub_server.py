"""A real HTTP server on a free loopback port that plays scripted replies and keeps what it was asked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What to answer. `raw` replaces the JSON body; `fault` breaks the answer on purpose."""

    status: int = 200
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    fault: str = ""
    """`drop`: hang up without an answer; `truncate`: half the body; `hang up after`: answer, then close."""
    until: threading.Event | None = None
    """Answer only when this is set."""

    def body(self) -> bytes:
        """The bytes to send."""
        if self.raw is not None:
            return self.raw
        return b"" if self.json is None else json.dumps(self.json).encode()


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; `connection` tells connections apart, `at` is time.monotonic()."""

    method: str
    path: str
    headers: Message
    body: bytes
    connection: int
    at: float

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class StubServer:
    """Serves while its `with` block lasts. A request beyond the script gets `otherwise`, or a 500."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.otherwise: Callable[[Asked], Reply] | None = None
        self._script: deque[Reply] = deque()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> StubServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port the system chose."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where to reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def unplayed(self) -> list[Reply]:
        """What nobody asked for."""
        return list(self._script)

    def plays(self, *replies: Reply) -> None:
        """Append to the script."""
        self._script.extend(replies)

    def next_reply(self, asked: Asked) -> Reply:
        """Record the request and choose its reply."""
        self.asked.append(asked)
        if self._script:
            return self._script.popleft()
        if self.otherwise is not None:
            return self.otherwise(asked)
        return Reply(500, {"title": "Out of script", "detail": "the script has run out", "code": "STUB"})


class _Server(ThreadingHTTPServer):
    """Keeps its open connections, so that ending it ends them, as the end of a process would."""

    allow_reuse_address = True

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def _handler(stub: StubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(
                self.command,
                self.path,
                self.headers,
                self.rfile.read(length),
                self.client_address[1],
                time.monotonic(),
            )
            self._send(stub.next_reply(asked))

        do_GET = do_POST = do_DELETE = _answer

        def _send(self, reply: Reply) -> None:
            if reply.until is not None:
                reply.until.wait(10)
            if reply.fault == "drop":
                self.close_connection = True
                return
            body = reply.body()
            kind = "application/json" if reply.status < 400 else "application/problem+json"
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), **reply.headers}
            self.send_response(reply.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if reply.fault == "truncate" else body)
            self.wfile.flush()
            self.close_connection = self.close_connection or bool(reply.fault)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    return Handler
