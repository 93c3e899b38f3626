"""Connections to the store: replies, refusals, and what becomes of a connection that is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from hand_store import HandStore, certificate, relayed

from bide import connection
from bide.async_connection import connect_async
from bide.connection import connect
from bide.error_replies import NoScript
from bide.errors import ScriptError, StoreUnavailable

Ask = Callable[..., Any]
"""Sends a command and returns its reply."""
Speak = Callable[[str], Ask]
"""Makes a client of a URL."""


@pytest.fixture(params=["in a thread", "on a loop"])
def speak(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Iterator[Speak]:
    """Both kinds of client, asked alike."""
    ends: list[Callable[[], None]] = []

    def in_a_thread(url: str) -> Ask:
        client = connect(url)
        ends.append(client.close)
        return client.execute_command

    def on_a_loop(url: str) -> Ask:
        client = connect_async(url, reply_s=connection.REPLY_S)
        ends.append(lambda: runner.run(client.aclose()))
        return lambda *command: runner.run(client.execute_command(*command))

    yield in_a_thread if request.param == "in a thread" else on_a_loop
    for end in ends:
        end()


@pytest.fixture
def hand_store() -> Iterator[Callable[..., HandStore]]:
    made: list[HandStore] = []

    def make(*replies: bytes) -> HandStore:
        made.append(HandStore(replies))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies are awaited for a moment only."""
    monkeypatch.setattr(connection, "REPLY_S", 0.2)


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.hostname}:{parts.port}").geturl()


def login_of(url: str) -> str:
    """What stands before the host, with its `@`."""
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    return login + at


# --- replies --------------------------------------------------------------------------------


def test_replies_are_bytes_numbers_lists_and_none(speak: Speak, store_url: str) -> None:
    ask = speak(store_url)
    assert ask("PING") == b"PONG"
    assert ask("ECHO", b"\x00\xff\r\n") == b"\x00\xff\r\n"
    assert ask("EVAL", "return {1, 'two', {ARGV[1], false}}", 0, 2.5) == [1, b"two", [b"2.5", None]]


def test_a_reply_of_a_megabyte_arrives_whole(speak: Speak, store_url: str) -> None:
    assert speak(store_url)("EVAL", "return string.rep('x', 1048576)", 0) == b"x" * 1_048_576


def test_a_script_that_is_not_known_says_so(speak: Speak, store_url: str) -> None:
    with pytest.raises(NoScript):
        speak(store_url)("EVALSHA", "0" * 40, 0)


def test_an_error_reply_is_no_outage(speak: Speak, store_url: str) -> None:
    ask = speak(store_url)
    with pytest.raises(ScriptError, match="unknown command"):
        ask("NO-SUCH-COMMAND")
    assert ask("PING") == b"PONG"


def test_a_transaction_brings_all_replies_or_an_error(store_url: str, prefix: str) -> None:
    client = connect(store_url)
    assert client.transaction(("RPUSH", f"{prefix}:l", "a"), ("EXPIRE", f"{prefix}:l", 60)) == [1, 1]
    with pytest.raises(ScriptError, match="unknown command"):
        client.transaction(("RPUSH", f"{prefix}:l", "b"), ("NO-SUCH-COMMAND",))
    assert client.execute_command("LLEN", f"{prefix}:l") == 1
    client.close()


# --- who may enter, and where to --------------------------------------------------------------


@pytest.mark.plain_tcp
@pytest.mark.with_password
def test_a_wrong_password_is_refused_and_not_shown(speak: Speak, store_url: str) -> None:
    parts = urlsplit(store_url)
    with pytest.raises(StoreUnavailable, match="refused the password") as refused:
        speak(f"redis://:hunter2@{parts.hostname}:{parts.port}")("PING")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(StoreUnavailable, match="refused the password"):
        speak(without_password(store_url))("PING")


