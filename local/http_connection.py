"""One client's connection: what it may send, and how long it may take, until a request is there.

uvicorn bounds how long an idle connection is kept, and nothing before that. Here a request
has to be there whole, its head small, its host clear; and connections that keep silent give
way to new ones.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Final, NamedTuple

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from local.admission import Admission
from local.asgi import LINGER_SECONDS, Application, always, problem
from local.proxy_event import Answer


class Bounds(NamedTuple):
    """What connections may do to one process."""

    request_seconds: float = 10.0
    """How long a request may take to arrive, its body included; and a new connection to send its first."""
    head_bytes: int = 64 * 1024
    """How long a request's line and headers may be together."""
    silent: int = 512
    """Connections that stay open without a request under way."""

    @classmethod
    def of_process(cls) -> Bounds:
        """Those of this process: half of its descriptors are for requests, and for all else."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        bounds = cls()
        return bounds._replace(silent=min(bounds.silent, descriptors // 2)) if descriptors > 0 else bounds


_LAST_LOOK_SECONDS: Final = 0.1
"""A loop that was held up runs its timers before it reads what came meanwhile; this long it reads."""

_MALFORMED: Final = problem(400, "INVALID_REQUEST", "The request is not valid HTTP/1.1.")
_NO_HOST: Final = problem(400, "INVALID_REQUEST", "A request has one Host header; this one has none.")
_HOSTS: Final = problem(400, "INVALID_REQUEST", "A request has one Host header; this one has several.")


class _Refused(Exception):
    """Ends the parser's run."""


class Silent:
    """The connections that have no request under way, the longest silent first; `most` of them stay open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[Connection, None] = {}

    def add(self, connection: Connection) -> None:
        self._held[connection] = None
        if len(self._held) > self._most:
            oldest = next(iter(self._held))
            del self._held[oldest]
            oldest.transport.abort()  # to close it would wait until its client has read the last answer

    def discard(self, connection: Connection) -> None:
        self._held.pop(connection, None)


class Connection(HttpToolsProtocol):
    """uvicorn's connection, within `bounds`; it is one of `silent` while it is the client's turn."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        bounds: Bounds,
        silent: Silent,
        admission: Admission | None,
    ) -> None:
        super().__init__(config, server_state, app_state={})
        self._admission = admission
        self._bounds = bounds
        self._silent = silent
        self._clock: asyncio.TimerHandle | None = None
        self._coming = False
        """A request has begun to arrive, and is not whole."""
        self._at_hand: RequestResponseCycle | None = None
        """That request, once its head is there."""
        self._head_bytes = 0
        self._unread_bytes = 0
        """What came since the parser last made something of it."""
        self._refusal = _MALFORMED
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent.add(self)
        if self._admission is not None and self.client is not None and self.server is not None:
            host, port = self.server
            refusal = self._admission(self.client, (host, port or 0))
            if refusal is not None:
                self.app = Application(always(refusal))
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._silent.discard(self)
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_refused:
            self._unread_bytes += len(data)
            super().data_received(data)
            self._bound_rest()

    def _bound_rest(self) -> None:
        """See to what has come and is no whole request."""
        if self._is_refused:
            return
        if self._unread_bytes > self._bounds.head_bytes:
            self._refuse(self._too_long())
        elif self._coming or self._is_idle():
            self._start_clock()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - these words are uvicorn's
        self._refuse(self._refusal)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._coming, self._at_hand, self._head_bytes = True, None, 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            self._refusal = _HOSTS if hosts else _NO_HOST
            raise _Refused
        super().on_headers_complete()
        self._at_hand = self.cycle

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._coming, self._at_hand, self._unread_bytes = False, None, 0
        self._stop_clock()
        super().on_message_complete()
        self._note_turn()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note_turn()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._note_turn()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._note_turn()

    def _note_turn(self) -> None:
        """Count as silent while it is the client's turn to send or to read."""
        if self._coming or self._is_idle() or self.flow.write_paused:
            if not self.transport.is_closing():
                self._silent.add(self)
        else:
            self._silent.discard(self)

    def _is_idle(self) -> bool:
        """Whether every request that came has been answered."""
        newest: RequestResponseCycle | None = self.cycle  # uvicorn's annotation leaves out the None
        return newest is None or newest.response_complete

    def _count(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > self._bounds.head_bytes:
            self._refusal = self._too_long()
            raise _Refused

    def _too_long(self) -> Answer:
        most = self._bounds.head_bytes
        return problem(431, "TOO_LARGE", f"A request's line and headers may have {most} bytes together.")

    def _start_clock(self) -> None:
        if self._clock is None:
            self._clock = self.loop.call_later(self._bounds.request_seconds, self._look_once_more)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _look_once_more(self) -> None:
        self._clock = self.loop.call_later(_LAST_LOOK_SECONDS, self._end_waiting)

    def _end_waiting(self) -> None:
        self._clock = None
        if self.flow.read_paused:  # it is the server that does not read on
            self._start_clock()
        elif self._coming:
            seconds = self._bounds.request_seconds
            self._refuse(problem(408, "INVALID_REQUEST", f"The request did not arrive within {seconds:g} s."))
        else:
            self.transport.close()

    def _refuse(self, answer: Answer) -> None:
        """Answer the request that is arriving, unless that would be taken for an earlier one's, and close."""
        self._is_refused = True
        self._stop_clock()
        arriving = self._at_hand
        is_next = self._is_idle() or (arriving is not None and not self.pipeline)
        if arriving is not None:
            is_next = is_next and not arriving.response_started
            arriving.disconnected = True  # who reads its body is told so
            arriving.message_event.set()
        if is_next:
            lines = [*answer.headers, ("Content-Length", str(len(answer.body))), ("Connection", "close")]
            head = "".join(f"{name}: {value}\r\n" for name, value in lines)
            self.transport.write(STATUS_LINE[answer.status] + head.encode("ascii") + b"\r\n" + answer.body)
            self.transport.write_eof()
            self._clock = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()
