"""The Runtime API of one execution environment: what its runtime client talks to.

Each environment has a port of its own. So a client that was killed takes its pending
`next` with it, instead of leaving it for the following one to answer. Events carry what callers
sent, their keys included: so the port answers the environment's own process alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

from local.ports import LOOPBACK

_BASE: Final = "/2018-06-01/runtime"
_NEXT: Final = f"{_BASE}/invocation/next"
_INIT_ERROR: Final = f"{_BASE}/init/error"
_INVOCATION: Final = f"{_BASE}/invocation/"

REQUEST_ID: Final = "Lambda-Runtime-Aws-Request-Id"
"""The header of an invocation that its answer has to name."""

_ACCEPTED: Final = b'{"status":"OK"}'
_TOO_LARGE: Final = (
    b'{"errorMessage":"Exceeded maximum allowed payload size","errorType":"RequestEntityTooLarge"}'
)
_NOT_FOUND: Final = b'{"errorType":"NotFound"}'
_STRANGER: Final = (
    b'{"errorMessage":"Only the process of this execution environment is answered","errorType":"Forbidden"}'
)
_NOT_NOW: Final = b'{"errorMessage":"State transition is not allowed","errorType":"InvalidStateTransition"}'
_NO_SUCH_ID: Final = b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}'
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

Address = tuple[str, int]


@dataclass(frozen=True)
class Answer:
    """What the runtime has said about an invocation, or about its failed start, in JSON."""

    payload: bytes
    failed: bool
    too_large: bool = False


@dataclass
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class RuntimeApi:
    """One listening port, one runtime client.

    `admits` says of each connection, by the addresses of its peer and its own, whether it is the
    client's. `on_next` is called when the client asks for work, `on_answer` with the request id when it
    has answered, and with an empty one when it could not start.
    """

    def __init__(
        self,
        admits: Callable[[Address, Address], bool],
        on_next: Callable[[], None],
        on_answer: Callable[[str, Answer], None],
        max_answer_bytes: int,
    ) -> None:
        self.admits = admits
        self._on_next = on_next
        self._on_answer = on_answer
        self._max_answer_bytes = max_answer_bytes
        self._started = False
        """The client has asked for work."""
        self._request_id = ""
        """Of the invocation that it has not answered yet."""
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._waiting: _Connection | None = None
        self.address = ""

    async def listen(self) -> None:
        """Open the port; `address` is its host and number."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), LOOPBACK, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        self.address = f"{LOOPBACK}:{port}"

    def deliver(self, headers: dict[str, str], event: bytes) -> None:
        """Give the waiting client its next invocation; one that has just died gets nothing."""
        connection, self._waiting = self._waiting, None
        self._request_id = headers[REQUEST_ID]
        if connection is not None:
            connection.send(200, event, headers)

    def close(self) -> None:
        """Close the port and every connection to it."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort()

    def joined(self, connection: _Connection) -> None:
        self._connections.add(connection)

    def left(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if connection is self._waiting:
            self._waiting = None

    def ask(self, connection: _Connection, request: _Request) -> None:
        """One request of the client."""
        if request.method == "GET" and request.path == _NEXT:
            self._next(connection)
        elif request.method == "POST" and request.path == _INIT_ERROR:
            self._not_started(connection, request)
        elif request.method == "POST" and request.path.startswith(_INVOCATION):
            self._answered(connection, request)
        else:
            connection.send(404, _NOT_FOUND)

    def _next(self, connection: _Connection) -> None:
        if self._waiting is not None:
            connection.send(403, _NOT_NOW)
            return
        self._waiting, self._started = connection, True
        self._on_next()

    def _not_started(self, connection: _Connection, request: _Request) -> None:
        if self._started:
            connection.send(403, _NOT_NOW)
            return
        connection.send(202, _ACCEPTED)
        self._on_answer("", Answer(request.body, failed=True))

    def _answered(self, connection: _Connection, request: _Request) -> None:
        request_id, _, kind = request.path.removeprefix(_INVOCATION).partition("/")
        if kind not in ("response", "error"):
            connection.send(404, _NOT_FOUND)
            return
        if not request_id or request_id != self._request_id:
            connection.send(400, _NO_SUCH_ID)
            return
        self._request_id = ""
        if len(request.body) > self._max_answer_bytes:
            connection.send(413, _TOO_LARGE)
            self._on_answer(request_id, Answer(b"", failed=True, too_large=True))
        else:
            connection.send(202, _ACCEPTED)
            self._on_answer(request_id, Answer(request.body, failed=kind == "error"))


@dataclass(eq=False)
class _Connection(asyncio.Protocol):
    """HTTP/1.1, as far as runtime clients speak it. Each reply is one write; two would cost 40 ms."""

    api: RuntimeApi
    _headers: dict[str, str] = field(default_factory=dict)
    _body: bytearray = field(default_factory=bytearray)
    _url: bytes = b""
    _is_stranger: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer, local = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        self._is_stranger = not (peer and local and self.api.admits(peer, local))
        self._parser = httptools.HttpRequestParser(self)
        self.api.joined(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.api.left(self)

    def data_received(self, data: bytes) -> None:
        if self._is_stranger:
            self.send(403, _STRANGER)
            self._transport.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", {}, bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("ascii")
        self.api.ask(self, _Request(method, self._url.decode("ascii"), self._headers, bytes(self._body)))

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def abort(self) -> None:
        self._transport.abort()


_REASONS: Final = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
}
