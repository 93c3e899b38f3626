"""Asks an API something trivial twenty times a second: `python -m bench.probe URL PATH`.

It asks whether or not the last answer has come, over another connection then, until its
standard input ends. Prints Probed as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import uvloop

from bench.child import child
from bench.keep_alive import Address, Connection

PER_SECOND: Final = 20
_END_SECONDS: Final = 1.0
"""How long the last answers may take after the end."""
_WAIT_SECONDS: Final = 10.0


class Probed(msgspec.Struct):
    """What the probe saw."""

    latencies_ms: list[float]
    """Of all that it asked; of what was never answered, the time that it had waited by the end."""
    failures: list[str]
    """Answers other than 200, and broken connections."""
    unanswered: int = 0


class Probe:
    """Asks; `run` until `stop` is set."""

    def __init__(self, url: str, path: str) -> None:
        self.stop = asyncio.Event()
        self._address = Address(url)
        self._path = path
        self._idle: list[Connection] = []
        self._found = Probed([], [])

    async def run(self) -> Probed:
        asking: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self.stop.is_set():
            asking.add(asyncio.create_task(self._ask(min(due, time.monotonic()))))  # timers may be early
            due += 1 / PER_SECOND
            try:
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await self.stop.wait()
            except TimeoutError:
                continue
        _, pending = await asyncio.wait(asking, timeout=_END_SECONDS)
        self._found.unanswered = len(pending)
        for question in pending:
            question.cancel()
        if pending:
            await asyncio.wait(pending)
        for connection in self._idle:
            connection.close()
        return self._found

    async def _ask(self, due: float) -> None:
        try:
            connection = self._idle.pop() if self._idle else await Connection.open(self._address)
            reply = await connection.ask("GET", self._path, {})
            if reply.status != 200:
                self._found.failures.append(str(reply.status))
            self._idle.append(connection)
        except OSError as error:  # TimeoutError too
            self._found.failures.append(f"{type(error).__name__}: {error}")
        finally:
            self._found.latencies_ms.append((time.monotonic() - due) * 1000)


@asynccontextmanager
async def probed(url: str, path: str) -> AsyncIterator[Probed]:
    """Have a process probe during the body; what is yielded holds what it saw, after the body."""
    found = Probed([], [])
    async with child("the probe", sys.executable, "-m", "bench.probe", url, path) as probe:
        await probe.first_line(_WAIT_SECONDS)  # it has begun
        yield found
        saw = msgspec.json.decode(await probe.output(_WAIT_SECONDS), type=Probed)
    found.latencies_ms, found.failures, found.unanswered = saw.latencies_ms, saw.failures, saw.unanswered


async def _main(url: str, path: str) -> Probed:
    probe = Probe(url, path)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), probe.stop.set)
    print("asking", flush=True)
    return await probe.run()


def main() -> None:
    gc.disable()
    found = uvloop.run(_main(*sys.argv[1:3]))
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
