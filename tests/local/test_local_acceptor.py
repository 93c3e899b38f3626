"""Processes that share a listening socket share its connections."""

from __future__ import annotations

import asyncio
import socket

from local import ports
from local.acceptor import Acceptor


class _Process:
    """What stands for one API process: an acceptor, and the connections that it took."""

    def __init__(self, listener: socket.socket) -> None:
        self.connections: list[asyncio.Transport] = []
        self.acceptor = Acceptor(listener, self._protocol, lambda: len(self.connections))

    def _protocol(self) -> asyncio.Protocol:
        process = self

        class Taken(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                process.connections.append(transport)
                transport.write(b"taken")

        return Taken()


async def _connect(port: int, count: int) -> list[asyncio.StreamWriter]:
    """Open connections at once; returns when each has been taken."""
    streams = await asyncio.gather(*(asyncio.open_connection(ports.LOOPBACK, port) for _ in range(count)))
    for reader, _ in streams:
        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"taken"
    return [writer for _, writer in streams]


async def _burst(processes: int, connections: int) -> list[int]:
    """How many of `connections` opened at once each of `processes` takes."""
    with ports.listen(ports.free_port()) as listener:
        sharers = [_Process(listener.dup()) for _ in range(processes)]
        clients = await _connect(listener.getsockname()[1], connections)
        counts = [len(sharer.connections) for sharer in sharers]
        for sharer in sharers:
            sharer.acceptor.close()
        for client in clients:
            client.close()
        return counts


def test_connections_opened_at_once_are_shared() -> None:
    counts = asyncio.run(_burst(processes=2, connections=32))
    assert sum(counts) == 32
    assert min(counts) >= 10, counts


def test_a_process_alone_takes_them_all() -> None:
    assert asyncio.run(_burst(processes=1, connections=32)) == [32]
