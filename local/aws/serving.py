"""How moto is served: a thread for each connection, behind the gate of this run's access key."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from local.signing import Forbidden, Gate

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]
"""A WSGI application."""

_HEADERS: Final = "bide.headers"
"""The request's headers as they came; WSGI has some of them folded into one."""

_MOST_BYTES: Final = 70_000_000
"""Largest body: a zip of 50 MB in base64."""


class Guarded:
    """A WSGI application that has `app_of(service)` answer what the gate lets in, and 403 for the rest."""

    def __init__(self, gate: Gate, app_of: Callable[[str], App]) -> None:
        self._gate = gate
        self._app_of = app_of

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        try:
            body = _body(environ)
            scope = self._gate.admit(
                environ["REQUEST_METHOD"], environ["REQUEST_URI"], environ[_HEADERS], body
            )
        except Forbidden as refusal:
            return refuse(start_response, str(refusal))
        environ["wsgi.input"] = io.BytesIO(body)
        return self._app_of(scope.service)(environ, start_response)


def _body(environ: Environ) -> bytes:
    """Read to its end, as the connection may be used again. Raises Forbidden."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if "HTTP_TRANSFER_ENCODING" in environ or not length.isdecimal() or int(length) > _MOST_BYTES:
        raise Forbidden(f"A body is at most {_MOST_BYTES} bytes, and says by Content-Length how long it is.")
    body: bytes = environ["wsgi.input"].read(int(length))
    return body


def refuse(start_response: Any, why: str) -> Iterable[bytes]:
    """Answer 403, and close the connection: what else is on it is not looked at."""
    answer = msgspec.json.encode({"__type": "AccessDeniedException", "message": why})
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(answer))),
        ("x-amzn-ErrorType", "AccessDeniedException"),
        ("Connection", "close"),
    ]
    start_response("403 Forbidden", headers)
    return [answer]


class _Handler(MotoRequestHandler):
    """Keeps connections open, as AWS does, and says nothing of each request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart

    def make_environ(self) -> Environ:
        environ: Environ = super().make_environ()
        return {**environ, _HEADERS: self.headers.items(), "REQUEST_URI": self.path}

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def serve(listener: socket.socket, app: App, ready: Callable[[], None]) -> None:
    """Answer for ever; `ready` is called when requests are taken."""
    host, port = listener.getsockname()
    server = make_server(host, port, app, threaded=True, request_handler=_Handler, fd=listener.fileno())
    ready()
    server.serve_forever()
