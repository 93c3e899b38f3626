"""Takes connections off a listening socket that several processes share.

An event loop's own accept takes all that wait at once. A client that opens many
connections may then have all of them in one process, and its neighbours stay idle.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

_PAUSE_SECONDS: Final = 0.001
"""How long a process that has connections leaves the next one to its neighbours."""

_FEW: Final = 2
"""With fewer connections than this, a process need not share."""


class Acceptor:
    """Takes one connection at a time; call it on the event loop."""

    def __init__(
        self, listener: socket.socket, make: Callable[[], asyncio.Protocol], connections: Callable[[], int]
    ) -> None:
        """make: the protocol of a connection. connections: how many are open in this process."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make = make
        self._connections = connections
        self._arrivals: set[asyncio.Task[object]] = set()
        self._closed = False
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take no more, and close the socket here; what waits is left to the neighbours."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()

    def _listen(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # a neighbour was faster, or the client has left
        except OSError:  # out of descriptors: some connection must end first
            self._pause()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        arrival = self._loop.create_task(self._loop.connect_accepted_socket(self._make, connection))
        self._arrivals.add(arrival)
        arrival.add_done_callback(self._arrivals.discard)
        if self._connections() >= _FEW:
            self._pause()

    def _pause(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(_PAUSE_SECONDS, self._listen)
