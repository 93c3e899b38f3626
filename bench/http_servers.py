"""Compares HTTP servers for quick mode: `python -m bench.http_servers [--seconds N]`.

Each one serves the app of `bench.http_target` from one process to 32 keep-alive
connections, which ask again as soon as they are answered; the servers take turns. CPU
is that of the server process, per request. The servers that Bide does not use are in bench/requirements.txt.
docs/decisions/0002 holds a run's numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, cast

import psutil
import uvloop

from bench.machine import machine
from local import ports
from local.children import ROOT
from local.store import EmbeddedStore

CONNECTIONS: Final = 32
THREADS: Final = 32

_WARM_UP_SECONDS: Final = 0.5
_START_SECONDS: Final = 10.0
_SPARE_SECONDS: Final = 10.0
"""How much longer than meant a run may take."""

_BODY: Final = b'{"name":"echo","args":{"value":1}}'


@dataclass(frozen=True)
class Candidate:
    """A server, and how to start it on a port."""

    name: str
    command: tuple[str, ...]
    """`{port}` stands for the port."""
    in_thread: bool = False
    """Have `local.blocking` handle the requests in a thread."""

    def start(self, port: int, store_url: str) -> psutil.Popen:
        command = [word.replace("{port}", str(port)) for word in self.command]
        environ = {**os.environ, "BENCH_STORE": store_url}
        server = psutil.Popen(
            [sys.executable, "-m", *command], env=environ, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and server.poll() is None:
            try:
                socket.create_connection((ports.LOOPBACK, port)).close()
                return server
            except ConnectionRefusedError:
                time.sleep(0.05)
        stop(server)
        raise SystemExit(f"{self.name} does not start; is bench/requirements.txt installed?")


_TARGET: Final = "bench.http_target"
_UVICORN: Final = (
    "uvicorn", f"{_TARGET}:asgi", "--port", "{port}", "--http", "httptools", "--loop", "uvloop",
    "--lifespan", "off", "--no-access-log", "--log-level", "error",
)  # fmt: skip
_GRANIAN: Final = ("granian", "--port", "{port}", "--no-access-log", "--log-level", "error")

CANDIDATES: Final = (
    Candidate("uvicorn, on the loop", _UVICORN),
    Candidate("uvicorn, in threads", _UVICORN, in_thread=True),
    Candidate(
        "granian ASGI, on the loop",
        (*_GRANIAN, "--interface", "asginl", "--loop", "uvloop", f"{_TARGET}:asgi"),
    ),
    Candidate(
        "granian WSGI",
        (*_GRANIAN, "--interface", "wsgi", "--blocking-threads", str(THREADS), f"{_TARGET}:wsgi"),
    ),
    Candidate(
        "gunicorn gthread",
        (
            "gunicorn",
            "-k",
            "gthread",
            "--threads",
            str(THREADS),
            "-b",
            f"{ports.LOOPBACK}:{{port}}",
            f"{_TARGET}:wsgi",
        ),
    ),
    Candidate(
        "waitress",
        ("waitress", "--threads", str(THREADS), "--listen", f"{ports.LOOPBACK}:{{port}}", f"{_TARGET}:wsgi"),
    ),
)


_COLUMNS: Final = ("per_second", "p50_ms", "p99_ms", "cpu_us")


@dataclass
class Load:
    """What the connections of one run saw."""

    until: float
    request: bytes
    latencies: list[float] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    """Sends the request, waits for the answer, and begins anew."""

    def __init__(self, load: Load, closed: asyncio.Future[None]) -> None:
        self._load = load
        self._closed = closed
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            return
        if not head.startswith(b"HTTP/1.1 202 "):
            self._closed.set_exception(ConnectionError(f"unexpected answer: {self._received!r}"))
            self._transport.close()
            return
        now = time.perf_counter()
        self._load.latencies.append(now - self._sent)
        if now < self._load.until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_exception(exc) if exc else self._closed.set_result(None)

    def _send(self) -> None:
        self._received = b""
        self._sent = time.perf_counter()
        self._transport.write(self._load.request)


async def _run_load(port: int, seconds: float, in_thread: bool) -> list[float]:
    """Latencies in seconds of every request of a run."""
    prefer = b"Prefer: respond-async\r\n" if in_thread else b""
    head = f"POST /v1/tasks HTTP/1.1\r\nHost: {ports.LOOPBACK}\r\nContent-Type: application/json\r\n"
    request = head.encode() + prefer + f"Content-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY
    loop = asyncio.get_running_loop()
    load = Load(time.perf_counter() + seconds, request)
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    async with asyncio.timeout(seconds + _SPARE_SECONDS):
        for end in ends:
            await loop.create_connection(partial(_Connection, load, end), ports.LOOPBACK, port)
        await asyncio.gather(*ends)
    return load.latencies


@dataclass(frozen=True)
class Round:
    """What one run of one server showed."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Per request, of the server process."""


def measure(candidate: Candidate, store_url: str, seconds: float) -> Round:
    """Start a server, load it for `seconds`, end it."""
    port = ports.free_port()
    server = candidate.start(port, store_url)
    try:
        uvloop.run(_run_load(port, _WARM_UP_SECONDS, candidate.in_thread))
        before, begun = _cpu_seconds(server), time.perf_counter()
        latencies = sorted(uvloop.run(_run_load(port, seconds, candidate.in_thread)))
        took, cpu = time.perf_counter() - begun, _cpu_seconds(server) - before
    finally:
        stop(server)
    count = len(latencies)
    p50, p99 = latencies[count // 2] * 1000, latencies[int(count * 0.99)] * 1000
    return Round(count / took, p50, p99, cpu / count * 1e6)


def _cpu_seconds(server: psutil.Popen) -> float:
    times = [process.cpu_times() for process in [server, *server.children(recursive=True)]]
    return float(sum(time.user + time.system for time in times))


def stop(server: psutil.Popen) -> None:
    """End a server, by force when it does not listen."""
    processes: Sequence[psutil.Process] = (
        [*server.children(recursive=True), server] if server.is_running() else []
    )
    for process in processes:
        process.terminate()
    for process in psutil.wait_procs(processes, timeout=5)[1]:
        process.kill()


def _row(candidate: Candidate, rounds: Sequence[Round]) -> str:
    """The medians of a server's rounds."""
    medians = [statistics.median(getattr(one, column) for one in rounds) for column in _COLUMNS]
    cells = [f"{median:10.{digits}f}" for median, digits in zip(medians, (0, 1, 1, 0), strict=True)]
    return f"{candidate.name:26}" + "".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.http_servers")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long a round of each server is")
    parser.add_argument("--rounds", type=int, default=3, help="how often the servers take turns")
    arguments = parser.parse_args()
    on = machine()
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    print(f"{today}, {on.cpu}, {on.cores} cores, load before {on.load}; medians of {arguments.rounds} rounds")
    print(f"{'':26}{'req/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>10}", flush=True)
    rounds: dict[str, list[Round]] = {candidate.name: [] for candidate in CANDIDATES}
    with tempfile.TemporaryDirectory(prefix="bide-bench-") as folder:
        store = EmbeddedStore(Path(folder))
        store_url = store.start()
        try:
            for _ in range(arguments.rounds):
                for candidate in CANDIDATES:
                    rounds[candidate.name].append(measure(candidate, store_url, arguments.seconds))
        finally:
            store.stop()
    for candidate in CANDIDATES:
        print(_row(candidate, rounds[candidate.name]))


if __name__ == "__main__":
    main()
