"""Many HTTP clients in one process, each with one job: `python -m bench.clients URL --clients N --seconds S`.

Each has a keep-alive connection, which is opened beforehand. They begin evenly over a
second, whether or not the server keeps up, and their times count from then. A client of
Bide submits a task and asks for it as `Retry-After` tells, at most once a second, until
it has the result; with `--inline` it sends the job to a server that answers with the
result itself. Who is answered 429, 500 or 503 tries once more, under the same
`Idempotency-Key`. Prints Visits as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import secrets
import sys
import time
from typing import Final

import msgspec
import uvloop

from bench.keep_alive import Address, Connection, Reply

OVER_SECONDS: Final = 1.0
"""How long it takes until all have begun."""

_AGAIN: Final = (429, 500, 503)
_AGAIN_SECONDS: Final = 1.0
"""How long they wait before they try again, where the answer does not tell."""
_SHORTEST_PAUSE_SECONDS: Final = 1.0
_CONNECTING: Final = 100
"""Connections that are opened at the same time: a backlog has an end."""
_LEAD_SECONDS: Final = 0.2


class Visit(msgspec.Struct):
    """What one client saw. Times count from when it meant to begin; None is for what did not come."""

    number: int
    answered_ms: float | None = None
    """Until its job was accepted or, inline, done."""
    done_ms: float | None = None
    """Until it had the right result."""
    asked: int = 0
    """Requests besides the first."""
    again: str = ""
    """The answer after which it tried once more."""
    problem: str = ""
    """Why it has no result."""


class Visits(msgspec.Struct, frozen=True):
    """What came of a run."""

    clients: tuple[Visit, ...]
    seconds: float
    """From the first client's begin to the last result, or to the end of patience."""


class _Task(msgspec.Struct):
    """What a client reads of a task, or of an inline answer."""

    id: str = ""
    state: str = ""
    done: bool = False
    result: int | None = None


class _Client:
    def __init__(self, number: int, connection: Connection, seconds: float, headers: dict[str, str]) -> None:
        self.visit = Visit(number)
        self._connection = connection
        self._seconds = seconds
        self._headers = headers

    async def run(self, starts_at: float, *, inline: bool) -> None:
        """Begin at that `time.monotonic()`, and see the job through."""
        await asyncio.sleep(max(0.0, starts_at - time.monotonic()))
        visit = self.visit
        try:
            task = await (self._job() if inline else self._submission())
            visit.answered_ms = (time.monotonic() - starts_at) * 1000
            if not inline:
                task = await self._fetch(task)
            if task.result != visit.number:
                visit.problem = f"{task.state} with the result {task.result}"
            else:
                visit.done_ms = (time.monotonic() - starts_at) * 1000
        except (OSError, msgspec.MsgspecError, _Refused) as error:
            visit.problem = f"{type(error).__name__}: {error}"

    async def _job(self) -> _Task:
        body = {"seconds": self._seconds, "value": self.visit.number}
        reply = await self._connection.ask("POST", "/jobs", self._headers, msgspec.json.encode(body))
        return _read(reply, 200)

    async def _submission(self) -> _Task:
        args = {"seconds": self._seconds, "value": self.visit.number}
        body = msgspec.json.encode({"name": "pause", "args": args})
        headers = {**self._headers, "Idempotency-Key": secrets.token_hex(16)}
        reply = await self._connection.ask("POST", "/v1/tasks", headers, body)
        if reply.status in _AGAIN:
            self.visit.again = str(reply.status)
            self.visit.asked += 1
            await asyncio.sleep(float(reply.headers.get("retry-after", _AGAIN_SECONDS)))
            reply = await self._connection.ask("POST", "/v1/tasks", headers, body)
        return self._pause_after(reply, _read(reply, 202))

    async def _fetch(self, task: _Task) -> _Task:
        id = task.id
        while not task.done:
            await asyncio.sleep(self._pause)
            self.visit.asked += 1
            reply = await self._connection.ask("GET", f"/v1/tasks/{id}", self._headers)
            task = self._pause_after(reply, _read(reply, 200))
        return task

    def _pause_after(self, reply: Reply, task: _Task) -> _Task:
        self._pause = max(_SHORTEST_PAUSE_SECONDS, float(reply.headers.get("retry-after", 0)))
        return task


class _Refused(Exception):
    """Another status than the one that was to come."""


def _read(reply: Reply, status: int) -> _Task:
    if reply.status != status:
        raise _Refused(f"{reply.status}: {reply.body[:200].decode(errors='replace')}")
    return msgspec.json.decode(reply.body, type=_Task)


async def visits(
    url: str, clients: int, seconds: float, patience_s: float, key: str, *, inline: bool
) -> Visits:
    """Run them; jobs take `seconds`, and what has not come `patience_s` after the begin is given up."""
    address = Address(url)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    connections: list[Connection] = []
    for first in range(0, clients, _CONNECTING):
        some = range(first, min(first + _CONNECTING, clients))
        connections += await asyncio.gather(*(Connection.open(address) for _ in some))
    everybody = [
        _Client(number, connection, seconds, headers) for number, connection in enumerate(connections)
    ]
    begin = time.monotonic() + _LEAD_SECONDS
    apart = OVER_SECONDS / clients
    running = [
        asyncio.create_task(client.run(begin + number * apart, inline=inline))
        for number, client in enumerate(everybody)
    ]
    _, pending = await asyncio.wait(running, timeout=_LEAD_SECONDS + patience_s)
    took = time.monotonic() - begin
    for run in pending:
        run.cancel()
    if pending:
        await asyncio.wait(pending)
    for connection in connections:
        connection.close()
    for client in everybody:
        if client.visit.done_ms is None and not client.visit.problem:
            client.visit.problem = f"no {'answer' if inline else 'result'} within {patience_s:g} s"
    return Visits(tuple(client.visit for client in everybody), took)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="how long each job takes")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds until everybody gives up")
    parser.add_argument("--key", default="", help="an API key")
    parser.add_argument("--inline", action="store_true", help="POST /jobs, which answers with the result")
    told = parser.parse_args()
    gc.disable()  # a collection would be counted as the server's
    try:
        found = uvloop.run(
            visits(told.url, told.clients, told.seconds, told.patience, told.key, inline=told.inline)
        )
    except OSError as error:  # TimeoutError too
        sys.exit(f"clients: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
