"""The HTTP server of an API process, over real sockets, with an app of the test's own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvloop
from chalice.app import Chalice, Response

from local import ports
from local.asgi import Application
from local.blocking import Blocking
from local.gateway import Gateway
from local.http_connection import Bounds
from local.http_server import Server
from local.proxy_event import MAX_BODY_BYTES

THREADS = 4


class Running:
    """A server in a thread."""

    def __init__(self, app: Chalice, bounds: Bounds | None = None) -> None:
        listener = ports.listen(ports.free_port())
        self.port: int = listener.getsockname()[1]
        self._ready = threading.Event()
        application = Application(Blocking(Gateway(app), THREADS).answer)
        self._server = Server(application, self._ready.set, bounds)
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

    def leave(self) -> None:
        """Send nothing more; the server would throw it away for some time."""
        self._socket.shutdown(socket.SHUT_WR)

    def is_refused(self) -> bool:
        """Whether the server takes nothing more."""
        try:
            self._socket.sendall(b"\r\n")
        except OSError:
            return True
        return False

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
def app(blocked: threading.Event) -> Chalice:
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

    return app


@pytest.fixture
def run(app: Chalice, blocked: threading.Event) -> Iterator[Callable[[Bounds | None], Running]]:
    """Starts servers that end with the test."""
    started: list[Running] = []

    def start(bounds: Bounds | None) -> Running:
        started.append(Running(app, bounds))
        return started[-1]

    yield start
    blocked.set()
    for running in started:
        running.stop()


@pytest.fixture
def server(run: Callable[[Bounds | None], Running]) -> Running:
    return run(None)


@pytest.fixture
def hurried(run: Callable[[Bounds | None], Running]) -> Running:
    """A server whose clients have a fifth of a second for a request."""
    return run(Bounds(request_seconds=0.2))


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


@pytest.mark.parametrize(
    "part",
    [
        "G",
        "GET /echo HTTP/1.1\nHost: x\n",
        "POST /echo HTTP/1.1\nHost: x\nContent-Length: 2\n\na",
        "POST /echo HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n1\na\n",
    ],
)
def test_a_request_that_does_not_arrive_in_time_gets_408(hurried: Running, part: str) -> None:
    with hurried.connection() as slow:
        slow.send(part)
        status, headers, body = slow.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert b"0.2 s" in body
        assert slow.ended()


@pytest.mark.parametrize("nothing", ["", "\n\n"])
def test_a_connection_that_begins_no_request_is_closed_without_a_word(hurried: Running, nothing: str) -> None:
    with hurried.connection() as silent:
        silent.send(nothing)
        assert silent.ended()


def test_the_next_request_of_a_connection_has_to_arrive_in_time_as_well(hurried: Running) -> None:
    with hurried.connection() as connection:
        connection.send("GET /one HTTP/1.1\nHost: x\n\nGET /two HT")
        assert connection.answer()[2] == b"one"
        assert connection.answer()[0] == 408
        assert connection.ended()


def test_time_counts_for_the_client_alone(hurried: Running, blocked: threading.Event) -> None:
    with hurried.connection() as waiting, hurried.connection() as kept:
        kept.send("GET /one HTTP/1.1\nHost: x\n\n")
        kept.answer()
        waiting.send("GET /blocked HTTP/1.1\nHost: x\nPrefer: wait=10\n\nGET /two HTTP/1.1\nHost: x\n\n")
        for _ in range(2):  # so long at least as anybody has for a request
            with hurried.connection() as silent:
                assert silent.ended()
        blocked.set()
        assert waiting.answer()[2] == b"at last"
        assert waiting.answer()[2] == b"two"
        kept.send("GET /two HTTP/1.1\nHost: x\n\n")
        assert kept.answer()[2] == b"two"


def test_what_follows_a_request_under_way_is_not_answered_in_its_place(
    server: Running, blocked: threading.Event
) -> None:
    with server.connection() as connection:
        connection.send("GET /blocked HTTP/1.1\nHost: x\nPrefer: wait=10\n\n\x16\x03\x01")
        assert connection.ended()
        blocked.set()


_LONG = "x" * 64 * 1024


@pytest.mark.parametrize(
    "head",
    [
        f"GET /{_LONG} HTTP/1.1\nHost: x\n\n",
        f"GET /echo HTTP/1.1\nHost: x\nCookie: {_LONG}\n\n",
        f"GET /echo HTTP/1.1\nHost: x\n{'A: b' + chr(10)}{('A: b' + chr(10)) * 12_000}\n",
        f"GET /echo HTTP/1.1\nHost: x\nCookie: {_LONG}",
        f"GET /{_LONG}",
        f"POST /echo HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n1\na\n0\nTrailer: {_LONG}\n\n",
        f"POST /echo HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n1;{_LONG}",
        chr(10) * 64 * 1024,
    ],
    ids=["path", "header", "headers", "part of a header", "part of a path", "trailer", "extension", "blank"],
)
def test_a_request_may_have_64_kib_besides_its_body(server: Running, head: str) -> None:
    with server.connection() as connection:
        connection.send(head)
        status, headers, body = connection.answer()
        assert (status, headers["connection"]) == (431, "close")
        assert b"65536 bytes" in body
        connection.leave()
        assert connection.ended()


def test_headers_of_60_kib_are_taken(server: Running) -> None:
    with server.connection() as connection:
        for _ in range(2):
            connection.send(f"POST /echo HTTP/1.1\nHost: x\nCookie: {_LONG[:60_000]}\nContent-Length: 1\n\n")
            connection.send("a")
            assert connection.answer()[2] == b"a"


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /one HTTP/1.1\nHost: x\nHost: y\n\n",
        "GET /one HTTP/1.1\nHost: x\nhost: x\n\n",
        "GET /one HTTP/1.0\nHost: x\nHost: x\n\n",
        "GET /one HTTP/1.1\n\n",
    ],
)
def test_a_request_has_one_host(server: Running, request_text: str) -> None:
    with server.connection() as connection:
        connection.send(request_text)
        status, headers, body = connection.answer()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert b"Host" in body
        assert connection.ended()


def test_http_1_0_needs_no_host(server: Running) -> None:
    with server.connection() as connection:
        connection.send("GET /one HTTP/1.0\n\n")
        assert connection.answer()[2] == b"one"


def test_the_connection_that_is_silent_for_longest_gives_way(
    run: Callable[[Bounds | None], Running], blocked: threading.Event
) -> None:
    server = run(Bounds(silent=3))
    with server.connection() as waiting, server.connection() as used, server.connection() as new:
        waiting.send("GET /blocked HTTP/1.1\nHost: x\nPrefer: wait=10\n\n")
        for connection in (new, used):  # of the two, the other is the longer silent
            connection.send("GET /one HTTP/1.1\nHost: x\n\n")
            connection.answer()
        with server.connection() as partial, server.connection() as latest:
            partial.send("GET /one HTTP/1.1\n")
            latest.send("GET /one HTTP/1.1\nHost: x\n\n")
            assert latest.answer()[2] == b"one"
            assert new.ended()
            partial.send("Host: x\n\n")
            assert partial.answer()[2] == b"one"
            used.send("GET /two HTTP/1.1\nHost: x\n\n")
            assert used.answer()[2] == b"two"
        blocked.set()
        assert waiting.answer()[2] == b"at last"


def test_a_client_that_reads_no_answer_counts_as_silent(run: Callable[[Bounds | None], Running]) -> None:
    server = run(Bounds(silent=1))
    body = b"x" * 8_000_000
    with server.connection() as deaf:
        for _ in range(2):  # more than the sockets on the way hold
            deaf.send(f"POST /echo HTTP/1.1\nHost: x\nContent-Length: {len(body)}\n\n")
            deaf.send(body)
        others = 0
        while not deaf.is_refused():
            others += 1
            assert others < 1000
            with server.connection() as other:
                other.send("GET /one HTTP/1.1\nHost: x\n\n")
                assert other.answer()[2] == b"one"


def test_a_request_that_a_stop_cuts_off_leaves_no_traceback(
    capfd: pytest.CaptureFixture[str], server: Running
) -> None:
    with server.connection() as connection:
        connection.send("GET /blocked HTTP/1.1\nHost: x\nPrefer: wait=10\n\n")
        connection.send("GET /one HTTP/1.1\nHost: x\n\n")  # it is read, so the one before it has begun
        server.stop()
        assert not server.alive
    assert capfd.readouterr().err == ""
