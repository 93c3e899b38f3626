"""Connections: kept, replaced when stale, shared only where that is safe; what is said when there is none."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bide_client import Client, ConnectionFailed, KeyExposed

from .ran import Bide
from .replies import accepted, server_json, succeeded, unfinished
from .stub_server import Reply, StubServer

STATE = Reply(200, server_json())


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_calls_share_one_connection(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), unfinished(), succeeded(), STATE)
    client.submit("echo").result()
    client.server()
    assert len({asked.connection for asked in stub.asked}) == 1


def test_threads_have_connections_of_their_own(stub: StubServer, client: Client) -> None:
    stub.otherwise = lambda asked: STATE
    together = threading.Barrier(4)

    def twice() -> None:
        together.wait(5)
        client.server()
        client.server()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(twice) for _ in range(4)]:
            done.result()
    assert len(stub.asked) == 8
    assert len({asked.connection for asked in stub.asked}) == 4


def test_a_forked_child_leaves_its_parents_connection_alone(stub: StubServer, client: Client) -> None:
    stub.otherwise = lambda asked: STATE
    client.server()
    child = os.fork()
    if child == 0:
        try:
            client.server()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.server()
    parent, forked, again = (asked.connection for asked in stub.asked)
    assert parent == again != forked


def test_disconnect_closes_connections_and_the_next_call_opens_one(stub: StubServer, client: Client) -> None:
    stub.plays(STATE, STATE)
    client.server()
    client.disconnect()
    client.server()
    first, second = (asked.connection for asked in stub.asked)
    assert first != second


def test_a_kept_connection_that_the_server_closed_goes_unnoticed(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, server_json(), fault="hang up after"), STATE)
    client.server()
    assert client.server().accepting


def test_a_server_that_was_never_there_is_reported_at_once() -> None:
    port = free_port()
    began = time.monotonic()
    with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(ConnectionFailed) as caught:
        client.submit("echo")
    assert time.monotonic() - began < 10
    assert f"http://127.0.0.1:{port}: connection refused. Is `make up` running?" in str(caught.value)
    assert not caught.value.may_have_arrived


def test_a_server_without_tls_is_not_said_to_be_down(stub: StubServer) -> None:
    with Client(stub.url.replace("http:", "https:")) as client, pytest.raises(ConnectionFailed) as caught:
        client.server()
    assert "no trusted TLS connection" in str(caught.value)
    assert "write http:// for a server without TLS" in str(caught.value)
    assert "make up" not in str(caught.value)


def test_a_server_that_restarts_is_waited_for() -> None:
    with StubServer() as before, Client(before.url) as client:
        before.plays(STATE)
        client.server()
        port = before.port
    with StubServer(port) as after:
        after.plays(STATE)
        assert client.server().accepting


def test_a_server_that_comes_back_late_is_waited_for() -> None:
    with StubServer() as before, Client(before.url) as client:
        before.plays(STATE)
        client.server()
        port = before.port
    outcome: list[bool] = []
    caller = threading.Thread(target=lambda: outcome.append(client.server().accepting))
    caller.start()
    time.sleep(0.2)
    with StubServer(port) as after:
        after.plays(STATE)
        caller.join(20)
    assert outcome == [True]


def test_a_host_that_does_not_resolve_is_named() -> None:
    unknown = "http://nowhere.invalid"
    with Client(unknown) as client, pytest.raises(ConnectionFailed, match="does not resolve"):
        client.server()


def test_a_server_that_does_not_answer_is_given_up(stub: StubServer) -> None:
    never = threading.Event()
    stub.plays(Reply(200, server_json(), until=never))
    with Client(stub.url, read_timeout=0.2, patience=0) as client, pytest.raises(ConnectionFailed) as caught:
        client.server()
    assert caught.value.timed_out
    assert caught.value.may_have_arrived
    never.set()


def test_the_time_a_poll_is_held_comes_on_top_of_the_read_timeout(stub: StubServer) -> None:
    release = threading.Event()
    reply = succeeded("held")
    stub.plays(accepted(), Reply(200, reply.json, until=release))
    with Client(stub.url, read_timeout=0.2, patience=0) as client:
        threading.Timer(0.6, release.set).start()
        assert client.submit("echo").result() == "held"


def test_an_error_that_the_caller_was_handling_is_no_cause(stub: StubServer) -> None:
    stub.plays(Reply(fault="drop"))
    with Client(stub.url, patience=0) as client:
        try:
            raise ConnectionRefusedError("somebody else's")
        except ConnectionRefusedError:
            with pytest.raises(ConnectionFailed, match="broke off"):
                client.server()


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    stub: StubServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    stub.plays(STATE)
    assert client.server().accepting


@pytest.mark.parametrize("key", ["s3cret", None])
def test_a_password_in_netrc_is_never_sent(
    stub: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine bide.example login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", stub.url)  # the stub stands in for bide.example
    monkeypatch.delenv("no_proxy", raising=False)
    stub.plays(STATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KeyExposed)
        client = Client("http://bide.example", key)
    with client:
        client.server()
    assert stub.asked[0].path == "http://bide.example/v1/server"
    assert stub.asked[0].headers["Authorization"] == (f"Bearer {key}" if key else None)


EXPOSED = [
    "http://bide.example",
    "http://192.168.0.7:8000/api",
    "http://[2001:db8::1]",
    "HTTP://localhost.example",
]
PRIVATE = ["https://bide.example", "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"]


@pytest.mark.parametrize("url", EXPOSED)
def test_a_key_that_would_go_in_clear_is_warned_of_once_where_the_client_is_made(url: str) -> None:
    with pytest.warns(KeyExposed, match="without TLS") as told:
        Client(url, "secret-key").disconnect()
    (warning,) = told
    assert warning.filename == __file__
    assert "secret-key" not in str(warning.message)


@pytest.mark.parametrize("url", PRIVATE)
def test_a_key_that_nobody_can_read_on_the_way_is_not_warned_of(url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Client(url, "secret-key").disconnect()
        Client(EXPOSED[0]).disconnect()  # no key


def test_the_command_says_it_once_and_goes_on(
    stub: StubServer, bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", stub.url)  # the stub stands in for bide.example
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("BIDE_KEY", "secret-key")
    stub.plays(STATE)
    ran = bide("--url", EXPOSED[0], "server", "status")
    assert ran.code == 0
    (said,) = [line for line in ran.err.splitlines() if "API key" in line]
    assert said.startswith("bide: The API key goes to http://bide.example without TLS")
