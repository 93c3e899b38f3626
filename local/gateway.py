"""API Gateway's part on one machine: HTTP request -> REST proxy event -> Chalice -> HTTP response.

Knows nothing of the HTTP server that calls it; `local.api` joins the two.
"""

from __future__ import annotations

import time
from typing import Final
from uuid import uuid4

from chalice.app import Chalice
from chalice.local import LocalChalice

from local.proxy_event import NO_ROUTE, TIMEOUT_SECONDS, Answer, Api, Headers, Routes, event_of, to_answer

_API: Final = Api(id="local", stage="local")


class Context:
    """Lambda's context object, as far as an HTTP handler uses it."""

    function_name: Final = "api"
    function_version: Final = "$LATEST"
    memory_limit_in_mb: Final = "512"

    def __init__(self, request_id: str) -> None:
        self.aws_request_id = request_id
        self._deadline = time.monotonic() + TIMEOUT_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class Gateway:
    """Serves one Chalice app; any number of threads may call it at once."""

    def __init__(self, app: Chalice) -> None:
        # Chalice keeps the current request on the app; its own local server
        # makes that attribute thread-local in just this way.
        app.__class__ = LocalChalice
        self._app = app
        self._routes = Routes(app.routes)

    def answer(
        self, method: str, path: str, query: str, headers: Headers, body: bytes, source_ip: str
    ) -> Answer:
        """Answer one request; `path` and `query` as they came, percent-encoded."""
        route = self._routes.find(path)
        if route is None:
            return NO_ROUTE
        request_id = str(uuid4())
        event = event_of(_API, route, method, path, query, headers, body, source_ip, request_id)
        return to_answer(self._app(event, Context(request_id)))
