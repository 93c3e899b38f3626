"""Calls the Gateway, whose handlers are plain functions that may block, from an event loop.

Most block for one round trip to the store, which is cheaper on the event loop than in a
thread (half the CPU time of the request; docs/decisions/0002). Threads take requests that
ask to wait, and all others as long as the store is slow.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from local.gateway import Gateway
from local.proxy_event import Answer, Headers

_SLOW_SECONDS: Final = 0.1
"""A request that took this long, without having asked to wait, sends the following ones to threads."""

_SLOW_FOR_SECONDS: Final = 5.0
"""How long they go there."""


class Blocking:
    """Answers for one Gateway; `threads` is how many requests may block at once."""

    def __init__(self, gateway: Gateway, threads: int) -> None:
        self._gateway = gateway
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._slow_until = 0.0

    async def answer(
        self, method: str, path: str, query: str, headers: Headers, body: bytes, source_ip: str
    ) -> Answer:
        """Answer one request; `path` and `query` as they came, percent-encoded."""
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
