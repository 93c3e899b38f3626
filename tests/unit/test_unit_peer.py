"""Who is at the other end of a connection: asked of real connections on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import peer

pytestmark = pytest.mark.skipif(not peer.TELLS, reason="Linux alone says whose the other end is")

_SOMEBODY = 12_345
"""A user id that is not this process's."""


@pytest.fixture(params=["netlink", "table"], autouse=True)
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways to ask, without the other."""
    if request.param == "table":
        monkeypatch.setattr(peer, "_SOCK_DIAG", -1)
    else:
        monkeypatch.setattr(peer, "_TABLES", ())
    return str(request.param)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


_IPV4 = (socket.AF_INET, "127.0.0.1", socket.AF_INET, "127.0.0.1")
_MAPPED = (socket.AF_INET, "127.0.0.1", socket.AF_INET6, "::ffff:127.0.0.1")
_IPV6 = (socket.AF_INET6, "::1", socket.AF_INET6, "::1")
_FAMILIES = [_IPV4, _MAPPED, _IPV6] if _has_ipv6() else [_IPV4]


@contextmanager
def _connected(
    family: int = socket.AF_INET,
    host: str = "127.0.0.1",
    client_family: int = socket.AF_INET,
    client_host: str = "127.0.0.1",
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A listener's end of a connection, and the client's."""
    with socket.socket(family) as listener, socket.socket(client_family) as client:
        listener.bind((host, 0))
        listener.listen()
        client.connect((client_host, listener.getsockname()[1]))
        server, _ = listener.accept()
        with server:
            yield server, client


def _uid(server: socket.socket) -> int | None:
    return peer.peer_uid(server.getpeername()[:2], server.getsockname()[:2])


@pytest.mark.parametrize(("family", "host", "client_family", "client_host"), _FAMILIES)
def test_a_peer_is_the_user_that_has_connected(
    family: int, host: str, client_family: int, client_host: str
) -> None:
    with _connected(family, host, client_family, client_host) as (server, _):
        assert _uid(server) == os.getuid()


def test_a_peer_that_has_closed_its_end_is_nobody_and_not_the_superuser() -> None:
    with _connected() as (server, client):
        client.close()
        assert server.recv(1) == b""
        assert _uid(server) is None


def test_a_peer_that_has_closed_its_sending_side_alone_is_known() -> None:
    with _connected() as (server, client):
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""
        assert _uid(server) == os.getuid()


def test_another_connection_is_not_taken_for_this_one() -> None:
    with _connected() as (server, _):
        host, port = server.getpeername()
        assert peer.peer_uid((host, port), ("127.0.0.1", 1)) is None
        assert peer.peer_uid(("127.0.0.2", port), server.getsockname()) is None


def test_a_socket_that_listens_where_the_peer_was_is_not_taken_for_the_peer() -> None:
    with _connected() as (server, _), socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert peer.peer_uid(listener.getsockname(), server.getsockname()) is None


def test_the_other_end_is_asked_about_and_not_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_SOCK_DIAG", -1)
    with _connected() as (server, client):
        table = _table_of_somebody(tmp_path, client.getsockname()[1], server.getsockname()[1])
        monkeypatch.setattr(peer, "_TABLES", ((str(table), 4),))
        assert _uid(server) == _SOMEBODY
        assert _uid(client) == os.getuid()


def _table_of_somebody(folder: Path, port: int, connected_to: int) -> Path:
    """The table as it is now, but the socket on `port` is another user's."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    for line in lines:
        if line[1].endswith(f":{port:04X}") and line[2].endswith(f":{connected_to:04X}"):
            line[7] = str(_SOMEBODY)
    table = folder / "tcp"
    table.write_text("\n".join(" ".join(line) for line in lines))
    return table


def test_an_address_that_is_none_belongs_to_nobody() -> None:
    assert peer.peer_uid(("testclient", 50_000), ("127.0.0.1", 1)) is None


def test_a_system_that_has_neither_tells_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "_SOCK_DIAG", -1)
    monkeypatch.setattr(peer, "_TABLES", (("/nowhere/tcp", 4),))
    with _connected() as (server, _):
        assert _uid(server) is None


def test_a_socket_is_found_at_the_process_that_has_it_open() -> None:
    waits = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with socket.socket() as mine, subprocess.Popen(waits, stdin=subprocess.PIPE) as other:
        inode = os.fstat(mine.fileno()).st_ino
        assert peer.holds(os.getpid(), inode)
        assert not peer.holds(other.pid, inode)
        other.communicate()
        assert not peer.holds(other.pid, inode), "nor at one that is gone"
