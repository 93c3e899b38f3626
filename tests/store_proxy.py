"""Proxies between a client and its store, which see every call and every reply."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import hiredis


class StoreProxy:
    """Listens on a port of its own and passes calls on, one by one; what becomes of each is a subclass's."""

    def __init__(self, store_url: str) -> None:
        parts = urlsplit(store_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._store = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        user, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those there are end with their client."""
        self._listener.close()

    def pass_on(self, request: Any, client: socket.socket, ask: Callable[[], bytes | None]) -> bool:
        """See to one call; False when this connection is over.

        ask: asks the store and returns its reply, None when the client has gone meanwhile.
        """
        reply = ask()
        if reply is None:
            return False
        client.sendall(reply)
        return True

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
                    if not self.pass_on(request, client, lambda: _ask(request, client, store, replies)):
                        return
                received = client.recv(65536)
                if not received:
                    return
                requests.feed(received)


class RefusingProxy(StoreProxy):
    """Answers chosen commands with an error of the test's choice; the store never sees those."""

    def __init__(self, store_url: str) -> None:
        super().__init__(store_url)
        self._changed = threading.Condition()
        self._said = ""
        self._commands: tuple[bytes, ...] = ()
        self.refused = 0
        """Calls since `refuse`."""

    def refuse(self, said: str, *commands: str) -> None:
        """From now on answer these commands with this error; all commands where none is named.

        A command is meant by its name, or by its first argument, such as the hash of a script.
        """
        with self._changed:
            self._said, self.refused = said, 0
            self._commands = tuple(command.encode() for command in commands)

    def lift(self) -> None:
        """Pass everything on again."""
        self.refuse("")

    def await_refusals(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many calls have been refused since `refuse`."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.refused >= count, seconds), "nobody was refused"

    def pass_on(self, request: Any, client: socket.socket, ask: Callable[[], bytes | None]) -> bool:
        with self._changed:
            named = not {request[0].upper(), *request[1:2]}.isdisjoint(self._commands)
            refuses = bool(self._said) and (not self._commands or named)
            said = self._said
            if refuses:
                self.refused += 1
                self._changed.notify_all()
        if not refuses:
            return super().pass_on(request, client, ask)
        client.sendall(f"-{said}\r\n".encode())
        return True


def _ask(request: Any, client: socket.socket, store: socket.socket, replies: _RawReader) -> bytes | None:
    store.sendall(hiredis.pack_command(tuple(request)))
    while (reply := replies.take()) is None:
        readable, _, _ = select.select([store, client], [], [])
        if client in readable and not client.recv(1, socket.MSG_PEEK):
            return None  # the client has gone while it blocked
        if store in readable:
            replies.feed(store.recv(65536))
    return reply


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
