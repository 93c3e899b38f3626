"""Finding, taking and naming TCP ports."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from local import ports


def test_a_taken_port_is_refused_with_its_holder() -> None:
    with ports.listen(ports.free_port()) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ports.PortTaken, match=rf"port {port} .*held by process {os.getpid()}: "):
            ports.listen(port)


def test_a_port_taken_on_every_interface_is_taken() -> None:
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        with pytest.raises(ports.PortTaken):
            ports.listen(holder.getsockname()[1])


def test_the_search_goes_on_to_the_next_free_port() -> None:
    with ports.listen(ports.free_port()) as holder:
        taken = holder.getsockname()[1]
        with ports.listen_from(taken) as found:
            assert found.getsockname()[1] > taken


def test_nothing_but_loopback_is_listened_on() -> None:
    with ports.listen(ports.free_port()) as server:
        assert server.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(not Path("/proc/sys/net/ipv4/ip_local_port_range").exists(), reason="Linux says it there")
def test_free_ports_are_not_those_of_outgoing_connections() -> None:
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(ports.free_port() < first_ephemeral for _ in range(20))
