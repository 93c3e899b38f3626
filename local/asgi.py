"""The ASGI application of every HTTP face here: reads a request whole, has it answered, sends the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from local.proxy_event import MAX_BODY_BYTES, Answer, Headers

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Answering = Callable[[str, str, str, Headers, bytes, str], Awaitable[Answer]]
"""Method, path and query percent-encoded, headers, body and address of a request -> its answer."""

LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 32 * 1024 * 1024
"""How much, in time and size, of a refused request is read and thrown away.

Closing a connection while the client still sends resets it, and the client may then
never see the answer.
"""

_SAFETY: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))

_WITHOUT_BODY: Final = (204, 304)


class _BodyRefused(Exception):
    """The body is too large."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class _ClientGone(Exception):
    """The client left before its request was complete."""


class Application:
    """An ASGI application over `answering`; `too_large` answers bodies over `max_body_bytes`."""

    def __init__(
        self,
        answering: Answering,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        too_large: Answer | None = None,
    ) -> None:
        self.draining = False
        """Ask clients to close their connection after the next answer."""
        self._answering = answering
        self._max_body_bytes = max_body_bytes
        self._too_large = too_large or problem(
            413, "TOO_LARGE", f"The body is larger than {max_body_bytes} bytes."
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            body = await self._read_body(scope["headers"], receive)
        except _ClientGone:
            return
        except _BodyRefused as refusal:
            await _refuse(refusal.answer, receive, send)
            return
        answer = await self._answering(
            scope["method"],
            scope["raw_path"].decode("ascii"),
            scope["query_string"].decode("ascii"),
            headers,
            body,
            scope["client"][0] if scope["client"] else "",
        )
        await _send(answer, send, close=self.draining)

    async def _read_body(self, headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
        for name, value in headers:
            if name == b"content-length" and int(value) > self._max_body_bytes:
                raise _BodyRefused(self._too_large)
        message = await receive()
        if not message.get("more_body"):
            return _part(message)
        parts = bytearray(_part(message))
        while message.get("more_body"):
            if len(parts) > self._max_body_bytes:
                raise _BodyRefused(self._too_large)
            message = await receive()
            parts += _part(message)
        return bytes(parts)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise _ClientGone
    part: bytes = message.get("body", b"")
    return part


def always(answer: Answer) -> Answering:
    """Answer so whatever is asked."""

    async def answering(*_: object) -> Answer:
        return answer

    return answering


def problem(status: int, code: str, detail: str) -> Answer:
    """A problem (RFC 9457) that arises before a request reaches the app."""
    title = HTTPStatus(status).phrase
    body = msgspec.json.encode({"title": title, "status": status, "detail": detail, "code": code})
    return Answer(status, [("Content-Type", "application/problem+json"), *_SAFETY], body)


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
        async with asyncio.timeout(LINGER_SECONDS):
            more = True
            while more and left > 0:
                message = await receive()
                left -= len(_part(message))
                more = message.get("more_body", False)
    except (TimeoutError, _ClientGone):
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
