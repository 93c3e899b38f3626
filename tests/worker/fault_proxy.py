"""A proxy between a worker and its store that lets one store call go wrong."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import hiredis


class Fault(Enum):
    """What happens to the chosen call."""

    KILLED_BEFORE = "killed before"
    """The worker dies; the store never sees the call."""
    KILLED_AFTER = "killed after"
    """The store has done it; the worker dies before the reply."""
    REPLY_LOST = "reply lost"
    """The store has done it; the connection breaks, and the worker lives on."""


class FaultProxy:
    """Listens on a port of its own and passes calls on; call number `at` (from 1) meets `fault`."""

    def __init__(self, store_url: str, at: int, fault: Fault, kill: Callable[[], None]) -> None:
        parts = urlsplit(store_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._store = (parts.hostname, parts.port)
        self._at, self._fault, self._kill = at, fault, kill
        self._counting = threading.Condition()
        self._under_way = 0
        """Calls that the store has, and has not answered."""
        self._has_killed = False
        self.calls = 0
        self.struck: str | None = None
        """The command that met the fault."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        user, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those there are end with their worker."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        requests, replies = hiredis.Reader(), _RawReader()
        with client, socket.create_connection(self._store) as store, contextlib.suppress(OSError):
            while True:
                while (request := requests.gets()) is not False:
                    if not self._pass_on(request, client, store, replies):
                        return
                received = client.recv(65536)
                if not received:
                    return
                requests.feed(received)

    def _pass_on(
        self, request: Any, client: socket.socket, store: socket.socket, replies: _RawReader
    ) -> bool:
        """Pass one call on and its reply back; False when this connection is over."""
        blocks = request[0].upper() == b"BLPOP"
        with self._counting:
            if self._has_killed:
                return False
            self.calls += 1
            strikes = self.calls == self._at
            if strikes:
                self.struck = b" ".join(request[:2]).decode(errors="replace")
            if strikes and self._fault is Fault.KILLED_BEFORE:
                self._kill_in_peace(under_way=0)
                return False
            self._under_way += not blocks
        try:
            return self._ask(request, client, store, replies, strikes)
        finally:
            with self._counting:
                self._under_way -= not blocks
                self._counting.notify_all()

    def _kill_in_peace(self, under_way: int) -> None:
        """Kill when no more than so many calls are under way; what comes after goes nowhere.

        The worker has several connections: what another one had sent before would change the store
        after the test has looked what the worker left behind.
        """
        self._has_killed = True
        self._counting.wait_for(lambda: self._under_way <= under_way, 10)
        self._kill()

    def _ask(
        self, request: Any, client: socket.socket, store: socket.socket, replies: _RawReader, strikes: bool
    ) -> bool:
        store.sendall(hiredis.pack_command(tuple(request)))
        while (reply := replies.take()) is None:
            readable, _, _ = select.select([store, client], [], [])
            if client in readable and not client.recv(1, socket.MSG_PEEK):
                return False  # the worker has gone while it blocked
            if store in readable:
                replies.feed(store.recv(65536))
        if strikes:
            if self._fault is Fault.KILLED_AFTER:
                with self._counting:
                    self._kill_in_peace(under_way=1)
            return False
        client.sendall(reply)
        return True


class _RawReader:
    """Cuts the bytes of one reply at a time out of a stream."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, received: bytes) -> None:
        if not received:
            raise ConnectionResetError
        self._bytes += received

    def take(self) -> bytes | None:
        """The first whole reply, or None. A connection has one call under way, so nothing follows it."""
        reader = hiredis.Reader()
        reader.feed(self._bytes)
        if not self._bytes or reader.gets() is False:
            return None
        reply, self._bytes = self._bytes, b""
        return reply
