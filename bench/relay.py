"""A relay between a client and the store that counts what passes: commands sent, and round trips."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import hiredis

from local import ports

_CHUNK: Final = 256 * 1024


class _Pair:
    """One relayed connection: the client's end and the store's."""

    def __init__(self, client: socket.socket, store: socket.socket) -> None:
        self.client = client
        self.store = store
        self.commands = hiredis.Reader()
        """Parses what the client sends."""
        self.asked = False
        """Whether the client has sent something that the store has not begun to answer."""
        self.open = True


class Relay:
    """Counts over all connections. A round trip begins when a client sends after it was answered."""

    def __init__(self, listener: socket.socket, url: str) -> None:
        parts = urlsplit(url)
        host, port = listener.getsockname()
        self.url = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{host}:{port}"))
        """Where clients connect."""
        self.round_trips = 0
        self.commands = 0
        self._target = (parts.hostname or "", parts.port or 0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._listener = listener
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def reset(self) -> None:
        """Count from zero. Call it while nothing passes."""
        self.round_trips = self.commands = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._wake.close()
        self._thread.join()
        for key in tuple(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._pass_on(key.data, key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        store = socket.create_connection(self._target)
        for end in (client, store):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _Pair(client, store)
        for end in (client, store):
            self._selector.register(end, selectors.EVENT_READ, pair)

    def _pass_on(self, pair: _Pair, own: socket.socket) -> None:
        if not pair.open:
            return  # the other end closed it in this very turn
        from_client = own is pair.client
        try:
            chunk = own.recv(_CHUNK)
            if chunk:
                self._count(pair, chunk, from_client)
                (pair.store if from_client else pair.client).sendall(chunk)
                return
        except OSError:
            pass
        pair.open = False
        for end in (pair.client, pair.store):
            self._selector.unregister(end)
            end.close()

    def _count(self, pair: _Pair, chunk: bytes, from_client: bool) -> None:
        if not from_client:
            pair.asked = False
            return
        if not pair.asked:
            self.round_trips += 1
            pair.asked = True
        pair.commands.feed(chunk)
        while pair.commands.gets() is not False:
            self.commands += 1


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    """Relay to the store at `url` during the body; its clients should be closed by then."""
    relay = Relay(ports.listen(ports.free_port()), url)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()
