"""The HTTP server of an API process, over real sockets, with an app of the test's own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvloop
from chalice.app import Chalice, Response

from local import ports
from local.asgi import Application
from local.blocking import Blocking
from local.gateway import Gateway
from local.http_server import Server
from local.proxy_event import MAX_BODY_BYTES

THREADS = 4


class Running:
    """A server in a thread."""

    def __init__(self, app: Chalice) -> None:
        listener = ports.listen(ports.free_port())
        self.port: int = listener.getsockname()[1]
        self._ready = threading.Event()
        self._server = Server(Application(Blocking(Gateway(app), THREADS).answer), self._ready.set)
        self._thread = threading.Thread(target=self._run, args=(listener,))
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self, listener: socket.socket) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[listener])

        uvloop.run(serve())

    def drain(self) -> None:
        self._loop.call_soon_threadsafe(self._server.drain)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(10)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with socket.create_connection((ports.LOOPBACK, self.port), timeout=10) as connected:
            yield Connection(connected)


class Connection:
    """Raw HTTP."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._file = connected.makefile("rb")

    def send(self, text: str | bytes) -> None:
        self._socket.sendall(text.replace("\n", "\r\n").encode() if isinstance(text, str) else text)

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next response."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next response, whole."""
        status, headers = self.head()
        return status, headers, self._file.read(int(headers["content-length"]))

    def ended(self) -> bool:
        """Whether the server has closed the connection, after nothing more."""
        return self._file.read() == b""