@pytest.mark.own_server("make a user, of whom a foreign server has no need")
def test_a_url_names_a_user(speak: Speak, store_url: str, redis_client: redis.Redis, prefix: str) -> None:
    user, parts = prefix.replace(":", ""), urlsplit(store_url)
    redis_client.acl_setuser(user, enabled=True, passwords=["+p@ss/word"], commands=["+ping", "+acl|whoami"])
    try:
        ask = speak(f"redis://{user}:p%40ss%2Fword@{parts.hostname}:{parts.port}")
        assert ask("ACL", "WHOAMI") == user.encode()
        with pytest.raises(StoreUnavailable, match="NOPERM"):
            ask("GET", "anything")
    finally:
        redis_client.acl_deluser(user)


@pytest.mark.own_server("use another database, which may be somebody else's")
def test_a_url_names_a_database(speak: Speak, store_url: str, redis_client: redis.Redis, prefix: str) -> None:
    ask = speak(urlsplit(store_url)._replace(path="/7").geturl())
    ask("SET", prefix, "there", "EX", 60)
    assert (ask("GET", prefix), redis_client.get(prefix)) == (b"there", None)
    ask("DEL", prefix)


@pytest.mark.plain_tcp
def test_a_url_names_a_unix_socket(speak: Speak, store_url: str, tmp_path: Path) -> None:
    parts = urlsplit(store_url)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    with relayed(listener, (str(parts.hostname), parts.port or 6379), None):
        assert speak(f"unix://{login_of(store_url)}{tmp_path}/s?db=0")("PING") == b"PONG"


@pytest.mark.plain_tcp
def test_tls_trusts_whom_the_url_says(speak: Speak, store_url: str, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    parts = urlsplit(store_url)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    login = login_of(store_url)
    with relayed(listener, (str(parts.hostname), parts.port or 6379), context):
        assert speak(f"rediss://{login}localhost:{port}?ssl_ca_certs={chain}")("PING") == b"PONG"
        assert speak(f"rediss://{login}127.0.0.1:{port}?ssl_cert_reqs=none")("PING") == b"PONG"
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            speak(f"rediss://{login}localhost:{port}")("PING")
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):  # it is localhost's alone
            speak(f"rediss://{login}127.0.0.1:{port}?ssl_ca_certs={chain}")("PING")


# --- connections that are lost ----------------------------------------------------------------


@pytest.mark.own_server("cut or count the server's connections, which may be somebody else's")
def test_a_connection_that_was_cut_is_replaced_unseen(
    speak: Speak, store_url: str, redis_client: redis.Redis
) -> None:
    ask = speak(store_url)
    before = ask("CLIENT", "ID")
    redis_client.client_kill_filter(_id=before)
    assert ask("CLIENT", "ID") > before


def test_a_store_out_of_reach_is_named_without_its_password(speak: Speak, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="nobody-listens") as refused:
        speak(f"unix://:hunter2@{tmp_path}/nobody-listens")("PING")
    assert "hunter2" not in str(refused.value)


@pytest.mark.usefixtures("hasty")
def test_a_store_that_is_silent_is_asked_three_times(
    speak: Speak, hand_store: Callable[..., HandStore]
) -> None:
    silent = hand_store()
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        speak(silent.url)("PING")
    assert silent.commands == [(0, [b"PING"]), (1, [b"PING"]), (2, [b"PING"])]


def test_what_speaks_another_language_is_no_store(speak: Speak, hand_store: Callable[..., HandStore]) -> None:
    web = hand_store(*[b"HTTP/1.1 400 Bad Request\r\n\r\n"] * 3)
    with pytest.raises(StoreUnavailable, match="no store that answers"):
        speak(web.url)("PING")


