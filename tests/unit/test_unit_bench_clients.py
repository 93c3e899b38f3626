"""The clients and the probe of the classic's worst case, against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from bench.clients import Visits, visits
from bench.probe import Probe, Probed

Request = tuple[str, str, dict[str, str], bytes]
Answer = tuple[int, dict[str, str], Any]


@asynccontextmanager
async def serving(answer: Callable[[Request], Awaitable[Answer]]) -> AsyncIterator[str]:
    """The URL of a server that answers with JSON."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines)
                method, path, _ = first.split(" ")
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                status, more, told = await answer((method, path, headers, body))
                payload = json.dumps(told).encode()
                more = {"Content-Length": str(len(payload)), **more}
                writer.write(f"HTTP/1.1 {status} So\r\n".encode())
                writer.write(
                    "".join(f"{name}: {value}\r\n" for name, value in more.items()).encode() + b"\r\n"
                )
                writer.write(payload)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/stage"


def task(number: int, *, done: bool, result: int | None = None) -> dict[str, Any]:
    return {"id": f"id{number}", "state": "succeeded" if done else "ready", "done": done, "result": result}


def visited(answer: Callable[[Request], Awaitable[Answer]], clients: int, *, inline: bool = False) -> Visits:
    async def run() -> Visits:
        async with serving(answer) as url:
            return await visits(url, clients, 0.0, 1.5, "secret", inline=inline)

    return asyncio.run(run())


def test_a_throttled_client_submits_once_more_under_the_same_key() -> None:
    keys: list[str] = []

    async def answer(request: Request) -> Answer:
        method, path, headers, _ = request
        assert (method, path) == ("POST", "/stage/v1/tasks")
        assert headers["authorization"] == "bearer secret"
        keys.append(headers["idempotency-key"])
        if len(keys) == 1:
            return 429, {"Retry-After": "0"}, {}
        return 202, {}, task(0, done=True, result=0)

    (visit,) = visited(answer, 1).clients
    assert keys[0] == keys[1]
    assert (visit.again, visit.problem, visit.asked) == ("429", "", 1)
    assert visit.answered_ms is not None
    assert visit.done_ms is not None


def test_a_client_that_is_throttled_twice_gives_up() -> None:
    async def answer(request: Request) -> Answer:
        return 503, {"Retry-After": "0"}, {"code": "CLOSED"}

    (visit,) = visited(answer, 1).clients
    assert visit.again == "503"
    assert "503" in visit.problem
    assert visit.answered_ms is None


def test_a_wrong_result_is_no_result() -> None:
    async def answer(request: Request) -> Answer:
        return 202, {}, task(0, done=True, result=7)

    first, second = visited(answer, 2).clients
    assert first.done_ms is None
    assert second.done_ms is None
    assert "7" in first.problem


def test_what_does_not_come_in_time_is_given_up() -> None:
    async def answer(request: Request) -> Answer:
        if json.loads(request[3])["value"] == 0:
            return 200, {}, {"done": True, "result": 0}
        await asyncio.Event().wait()
        raise AssertionError

    found = visited(answer, 2, inline=True)
    assert found.clients[0].done_ms is not None
    assert found.clients[1].done_ms is None
    assert "within" in found.clients[1].problem
    assert found.seconds >= 1.5


def test_the_probe_goes_on_asking_while_an_answer_is_due() -> None:
    asked = 0

    async def answer(request: Request) -> Answer:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()
        if asked >= 4:
            enough.set()
        return 500 if asked == 2 else 200, {}, {}

    async def run() -> Probed:
        async with serving(answer) as url:
            probe = Probe(url, "/healthz")
            running = asyncio.create_task(probe.run())
            await enough.wait()
            probe.stop.set()
            return await running

    enough = asyncio.Event()
    found = asyncio.run(run())
    assert found.unanswered == 1
    assert found.failures == ["500"]
    assert len(found.latencies_ms) >= 4
