"""The ASGI application that an API process runs: reads a request whole, asks the Gateway, answers.

A handler is a plain function and may block. Most do so for one round trip to the
store, which is cheaper on the event loop than in a thread (half the CPU time of the
request; docs/decisions/0002). Threads take requests that ask to wait, and all others
as long as the store is slow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from local.gateway import MAX_BODY_BYTES, Answer, Gateway

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SLOW_SECONDS: Final = 0.1
"""A request that took this long, without having asked to wait, sends the following ones to threads."""

_SLOW_FOR_SECONDS: Final = 5.0
"""How long they go there."""

_BODY_SECONDS: Final = 30.0
"""How long a client may take to send its body."""

_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 32 * 1024 * 1024
"""How much, in time and size, of a refused body is read and thrown away.

Closing a connection while the client still sends resets it, and the client may then
never see the answer.
"""

_WITHOUT_BODY: Final = (204, 304)


class _BodyRefused(Exception):
    """The body is too large, or too slow."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class _ClientGone(Exception):
    """The client left before its request was complete."""


class Application:
    """An ASGI application over one Gateway; `threads` is how many requests may block at once."""

    def __init__(self, gateway: Gateway, threads: int) -> None:
        self.draining = False
        """Ask clients to close their connection after the next answer."""
        self._gateway = gateway
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._slow_until = 0.0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            body = await _read_body(scope["headers"], receive)
        except _ClientGone:
            return
        except _BodyRefused as refusal:
            await _refuse(refusal.answer, receive, send)
            return
        answer = await self._answer(
            scope["method"],
            scope["raw_path"].decode("ascii"),
            scope["query_string"].decode("ascii"),
            headers,
            body,
            scope["client"][0] if scope["client"] else "",
        )
        await _send(answer, send, close=self.draining)

    async def _answer(
        self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, source_ip: str
    ) -> Answer:
        may_wait = any(name == "prefer" for name, _ in headers)

        def ask() -> Answer:
            started = time.monotonic()
            answer = self._gateway.answer(method, path, query, headers, body, source_ip)
            ended = time.monotonic()
            if ended - started > _SLOW_SECONDS and not may_wait:
                self._slow_until = ended + _SLOW_FOR_SECONDS
            return answer

        if may_wait or time.monotonic() < self._slow_until:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return ask()


async def _read_body(headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
    for name, value in headers:
        if name == b"content-length" and int(value) > MAX_BODY_BYTES:
            raise _BodyRefused(_problem(413, "Content Too Large", "TOO_LARGE", _TOO_LARGE))
    message = await receive()
    if not message.get("more_body"):
        return _part(message)
    parts = bytearray(_part(message))
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while message.get("more_body"):
                if len(parts) > MAX_BODY_BYTES:
                    raise _BodyRefused(_problem(413, "Content Too Large", "TOO_LARGE", _TOO_LARGE))
                message = await receive()
                parts += _part(message)
    except TimeoutError:
        raise _BodyRefused(_problem(408, "Request Timeout", "INVALID_REQUEST", _TOO_SLOW)) from None
    return bytes(parts)


_TOO_LARGE: Final = f"The body is larger than {MAX_BODY_BYTES} bytes."
_TOO_SLOW: Final = f"The body did not arrive within {_BODY_SECONDS:g} s."


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise _ClientGone
    part: bytes = message.get("body", b"")
    return part


def _problem(status: int, title: str, code: str, detail: str) -> Answer:
    body = msgspec.json.encode({"title": title, "status": status, "detail": detail, "code": code})
    return Answer(status, [("Content-Type", "application/problem+json")], body)


async def _send(answer: Answer, send: Send, *, close: bool, more: bool = False) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    body = b"" if answer.status in _WITHOUT_BODY else answer.body
    if answer.status not in _WITHOUT_BODY:
        headers = [header for header in headers if header[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode("ascii")))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _refuse(answer: Answer, receive: Receive, send: Send) -> None:
    """Answer before the body has come, and close the connection when the client has had its time."""
    await _send(answer, send, close=True, more=True)
    left = _LINGER_BYTES
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            more = True
            while more and left > 0:
                message = await receive()
                left -= len(_part(message))
                more = message.get("more_body", False)
    except (TimeoutError, _ClientGone):
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
