"""A process that a benchmark has work done by, and what it prints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from bench.errors import BenchFailed
from local import tether
from local.children import ROOT

T = TypeVar("T")


class Child:
    """A process that runs. name: as messages have it, such as `the probe`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    async def first_line(self, within_s: float) -> str:
        """The first line that it prints; empty when it ends without. Raises BenchFailed."""
        assert self._process.stdout is not None
        return (await self._soon(self._process.stdout.readline(), within_s)).decode().strip()

    async def output(self, within_s: float) -> bytes:
        """Close its standard input; what it prints by its end. Raises BenchFailed, also when it fails."""
        printed, _ = await self._soon(self._process.communicate(b""), within_s)
        if self._process.returncode:
            raise BenchFailed(f"{self._name} failed; the complaint is above")
        return printed

    async def _soon(self, waited_for: Awaitable[T], within_s: float) -> T:
        try:
            return await asyncio.wait_for(waited_for, within_s)
        except TimeoutError as error:
            raise BenchFailed(f"{self._name} took more than {within_s:g} s") from error


@asynccontextmanager
async def child(name: str, *command: str) -> AsyncIterator[Child]:
    """Have a process run in this clone's folder; it is ended with the body, unless it has ended."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        preexec_fn=tether.die_with_parent(),
    )  # fmt: skip
    try:
        yield Child(name, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
