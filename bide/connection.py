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
from bide.error_replies import DISCARDED, NoScript, Passing, explain
from bide.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    import ssl

CONNECT_S: Final = 2.0
REPLY_S: Final = 3.0
PAUSES_S: Final = (0.0, 0.05)
"""Before each repeat of a call whose connection was lost, or that met a state of the store which passes:
scripts answer as the first time.

The first comes at once, since a connection that slept in a frozen environment is often dead.
"""

_CHUNK: Final = 65_536


Argument = str | bytes | int | float

pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]
"""A command as it is sent. (The stub knows commands of one word alone.)"""


class Client:
    """The store, for any number of threads, each with a connection of its own.

    A thread connects at its first command; a fork does not share its parent's connections.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._held = threading.local()

    def execute_command(self, *args: Argument) -> Any:
        """Send one command and return its reply: bytes, int, None, or a list of such.

        Raises what `bide.error_replies.explain` makes of an error reply, and StoreUnavailable without one.
        """
        return sound(self._ask((args,)))[0]

    def transaction(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Run commands as one (MULTI), in one round trip; returns their replies. Raises likewise."""
        replies: list[Any] = sound(self._ask((("MULTI",), *commands, ("EXEC",))))[-1]
        return sound(replies)

    def pipeline(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Run commands one after another in one round trip; returns their replies.

        What a command was refused with stands in its place: NoScript or ScriptError. Raises StoreUnavailable.
        """
        return self._ask(commands)

    def close(self) -> None:
        """Let go of every thread's connection; the next command opens another."""
        self._held = threading.local()

    def _ask(self, commands: tuple[tuple[Argument, ...], ...]) -> list[Any]:
        """Ask, and again after a lost connection, or where the store's state may be over."""
        for pause_s in PAUSES_S:
            try:
                return self._heard(commands)
            except (OSError, Passing):
                time.sleep(pause_s)
        try:
            return self._heard(commands)
        except OSError as error:
            raise StoreUnavailable(f"The store cannot be used: {error} ({self._address.place})") from error

    def _heard(self, commands: tuple[tuple[Argument, ...], ...]) -> list[Any]:
        """The replies, NoScript and ScriptError among them. Raises OSError, and the first other error."""
        connection = self._of_this_thread()
        replies, errors = connection.ask(commands)
        for error in errors:
            if isinstance(error, StoreUnavailable) and not isinstance(error, NoScript):
                # Another connection may lead to a store that can: a replica stays one.
                connection.end()
                raise error
        return replies

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
        errors: list[StoreError] = []

        def note(said: str) -> StoreError:
            # A transaction is discarded because of what one of its commands was refused with before.
            errors.append(errors[-1] if errors and said.startswith(DISCARDED) else explain(said))
            return errors[-1]

        self._errors = errors
        self._reader = hiredis.Reader(replyError=note)
        self._socket = _open(address)
        forks.keep(self._socket)
        self._socket.settimeout(REPLY_S)
        self.is_spent = False
        _, refusals = self.ask(greeting(address))
        if refusals:
            self.end()
            raise refusals[0]

    def ask(self, commands: Sequence[tuple[Argument, ...]]) -> tuple[list[Any], tuple[StoreError, ...]]:
        """Send commands in one write; returns their replies, errors in their places, and all errors in order.

        The latter are those deep in replies, too.
        """
        try:
            self._socket.sendall(b"".join(map(pack, commands)))
            replies, errors = [self._next_reply() for _ in commands], tuple(self._errors)
            self._errors.clear()  # what is raised knows this frame, and so the connection: a ring
            return replies, errors
        except BaseException as error:
            # Also when interrupted: the reply that is still to come would be taken for the next call's.
            self.end()
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

    def end(self) -> None:
        """Close it."""
        self.is_spent = True
        self._socket.close()

    def __del__(self) -> None:
        if not self.is_spent:
            self._socket.close()


def sound(replies: list[Any]) -> list[Any]:
    """The replies. Raises the first that is an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


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
