"""A Lambda API that keeps what it was asked to invoke; a real HTTP server, and nothing is run."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Invocation:
    """One call of the Invoke API."""

    path: str
    kind: str
    payload: Any


@dataclass
class Invocations:
    """The server, for as long as a `with` lasts. `status` is what it answers."""

    status: int = 202
    seen: list[Invocation] = field(default_factory=list)

    def __enter__(self) -> Invocations:
        seen = self.seen
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind = self.headers.get("X-Amz-Invocation-Type", "")
                seen.append(Invocation(urlsplit(self.path).path, kind, json.loads(body)))
                self.send_response(owner.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def hops(self) -> list[int]:
        """The hops that each worker was started with."""
        assert all(invocation.kind == "Event" for invocation in self.seen)
        return [invocation.payload["hops"] for invocation in self.seen]
