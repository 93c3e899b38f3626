"""Who is at the other end of a TCP connection within this machine, as Linux tells it.

A loopback port is open to every user of the machine. Linux knows whose each socket is: it answers a
question about one over netlink (`man 7 sock_diag`), in 0.1 ms, and lists them all in `/proc/net/tcp`
and `/proc/net/tcp6`, which takes milliseconds. The list is for kernels that do not answer the question.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

TELLS: Final = os.path.exists("/proc/net/tcp")
"""Whether this system can tell. Where it can, a peer that is not found is a stranger, or gone."""

_TABLES: Final = (("/proc/net/tcp", 4), ("/proc/net/tcp6", 6))

_LOCAL, _REMOTE, _UID, _INODE = 1, 2, 7, 9
"""Columns of a table."""

_SOCK_DIAG: Final = 4
"""The netlink protocol, and its one request, an exact socket's; `linux/netlink.h`, `linux/sock_diag.h`."""
_BY_FAMILY, _REQUEST = 20, 1

_HEADER: Final = struct.Struct("=IHHII")
"""Of a message: length, type, flags, sequence number, port id."""
_ASKED: Final = struct.Struct("=BBBBI")
"""The head of `inet_diag_req_v2`: family, protocol, extensions, padding, states."""
_PORTS: Final = struct.Struct("!HH")
_REST: Final = struct.Struct("=III")
"""Interface and cookie; all bits set is any socket."""
_TOLD: Final = struct.Struct("=BBBB4s32x12xIIIII")
"""`inet_diag_msg`: family, state, timer, retransmissions, ports; at the end, user id and inode."""
_LISTENS: Final = 10
"""The state of a socket that listens: what is told where no connection has these addresses."""


class Owner(NamedTuple):
    """Whose a socket is: a user, and the socket's inode, which its process's descriptors name."""

    uid: int
    inode: int


def peer_uid(peer: tuple[str, int], local: tuple[str, int]) -> int | None:
    """The user id of the process that has connected from `peer` to `local`, both as (IP address, port).

    `local` is this end of the connection. None where the system cannot tell (`TELLS` is False), and where
    no process has the other end: it is on another machine, in another network namespace, or closed
    already. So a server that admits one user alone refuses None wherever `TELLS` is True.
    """
    owner = peer_owner(peer, local)
    return owner.uid if owner else None


def peer_owner(peer: tuple[str, int], local: tuple[str, int]) -> Owner | None:
    """Whose the other end is; None as for `peer_uid`."""
    try:
        theirs, ours = (_address(peer), peer[1]), (_address(local), local[1])
    except ValueError:
        return None
    owner = _asked_about(theirs, ours) or _looked_up(theirs, ours)
    # A socket that was closed lingers without an inode, as if it were the superuser's.
    return owner if owner and owner.inode else None


def holds(pid: int, inode: int) -> bool:
    """Whether a process has the socket with this inode open; False for a process that is gone or foreign."""
    name = f"socket:[{inode}]"
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    return any(_target(f"/proc/{pid}/fd/{descriptor}") == name for descriptor in descriptors)


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:  # it has just been closed
        return ""


_Address = tuple[IPv4Address | IPv6Address, int]


def _address(address: tuple[str, int]) -> IPv4Address | IPv6Address:
    host = ip_address(address[0].partition("%")[0])
    return host.ipv4_mapped or host if isinstance(host, IPv6Address) else host


def _asked_about(socket_at: _Address, connected_to: _Address) -> Owner | None:
    """What netlink says of the socket with these two addresses; None when it knows none, or nothing."""
    (host, port), (other, other_port) = socket_at, connected_to
    family = socket.AF_INET if host.version == 4 else socket.AF_INET6
    ports = _PORTS.pack(port, other_port)
    body = b"".join(
        (
            _ASKED.pack(family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF),
            ports,
            host.packed.ljust(16, b"\0"),
            other.packed.ljust(16, b"\0"),
            _REST.pack(0, 0xFFFFFFFF, 0xFFFFFFFF),
        )
    )
    try:
        with socket.socket(getattr(socket, "AF_NETLINK", -1), socket.SOCK_RAW, _SOCK_DIAG) as netlink:
            netlink.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST, 1, 0) + body)
            answer = netlink.recv(4096)
    except OSError:
        return None
    if _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        return None
    _, state, _, _, told_ports, _, _, _, uid, inode = _TOLD.unpack_from(answer, _HEADER.size)
    return None if state == _LISTENS or told_ports != ports else Owner(uid, inode)


def _looked_up(socket_at: _Address, connected_to: _Address) -> Owner | None:
    """What the tables say of the socket with these two addresses; None when they do not list it."""
    for path, version in _TABLES:
        try:
            local, remote = _spelled(socket_at, version), _spelled(connected_to, version)
            with open(path, "rb") as table:
                for line in table:
                    columns = line.split()
                    if columns[_LOCAL] == local and columns[_REMOTE] == remote:
                        return Owner(int(columns[_UID]), int(columns[_INODE]))
        except (OSError, ValueError):  # no such table; an address that it cannot hold
            continue
    return None


def _spelled(address: _Address, version: int) -> bytes:
    """An address as a table spells it: 32-bit words of the machine's byte order, then the port, in hex."""
    host, port = address
    if version == 6 and isinstance(host, IPv4Address):
        host = IPv6Address(f"::ffff:{host}")  # a client may take an IPv6 socket for an IPv4 address
    if version != host.version:
        raise ValueError(f"{host} is not of IPv{version}")
    words = struct.unpack(f"={len(host.packed) // 4}I", host.packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}".encode("ascii")
