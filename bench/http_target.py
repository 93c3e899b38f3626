"""What `bench.http_servers` has each server serve: a Chalice app whose handler asks the store once.

The store's URL comes from BENCH_STORE.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from chalice.app import Chalice, Response

from bench.http_servers import THREADS
from bide.connection import connect
from local.asgi import Application
from local.blocking import Blocking
from local.gateway import Gateway

_SCRIPT: Final = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return redis.call('HLEN', KEYS[1])"

_BODY: Final = b'{"id":"default~06h0konldm1oqn3ec520iho598","name":"echo","queue":"default","state":"ready"}'

_store = connect(os.environ["BENCH_STORE"])
_script = _store.execute_command("SCRIPT", "LOAD", _SCRIPT)
_app = Chalice("bench")


@_app.route("/v1/tasks", methods=["POST"])
def _submit() -> Response:
    request = _app.current_request
    assert request is not None
    _store.execute_command("EVALSHA", _script, 1, "bench", "field", request.raw_body)
    return Response(_BODY, headers={"Content-Type": "application/json", "Retry-After": "1"}, status_code=202)


_gateway = Gateway(_app)

asgi = Application(Blocking(_gateway, THREADS).answer)
"""Handles a request on the event loop, or in a thread when it has a Prefer header."""


def wsgi(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
) -> Iterable[bytes]:
    """The same, in the thread that the server chose."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = [
        (name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")
    ]
    headers.append(("Content-Type", environ.get("CONTENT_TYPE", "")))
    answer = _gateway.answer(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ.get("QUERY_STRING", ""),
        headers,
        body,
        environ.get("REMOTE_ADDR", ""),
    )
    start_response(f"{answer.status} Accepted", [*answer.headers, ("Content-Length", str(len(answer.body)))])
    return [answer.body]
