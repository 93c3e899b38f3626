"""TCP ports of this machine: a free one, the listening socket of the stack, who holds one."""

from __future__ import annotations

import random
import socket
from typing import Any, Final

import psutil

LOOPBACK: Final = "127.0.0.1"

BACKLOG: Final = 1024

_BELOW_EPHEMERAL: Final = range(10_000, 32_000)
"""Ports that no system hands out to outgoing connections.

A client that keeps trying to reconnect to a port of the ephemeral range can be
connected to itself, and then holds the port that the server wants back.
"""


class PortTaken(Exception):
    """The port is in use; the message names the holder."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that is free now, chosen at random; another process may still be faster."""
    for _ in range(1000):
        port = random.choice(_BELOW_EPHEMERAL)
        if is_free(port):
            return port
    raise PortTaken("no free port was found between 10000 and 32000")


def listen(port: int) -> socket.socket:
    """A socket that listens on this port of the loopback interface. Raises PortTaken."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((LOOPBACK, port))
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        raise PortTaken(f"port {port} cannot be used: {error.strerror}; {holder(port)}") from error
    return server


def listen_from(first: int, tries: int = 100) -> socket.socket:
    """A socket that listens on `first` or on the next free port after it. Raises PortTaken."""
    for port in range(first, min(first + tries, 65_536)):
        try:
            return listen(port)
        except PortTaken:
            continue
    raise PortTaken(f"no free port from {first} on")


def holder(port: int) -> str:
    """Who listens on this port, in words: process id and command, as far as they may be seen."""
    try:
        found = [c.pid for c in psutil.net_connections(kind="tcp") if _listens(c, port)]
        process = psutil.Process(next(pid for pid in found if pid is not None))
        while (parent := process.parent()) is not None and _holds(parent, port):
            process = parent  # it has handed the socket down
        return f"it is held by process {process.pid}: {' '.join(process.cmdline())}"
    except (psutil.Error, StopIteration):
        return "it is held by a process that you may not see"


def _listens(connection: Any, port: int) -> bool:
    listens = connection.status == psutil.CONN_LISTEN and connection.laddr
    return bool(listens and connection.laddr.port == port)


def _holds(process: psutil.Process, port: int) -> bool:
    try:
        return any(_listens(connection, port) for connection in process.net_connections(kind="tcp"))
    except psutil.Error:
        return False