def test_a_replica_is_left_for_whatever_the_name_leads_to_next(
    speak: Speak, hand_store: Callable[..., HandStore]
) -> None:
    refusal = b"-READONLY You can't write against a read only replica.\r\n"
    store = hand_store(refusal, b"+OK\r\n")
    assert speak(store.url)("SET", "a", 1) == b"OK"
    assert [number for number, _ in store.commands] == [0, 1]
    stays = hand_store(*[refusal] * 3)
    with pytest.raises(StoreUnavailable, match="read-only just now"):
        speak(stays.url)("SET", "a", 1)
    assert [number for number, _ in stays.commands] == [0, 1, 2]


def test_a_bell_that_was_cut_is_not_rung_again_unseen(
    runner: asyncio.Runner, hand_store: Callable[..., HandStore]
) -> None:
    """The token that it had taken would be lost to whoever waits for it."""
    store = hand_store(b"*-1\r\n")

    async def listen() -> None:
        bell = connect_async(store.url, reply_s=None)
        assert await bell.execute_command("BLPOP", "bell", 5) is None
        pop = asyncio.create_task(bell.execute_command("BLPOP", "bell", 5))
        while len(store.commands) < 2:
            await asyncio.sleep(0.001)
        store.cut()
        with pytest.raises(StoreUnavailable):
            await pop
        await bell.aclose()

    runner.run(asyncio.wait_for(listen(), 20))
    assert store.connections == 1


# --- whose connection it is ---------------------------------------------------------------------


def test_a_thread_keeps_its_connection_to_itself(store_url: str) -> None:
    client = connect(store_url)
    ids: list[int] = []

    def ask_twice() -> None:
        ids.extend(client.execute_command("CLIENT", "ID") for _ in range(2))

    for _ in range(2):
        thread = threading.Thread(target=ask_twice)
        thread.start()
        thread.join()
    ask_twice()
    assert ids[::2] == ids[1::2]
    assert len(set(ids)) == 3
    client.close()


def test_a_fork_leaves_its_parents_connection_alone(store_url: str) -> None:
    client = connect(store_url)
    mine = client.execute_command("CLIENT", "ID")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(client.execute_command("CLIENT", "ID")).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading) as said:
        assert int(said.read()) != mine
    assert client.execute_command("CLIENT", "ID") == mine
    client.close()


def test_calls_at_once_have_a_connection_each_and_hand_it_on(store_url: str, runner: asyncio.Runner) -> None:
    async def ask() -> tuple[set[int], set[int]]:
        client = connect_async(store_url)
        first = await asyncio.gather(*(client.execute_command("CLIENT", "ID") for _ in range(3)))
        then = [await client.execute_command("CLIENT", "ID") for _ in range(3)]
        await client.aclose()
        return set(first), set(then)

    first, then = runner.run(ask())
    assert len(first) == 3
    assert len(then) == 1
    assert then < first


@pytest.mark.own_server("cut or count the server's connections, which may be somebody else's")
def test_a_call_that_was_cancelled_leaves_its_reply_to_nobody(
    store_url: str, runner: asyncio.Runner, prefix: str, redis_client: redis.Redis
) -> None:
    async def ask() -> Any:
        client = connect_async(store_url, reply_s=None)
        pop = asyncio.create_task(client.execute_command("BLPOP", f"{prefix}:bell", 0))
        while not redis_client.info("clients")["blocked_clients"]:
            await asyncio.sleep(0.001)
        pop.cancel()
        await asyncio.wait([pop])
        while redis_client.info("clients")["blocked_clients"]:  # it is closed, not only let go of
            await asyncio.sleep(0.001)
        replies = [await client.execute_command("ECHO", word) for word in ("a", "b")]
        await client.aclose()
        return replies

    assert runner.run(asyncio.wait_for(ask(), 20)) == [b"a", b"b"]


def test_a_call_that_was_interrupted_leaves_its_reply_to_nobody(store_url: str, prefix: str) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    client = connect(store_url)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        client.execute_command("PING")
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            client.execute_command("BLPOP", f"{prefix}:bell", 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert client.execute_command("ECHO", "mine") == b"mine"
    client.close()
