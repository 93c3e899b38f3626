"""Connections to the store for threads: RESP over a socket, parsed by hiredis.

Not redis-py's: loading that takes longer than everything else that the first request of a
process needs (docs/decisions/0013-handlers-speak-to-the-store-themselves.md).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import hiredis

from bide import forks
from bide.address import Address
from bide.errors import BideError, ScriptError, StoreUnavailable

if TYPE_CHECKING:
    import ssl

CONNECT_S: Final = 2.0
REPLY_S: Final = 3.0
PAUSES_S: Final = (0.0, 0.05)
"""Before each repeat of a call whose connection was lost: scripts answer as the first time.

The first comes at once, since a connection that slept in a frozen environment is often dead.
"""

_OUT_OF_REACH: Final = (
    "LOADING", "MISCONF", "OOM", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOPERM",
)  # fmt: skip
"""Error replies that say nothing of the script: the operator has something to mend."""
_REFUSED: Final = ("NOAUTH", "WRONGPASS", "ERR invalid password", "ERR AUTH ", "ERR Client sent AUTH")

_CHUNK: Final = 65_536


Argument = str | bytes | int | float

pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]
"""A command as it is sent. (The stub knows commands of one word alone.)"""


class NoScript(Exception):
    """The store does not know a script by this hash."""


def explain(said: str) -> BideError | NoScript:
    """What an error reply of the store means."""
    if said.startswith("NOSCRIPT"):
        return NoScript(said)
    if said.startswith("READONLY"):
        return StoreUnavailable(f"The store is read-only just now ({said}). Try again.")
    if said.startswith(_REFUSED):
        return StoreUnavailable(f"The store refused the password in BIDE_REDIS_URL ({said}).")
    if said.startswith(_OUT_OF_REACH):
        return StoreUnavailable(f"The store cannot be used: {said}")
    return ScriptError(f"The store answered: {said}")


class Client:
    """The store, for any number of threads, each with a connection of its own.

    A thread connects at its first command; a fork does not share its parent's connections.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._held = threading.local()

    def execute_command(self, *args: Argument) -> Any:
        """Send one command and return its reply: bytes, int, None, or a list of such.

        Raises StoreUnavailable, NoScript, or ScriptError for any other error reply.
        """
        return self._answers((args,))[0]

    def transaction(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Run commands as one (MULTI), in one round trip; returns their replies. Raises likewise."""
        replies: list[Any] = self._answers((("MULTI",), *commands, ("EXEC",)))[-1]
        return replies

    def pipeline(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Run commands one after another in one round trip; returns their replies.

        What a command was refused with stands in its place: NoScript or ScriptError. Raises StoreUnavailable.
        """
        replies = self._ask(commands)
        for place, reply in enumerate(replies):
            if isinstance(reply, hiredis.ReplyError):
                replies[place] = explain(str(reply))
                if isinstance(replies[place], StoreUnavailable):
                    self._held.connection = None
                    raise replies[place]
        return replies

    def close(self) -> None:
        """Let go of every thread's connection; the next command opens another."""
        self._held = threading.local()

    def _answers(self, commands: tuple[tuple[Argument, ...], ...]) -> list[Any]:
        replies = self._ask(commands)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                meant = explain(str(reply))
                if isinstance(meant, StoreUnavailable):
                    # Another connection may lead to a store that can: a replica stays one.
                    self._held.connection = None
                raise meant
        return replies

    def _ask(self, commands: tuple[tuple[Argument, ...], ...]) -> list[Any]:
        """Ask, and again after a lost connection."""
        for pause_s in PAUSES_S:
            try:
                return self._of_this_thread().ask(commands)
            except OSError:
                time.sleep(pause_s)
        try:
            return self._of_this_thread().ask(commands)
        except OSError as error:
            raise StoreUnavailable(f"The store cannot be used: {error} ({self._address.place})") from error

    def _of_this_thread(self) -> _Connection:
        held = self._held
        if getattr(held, "pid", None) != os.getpid():
            held.pid, held.connection = os.getpid(), None
        connection: _Connection | None = held.connection
        if connection is None or connection.is_spent:
            connection = held.connection = _Connection(self._address)
        return connection


class _Connection:
    """One socket, logged in. Raises OSError for all that goes wrong with it, and is spent then."""

    def __init__(self, address: Address) -> None:
        self.is_spent = True
        self._reader = hiredis.Reader()
        self._socket = _open(address)
        forks.keep(self._socket)
        self._socket.settimeout(REPLY_S)
        self.is_spent = False
        for reply in self.ask(greeting(address)):
            if isinstance(reply, hiredis.ReplyError):
                self._end()
                raise explain(str(reply))

    def ask(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """Send commands in one write and return their replies, errors among them."""
        try:
            self._socket.sendall(b"".join(map(pack, commands)))
            return [self._next_reply() for _ in commands]
        except BaseException as error:
            # Also when interrupted: the reply that is still to come would be taken for the next call's.
            self._end()
            if isinstance(error, hiredis.ProtocolError):
                raise OSError(f"it is no store that answers: {error}") from error
            raise

    def _next_reply(self) -> Any:
        # False stands for a reply that is still incomplete: RESP2 has no booleans.
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(_CHUNK)
            if not received:
                raise ConnectionResetError("the store closed the connection")
            self._reader.feed(received)
        return reply

    def _end(self) -> None:
        self.is_spent = True
        self._socket.close()

    def __del__(self) -> None:
        if not self.is_spent:
            self._socket.close()


def _open(address: Address) -> socket.socket:
    if address.path:
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            local.settimeout(CONNECT_S)
            local.connect(address.path)
        except BaseException:
            local.close()
            raise
        return local
    # As bytes: for a str Python loads its tables of international names first.
    host: Any = address.host.encode() if address.host.isascii() else address.host
    plain = socket.create_connection((host, address.port), timeout=CONNECT_S)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if address.tls:
            return tls_context(address).wrap_socket(plain, server_hostname=address.host)
        return plain
    except BaseException:
        plain.close()
        raise


def greeting(address: Address) -> list[tuple[Argument, ...]]:
    """The first commands of a connection."""
    commands: list[tuple[Argument, ...]] = []
    if address.password:
        commands.append(("AUTH", *filter(None, (address.user,)), address.password))
    if address.database:
        commands.append(("SELECT", address.database))
    return commands


def tls_context(address: Address) -> ssl.SSLContext:
    """How to encrypt, and whom to trust."""
    import ssl  # only who encrypts pays for loading it

    context = ssl.create_default_context(cafile=address.ca_file or None)
    if not address.verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def connect(url: str) -> Client:
    """A client of the store at `url`; connects only when first used. Raises ValueError, see Address."""
    return Client(Address.of(url))
