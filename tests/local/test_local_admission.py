"""Quick mode lets in the user who runs it, and nobody else unless it is told to."""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import uvloop
from stack_process import StackProcess

from bide.settings import Settings
from local import peer, ports
from local.admission import Admission, admission, of_user
from local.asgi import Application, always
from local.http_server import Server
from local.proxy_event import Answer

LOCAL = Settings(local=True)
HASHES = (("default", "0" * 64),)
SOMEBODY = os.geteuid() + 1

linux = pytest.mark.skipif(not peer.TELLS, reason="Linux alone says whose a connection is")


@pytest.fixture
def serve() -> Iterator[Callable[[Admission | None], str]]:
    """Starts servers that greet whom they admit; gives the URL."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(admission: Admission | None) -> str:
        listener = ports.listen(0)
        ready = threading.Event()
        greeting = Application(always(Answer(200, [], b"hello")))
        server = Server(greeting, ready.set, admission=admission)
        thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[listener])))
        thread.start()
        running.append((server, thread))
        assert ready.wait(10)
        return f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@linux
def test_the_user_who_runs_it_is_let_in(serve: Callable[[Admission | None], str]) -> None:
    url = serve(admission(LOCAL))
    assert requests.get(url, timeout=10).text == "hello"


@linux
def test_another_user_is_told_what_would_let_them_in(serve: Callable[[Admission | None], str]) -> None:
    url = serve(of_user(SOMEBODY))
    with requests.Session() as session:
        for _ in range(2):  # on one connection
            answer = session.post(f"{url}/v1/tasks", json={"name": "echo"}, timeout=10)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN_USER")
            assert "BIDE_LOCAL_OPEN=1" in answer.json()["detail"]
            assert "BIDE_API_KEY_HASHES" in answer.json()["detail"]


def test_the_superuser_is_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "peer_uid", lambda *_: 0)
    refusal = of_user(SOMEBODY)((ports.LOOPBACK, 1), (ports.LOOPBACK, 2))
    assert refusal is not None
    assert b"another user asks" in refusal.body


@linux
def test_a_connection_that_nobody_is_known_to_have_is_refused() -> None:
    refusal = of_user(os.geteuid())((ports.LOOPBACK, 1), (ports.LOOPBACK, 2))
    assert refusal is not None
    assert refusal.status == 403
    assert b"cannot be told" in refusal.body


@pytest.mark.parametrize(
    "settings",
    [
        Settings(local=True, local_open=True),
        Settings(local=True, api_key_hashes=HASHES),
        Settings(local=True, operator_key_hashes=HASHES),
        Settings(),
    ],
)
def test_where_keys_decide_or_it_is_open_nobody_is_looked_up(settings: Settings) -> None:
    assert admission(settings) is None


def test_where_the_system_does_not_tell_all_are_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "TELLS", False)
    assert admission(LOCAL) is None


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be another user")
@pytest.mark.parametrize(("is_open", "status"), [("0", 403), ("1", 202)])
def test_make_up_answers_another_user_only_when_it_is_open(
    start: Callable[..., StackProcess], is_open: str, status: int
) -> None:
    stack = start(BIDE_LOCAL_OPEN=is_open).ready()
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(_as_somebody, stack, "echo").result(60)
    assert answer.status_code == status
    assert stack.submit("echo", value=1).json()["result"] == 1


def _as_somebody(stack: StackProcess, task: str) -> requests.Response:
    """Submit on a socket of another user. Linux has this for each thread; glibc leaves it so."""
    ctypes.CDLL(None).setfsuid(SOMEBODY)
    return stack.submit(task, wait=0, value=1)


def test_make_up_honours_keys(start: Callable[..., StackProcess]) -> None:
    digest = hashlib.sha256(b"mine").hexdigest()
    stack = start(BIDE_API_KEY_HASHES=digest).ready()
    assert "BIDE_KEY=YOUR_KEY" in "\n".join(stack.lines)
    assert stack.submit("echo", value=1).status_code == 401
    assert requests.get(f"{stack.url}/healthz", timeout=30).status_code == 200
    stack.headers = {"Authorization": "Bearer mine"}
    assert stack.submit("echo", value=1).json()["result"] == 1
    close = requests.post(f"{stack.url}/v1/server/open", headers=stack.headers, timeout=30)
    assert (close.status_code, close.json()["code"]) == (403, "FORBIDDEN")
