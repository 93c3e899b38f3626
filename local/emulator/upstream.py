"""The endpoint behind this one: requests go there, signed anew for it, and its answers come back."""

from __future__ import annotations

import asyncio
import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from local.proxy_event import Answer, Headers
from local.signing import AccessKey, Scope

_TIMEOUT_SECONDS: Final = 60.0

_OF_ONE_HOP: Final = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "server", "date", "transfer-encoding")
)
"""Headers that each connection has of its own."""


class Upstream:
    """Passes requests on to `url`, such as that of moto's server, which answers to `key`."""

    def __init__(self, url: str, key: AccessKey, threads: ThreadPoolExecutor) -> None:
        self._url, self._key = url, key
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._threads = threads

    async def answer(
        self, scope: Scope, method: str, path: str, query: str, headers: Headers, body: bytes
    ) -> Answer:
        """The answer of the endpoint behind, or 502 when it cannot be had."""
        target = f"{path}?{query}" if query else path
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._ask, scope, method, target, headers, body)
        except (OSError, http.client.HTTPException) as error:
            return Answer(502, [("Content-Type", "text/plain")], f"the endpoint behind: {error}".encode())

    def _ask(self, scope: Scope, method: str, target: str, headers: Headers, body: bytes) -> Answer:
        kept = [(name, value) for name, value in headers if name.lower() not in _OF_ONE_HOP]
        signed = self._key.signed(scope, method, f"{self._url}{target}", kept, body)
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in signed:
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            told = [(name, value) for name, value in response.getheaders() if name.lower() not in _OF_ONE_HOP]
            return Answer(response.status, told, response.read())
        finally:
            connection.close()
