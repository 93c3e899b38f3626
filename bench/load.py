"""An HTTP load generator in one process: `python -m bench.load URL --seconds S [--rate R] [--count N]`.

Closed loop without a rate: every connection submits again as soon as it is answered.
Open loop with one: submissions arrive at random (a Poisson process) whether or not the
server keeps up, wait for a free connection if there is none, and their latency counts
from their arrival. It ends after so many seconds, or submissions. Prints a Load as JSON.
"""

from __future__ import annotations

import argparse
import gc
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import msgspec

CONNECTIONS: Final = 32

_ECHO: Final = '{"name":"echo","args":{"value":%d}}'
_REQUEST: Final = (
    "POST %s/v1/tasks HTTP/1.1\r\nHost: %s\r\n%s"
    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
)
_CHUNK: Final = 64 * 1024
_PATIENCE_SECONDS: Final = 10.0
"""How long the last answers may take."""
_SEED: Final = 32


class Load(msgspec.Struct, frozen=True):
    """What came of a run."""

    seconds: float
    """From the first submission to the last answer."""
    accepted: tuple[int, ...]
    """The number that each accepted submission carried."""
    latencies_ms: tuple[float, ...]
    since: tuple[float, ...]
    """When each of them arrived, by time.monotonic()."""
    refused: tuple[str, ...]
    """Status lines of other answers than 202."""


class _Connection:
    """One keep-alive connection, with at most one request under way."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0
        self.since = 0.0
        self._received = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: bytes, number: int, since: float) -> None:
        self.number, self.since = number, since
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The status line once the whole answer is here. Raises ConnectionError at the end of the stream."""
        chunk = self.socket.recv(_CHUNK)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self._received += chunk
        head, there, body = self._received.partition(b"\r\n\r\n")
        if not there:
            return None
        _, _, length = head.lower().partition(b"\r\ncontent-length:")
        if len(body) < int(length.partition(b"\r\n")[0]):
            return None
        self._received = b""
        return head.partition(b"\r\n")[0]


class _Generator:
    """Sends numbered submissions, from `first` on."""

    def __init__(self, url: str, first: int, body: str, key: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._path = parts.path.rstrip("/")
        self._authorization = f"Authorization: Bearer {key}\r\n" if key else ""
        self._idle = deque(_Connection(parts.hostname or "", parts.port or 80) for _ in range(CONNECTIONS))
        self._busy: list[_Connection] = []
        self._next = first
        self._body = body
        self.accepted: list[int] = []
        self.latencies_ms: list[float] = []
        self.since: list[float] = []
        self.refused: list[str] = []

    def run(self, seconds: float, arrivals: Iterator[float] | None, count: int | None) -> float:
        """Submit for `seconds`, then await what is under way; returns the seconds that all of it took.

        arrivals: seconds from the start, growing; None for as soon as a connection is free.
        count: submit no more than these.
        """
        started = time.monotonic()
        end = started + seconds
        last = None if count is None else self._next + count
        waiting: deque[float] = deque()
        coming = started + next(arrivals) if arrivals else end
        now = started
        while True:
            while arrivals and coming <= min(now, end):
                waiting.append(coming)
                coming = started + next(arrivals)
            while self._idle and self._next != last and (waiting or (arrivals is None and now < end)):
                self._submit(waiting.popleft() if waiting else time.monotonic())
            if self._next == last:
                end = min(end, now)
            if not self._busy and not waiting and now >= end:
                return now - started
            if now > end + _PATIENCE_SECONDS:
                raise TimeoutError(f"{len(self._busy)} submissions without an answer")
            pause = min(coming, end) - now if now < end else 1.0
            readable, _, _ = select.select(self._busy, (), (), max(0.0, pause))
            now = time.monotonic()
            for connection in readable:
                self._receive(connection, now)

    def _submit(self, since: float) -> None:
        connection = self._idle.popleft()  # each in turn: they belong to several processes
        body = self._body % self._next
        request = _REQUEST % (self._path, self._host, self._authorization, len(body), body)
        connection.send(request.encode("ascii"), self._next, since)
        self._next += 1
        self._busy.append(connection)

    def _receive(self, connection: _Connection, now: float) -> None:
        status = connection.receive()
        if status is None:
            return
        if status.startswith(b"HTTP/1.1 202"):
            self.accepted.append(connection.number)
            self.latencies_ms.append((now - connection.since) * 1000)
            self.since.append(connection.since)
        else:
            self.refused.append(status.decode("latin-1"))
        self._busy.remove(connection)
        self._idle.append(connection)


def _poisson(rate: float) -> Iterator[float]:
    """Arrival times of `rate` a second on average, in seconds."""
    uniform = random.Random(_SEED)
    now = 0.0
    while True:
        now += uniform.expovariate(rate)
        yield now


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, help="submissions a second, for an open loop")
    parser.add_argument("--first", type=int, default=0, help="number of the first submission")
    parser.add_argument("--count", type=int, help="submissions in all; without it as many as the time allows")
    parser.add_argument("--body", default=_ECHO, help="a submission, with %%d for its number")
    parser.add_argument("--key", default="", help="an API key")
    arguments = parser.parse_args()
    generator = _Generator(arguments.url, arguments.first, arguments.body, arguments.key)
    gc.disable()  # a collection would be counted as the server's
    arrivals = _poisson(arguments.rate) if arguments.rate else None
    try:
        seconds = generator.run(arguments.seconds, arrivals, arguments.count)
    except OSError as error:  # TimeoutError too
        sys.exit(f"load: {error}; was the code changed meanwhile?")
    load = Load(
        seconds,
        tuple(generator.accepted),
        tuple(generator.latencies_ms),
        tuple(generator.since),
        tuple(generator.refused),
    )
    sys.stdout.buffer.write(msgspec.json.encode(load))


if __name__ == "__main__":
    main()
