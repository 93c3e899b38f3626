"""The whole local stack as `make up` runs it, on the bench's store, and submissions over its HTTP API."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from bench.bed import Bed, environ
from bench.child import child
from bench.errors import BenchFailed
from bench.load import Load
from bide.settings import Settings
from local import ports
from local.stack import Stack

_SUBMIT_SECONDS: Final = 20.0
_GENERATOR_SECONDS: Final = 45.0


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


async def generate(url: str, *arguments: str) -> Load:
    """Have a load generator submit; see bench.load. Raises BenchFailed unless everything was accepted."""
    async with child("the load generator", sys.executable, "-m", "bench.load", url, *arguments) as generator:
        load = msgspec.json.decode(await generator.output(_GENERATOR_SECONDS), type=Load)
    if load.refused:
        raise BenchFailed(f"{len(load.refused)} submissions were refused, first: {load.refused[0]}")
    return load


async def submit(url: str, body: str, count: int, first: int = 0, key: str = "") -> Load:
    """Submit so many tasks as fast as they are accepted; `%d` in `body` is each one's number."""
    wanted = ("--count", str(count), "--first", str(first), "--body", body, f"--key={key}")
    return await generate(url, "--seconds", f"{_SUBMIT_SECONDS:g}", *wanted)


def _complain(text: str) -> None:
    if " started" not in text:
        print(f"stack: {text}", file=sys.stderr, flush=True)
