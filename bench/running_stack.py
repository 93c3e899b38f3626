"""The whole local stack as `make up` runs it, on the bench's store, and submissions over its HTTP API."""

from __future__ import annotations

import http.client
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.bed import Bed, environ
from bench.errors import BenchFailed
from bide.settings import Settings
from local import ports
from local.stack import Stack

_CONNECTIONS: Final = 8
_TIMEOUT_SECONDS: Final = 10.0


@asynccontextmanager
async def running_stack(store: Bed, tasks: str, **settings: str) -> AsyncIterator[str]:
    """Its URL, while it runs; `settings` are environment variables besides the test bed's."""
    variables = {**environ(store.url, tasks), **settings}
    with (
        tempfile.TemporaryDirectory(prefix="bide-bench-") as folder,
        ports.listen(ports.free_port()) as listener,
    ):
        stack = Stack(Settings.from_environ(variables), variables, listener, Path(folder), _complain)
        try:
            if not await stack.start():
                raise BenchFailed("the stack did not start; its complaint is above")
            yield stack.url
        finally:
            await stack.stop()


def submit(url: str, bodies: Sequence[str]) -> None:
    """Submit them over several connections. Raises BenchFailed unless each is answered with 202."""
    shares = [bodies[number::_CONNECTIONS] for number in range(_CONNECTIONS)]
    with ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="submit") as threads:
        for _ in threads.map(_submit, [url] * _CONNECTIONS, shares):
            pass


def _submit(url: str, bodies: Sequence[str]) -> None:
    if not bodies:
        return
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_SECONDS)
    try:
        for body in bodies:
            connection.request("POST", "/v1/tasks", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 202:
                raise BenchFailed(f"a submission was answered with {answer.status}: {text.decode()[:200]}")
    finally:
        connection.close()


def _complain(text: str) -> None:
    if " started" not in text:
        print(f"stack: {text}", file=sys.stderr, flush=True)