@pytest.fixture
def blocked() -> Iterator[threading.Event]:
    """Set, it lets the handler of GET /blocked go on."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def server(blocked: threading.Event) -> Iterator[Running]:
    app = Chalice("test")

    @app.route("/echo", methods=["GET", "POST"], content_types=["*/*"])
    def echo() -> Response:
        request = app.current_request
        assert request is not None
        return Response(request.raw_body, headers={"Content-Type": "text/plain"})

    @app.route("/blocked")
    def wait() -> Response:
        blocked.wait(10)
        return Response("at last", headers={"Content-Type": "text/plain"})

    @app.route("/unchanged")
    def unchanged() -> Response:
        return Response("", headers={"ETag": '"1"'}, status_code=304)

    @app.route("/{proxy+}")
    def refuse() -> Response:
        request = app.current_request
        assert request is not None
        assert request.uri_params is not None
        path = request.uri_params["proxy"]
        return Response(path, headers={"Content-Type": "text/plain"}, status_code=404)

    running = Running(app)
    yield running
    blocked.set()
    running.stop()


def test_a_connection_is_kept_for_many_requests(server: Running) -> None:
    with server.connection() as connection:
        for number in range(3):
            connection.send(f"POST /echo HTTP/1.1\nHost: x\nContent-Length: 1\n\n{number}")
            assert connection.answer()[2] == str(number).encode()


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    with server.connection() as connection:
        connection.send(
            "".join(f"POST /echo HTTP/1.1\nHost: x\nContent-Length: 1\n\n{number}" for number in range(5))
        )
        assert [connection.answer()[2] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_chunked_body_is_put_together(server: Running) -> None:
    with server.connection() as connection:
        connection.send("POST /echo HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n")
        assert connection.answer()[2] == b"abcde"


def test_bytes_that_are_not_text_arrive_as_they_were_sent(server: Running) -> None:
    with server.connection() as connection:
        connection.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n\xff\x00\xfe")
        assert connection.answer()[2] == b"\xff\x00\xfe"


def test_the_answer_to_head_has_a_length_and_no_body(server: Running) -> None:
    with server.connection() as connection:
        connection.send("HEAD /echo HTTP/1.1\nHost: x\n\nGET /other HTTP/1.1\nHost: x\n\n")
        status, headers = connection.head()
        assert status == 405
        assert int(headers["content-length"]) > 0
        assert connection.answer()[2] == b"other"


def test_a_304_has_no_body_and_the_connection_goes_on(server: Running) -> None:
    with server.connection() as connection:
        connection.send("GET /unchanged HTTP/1.1\nHost: x\n\nGET /other HTTP/1.1\nHost: x\n\n")
        status, headers = connection.head()
        assert (status, headers["etag"]) == (304, '"1"')
        assert connection.answer()[2] == b"other"


def test_a_body_announced_as_too_large_is_refused_before_it_is_sent(server: Running) -> None:
    with server.connection() as connection:
        connection.send(f"POST /echo HTTP/1.1\nHost: x\nContent-Length: {MAX_BODY_BYTES + 1}\n\n")
        status, headers, body = connection.answer()
        assert (status, headers["connection"]) == (413, "close")
        assert headers["content-type"] == "application/problem+json"
        assert b'"TOO_LARGE"' in body


def test_a_client_that_sends_on_regardless_still_reads_its_413(server: Running) -> None:
    body = bytes(MAX_BODY_BYTES + 1_000_000)
    with server.connection() as connection:
        connection.send(f"POST /echo HTTP/1.1\nHost: x\nContent-Length: {len(body)}\n\n")
        connection.send(body)
        assert connection.answer()[0] == 413
        assert connection.ended()


def test_a_chunked_body_that_grows_too_large_is_refused(server: Running) -> None:
    with server.connection() as connection:
        connection.send("POST /echo HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n")
        chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        for _ in range(11):
            connection.send(chunk)
        assert connection.answer()[0] == 413


def test_the_largest_body_is_taken(server: Running) -> None:
    body = b"x" * MAX_BODY_BYTES
    with server.connection() as connection:
        connection.send(f"POST /echo HTTP/1.1\nHost: x\nContent-Length: {len(body)}\n\n")
        connection.send(body)
        assert connection.answer()[2] == body


@pytest.mark.parametrize(
    "request_text",
    [
        "nonsense\n\n",
        "GET / HTTP/1.1\nbad header\n\n",
        "GET /\x01 HTTP/1.1\nHost: x\n\n",
        "POST /echo HTTP/1.1\nHost: x\nContent-Length: -1\n\n",
        "POST /echo HTTP/1.1\nHost: x\nContent-Length: 1\nContent-Length: 2\n\n",
        "POST /echo HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nzz\n",
        "OPTIONS * HTTP/1.1\nHost: x\n\n",
        "CONNECT example.com:80 HTTP/1.1\nHost: x\n\n",
        "\x16\x03\x01 a TLS hello",
    ],
)
def test_malformed_http_gets_400_or_a_closed_connection_and_nobody_else_notices(
    server: Running, request_text: str
) -> None:
    with server.connection() as bad, server.connection() as good:
        bad.send(request_text)
        assert bad.head()[0] in (400, 403)
        good.send("GET /other HTTP/1.1\nHost: x\n\n")
        assert good.answer()[0] == 404


def test_an_absolute_target_is_served_by_its_path(server: Running) -> None:
    with server.connection() as connection:
        connection.send("GET http://127.0.0.1/some/path HTTP/1.1\nHost: x\n\n")
        assert connection.answer()[2] == b"some/path"


def test_requests_that_wait_hold_up_nobody(server: Running, blocked: threading.Event) -> None:
    with server.connection() as waiting, server.connection() as other:
        waiting.send("GET /blocked HTTP/1.1\nHost: x\nPrefer: wait=10\n\n")
        other.send("GET /other HTTP/1.1\nHost: x\n\n")
        assert other.answer()[0] == 404
        blocked.set()
        assert waiting.answer()[2] == b"at last"


def test_clients_that_send_slowly_hold_no_thread(server: Running) -> None:
    slow = [server.connection() for _ in range(THREADS * 4)]
    opened = [manager.__enter__() for manager in slow]
    for connection in opened:
        connection.send("POST /echo HTTP/1.1\nHost: x\nPrefer: wait=1\nContent-Length: 2\n\na")
    with server.connection() as quick:
        quick.send("POST /echo HTTP/1.1\nHost: x\nPrefer: wait=1\nContent-Length: 2\n\nok")
        assert quick.answer()[2] == b"ok"
    for connection in opened:
        connection.send("b")
        assert connection.answer()[2] == b"ab"
    for manager in slow:
        manager.__exit__(None, None, None)


def test_after_a_slow_request_the_others_go_to_threads(server: Running, blocked: threading.Event) -> None:
    threading.Timer(0.3, blocked.set).start()
    with server.connection() as first, server.connection() as second, server.connection() as third:
        first.send("GET /blocked HTTP/1.1\nHost: x\n\n")  # on the event loop: holds up all for 0.3 s
        assert first.answer()[2] == b"at last"
        blocked.clear()
        second.send("GET /blocked HTTP/1.1\nHost: x\n\n")
        third.send("GET /other HTTP/1.1\nHost: x\n\n")
        assert third.answer()[0] == 404
        blocked.set()
        assert second.answer()[2] == b"at last"


def test_draining_answers_open_connections_once_more_and_then_ends(server: Running) -> None:
    with server.connection() as connection:
        connection.send("GET /one HTTP/1.1\nHost: x\n\n")
        assert "connection" not in connection.answer()[1]
        server.drain()
        refused = False
        while not refused:
            try:
                socket.create_connection((ports.LOOPBACK, server.port)).close()
                time.sleep(0.01)
            except ConnectionRefusedError:
                refused = True
        connection.send("GET /two HTTP/1.1\nHost: x\n\n")
        status, headers, body = connection.answer()
        assert (status, body, headers["connection"]) == (404, b"two", "close")
        assert connection.ended()
    server.stop()
    assert not server.alive


def test_stopping_finishes_the_request_at_hand(server: Running, blocked: threading.Event) -> None:
    with server.connection() as connection, server.connection() as idle:
        idle.send("GET /one HTTP/1.1\nHost: x\n\n")
        idle.answer()
        connection.send("GET /blocked HTTP/1.1\nHost: x\nPrefer: wait=10\n\n")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert idle.ended()
        blocked.set()
        assert connection.answer()[2] == b"at last"
        stopping.join()
    assert not server.alive
