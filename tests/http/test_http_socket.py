"""The API over a real socket: server, gateway, Chalice, store."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from hand_worker import HandWorker

from bide.exchange import Usage
from bide_client import Client, TaskFinished
from chalice_app.limits import MAX_BODY_BYTES

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    """One connection, kept alive from request to request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    yield connection
    connection.close()


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, {**JSON, **named})
    response = connection.getresponse()
    return response, response.read()


def _exchange(port: int, request: bytes) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(request)
        answer = b""
        while part := raw.recv(65_536):
            answer += part
        return answer


def test_a_task_from_submission_to_result(connection: http.client.HTTPConnection, worker: HandWorker) -> None:
    accepted, body = _ask(connection, "POST", "/v1/tasks", b'{"name":"echo","args":{"value":"\xc3\xbc"}}')
    assert accepted.status == 202
    path = accepted.headers["Location"]
    worker.succeed(worker.lease(), "ü")
    shown, body = _ask(connection, "GET", path)
    assert shown.status == 200
    assert json.loads(body)["result"] == "ü"
    unchanged, body = _ask(connection, "GET", path, If_None_Match=shown.headers["ETag"])
    assert (unchanged.status, body) == (304, b"")
    head, body = _ask(connection, "HEAD", path)
    assert (head.status, body, head.headers["ETag"]) == (200, b"", shown.headers["ETag"])
    again, body = _ask(connection, "GET", path)  # the framing of 304 and HEAD was right
    assert (again.status, json.loads(body)["done"]) == (200, True)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "MALFORMED_JSON"),
        (b"\xff\xfe", 400, "MALFORMED_JSON"),
        (b'{"name":"echo","args":{"value":NaN}}', 400, "MALFORMED_JSON"),
        (b'{"name":"echo","args":{"value":1e999}}', 422, "INVALID_ARGUMENTS"),
        (b'{"name":"echo","args":{"value":%s}}' % (b"9" * 5_000), 422, "INVALID_ARGUMENTS"),
        (b'{"name":"echo","args":{"value":"\\ud800"}}', 400, "MALFORMED_JSON"),
        (b'{"name":"echo","args":{"value":"\x00"}}', 400, "MALFORMED_JSON"),
        (b'{"name":"echo","args":{"value":%s}}' % (b"[" * 100_000 + b"]" * 100_000), 400, "INVALID_REQUEST"),
        (b"[" * 100_000, 400, "INVALID_REQUEST"),
        (b'{"name":"nosuch"}', 422, "UNKNOWN_TASK"),
        (b'{"name":"add","args":{"a":"x"}}', 422, "INVALID_ARGUMENTS"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "TOO_LARGE"),
    ],
)
def test_bad_input_is_a_problem_and_leaves_the_connection_usable(
    connection: http.client.HTTPConnection, body: bytes, status: int, code: str
) -> None:
    response, answer = _ask(connection, "POST", "/v1/tasks", body)
    assert (response.status, json.loads(answer)["code"]) == (status, code)
    assert response.headers["Content-Type"] == "application/problem+json"
    response, _ = _ask(connection, "GET", "/v1/server")
    assert response.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("DELETE", "/v1/tasks", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/v1/tasks", 405, "METHOD_NOT_ALLOWED"),
        ("TRACE", "/v1/tasks", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/batches", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/v1/tasks/a/b/c/d", 404, "NOT_FOUND"),
        ("GET", "/v1/tasks/%00%ff%2f..%2f", 404, "TASK_NOT_FOUND"),
        ("GET", "/v1/tasks/" + "x" * 5_000, 404, "TASK_NOT_FOUND"),
        ("GET", "/v1/tasks/..%2F..%2Fv1%2Fserver", 404, "TASK_NOT_FOUND"),
        ("GET", "//example.com/v1/tasks", 404, "NOT_FOUND"),
        ("GET", "/v1/server?" + "a=b&" * 500, 200, None),
        ("GET", "/v1/server/", 200, None),
    ],
)
def test_methods_and_paths(
    connection: http.client.HTTPConnection, method: str, path: str, status: int, code: str | None
) -> None:
    response, body = _ask(connection, method, path)
    assert (response.status, json.loads(body).get("code")) == (status, code)
    assert (status == 405) == ("Allow" in response.headers)


@pytest.mark.parametrize(
    "header",
    [
        b"Idempotency-Key: a\rX-Injected: 1",
        b"Idempotency-Key: \xff\xfe",
        b"Idempotency-Key: " + b"k" * 10_000,
        b"Prefer: wait=" + b"9" * 10_000,
        b"If-None-Match: " + b'"' * 10_000,
        b"Content-Type: \xff",
        b"Authorization: Bearer \xf0\x9f\x98\x80",
        b"Host: example.com",
        b"Origin: https://example.com",
    ],
)
def test_absurd_headers_are_answered_and_nothing_of_them_comes_back(port: int, header: bytes) -> None:
    host = b"" if header.startswith(b"Host") else b"Host: localhost\r\n"
    body = b'{"name":"house.keep"}'
    answer = _exchange(
        port,
        b"POST /v1/tasks HTTP/1.1\r\n%s%s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        % (host, header, len(body), body),
    )
    head, _, _ = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status in (202, 400, 403, 415)
    assert b"Injected" not in head


def test_a_reason_cannot_become_a_header(connection: http.client.HTTPConnection) -> None:
    _ask(connection, "POST", "/v1/server/close", b'{"reason":"x\\r\\nX-Injected: 1"}')
    response, _ = _ask(connection, "POST", "/v1/tasks", b'{"name":"house.keep"}')
    assert response.status == 503
    assert "X-Injected" not in response.headers


def test_concurrent_requests_get_their_own_answers(port: int) -> None:
    wrong: list[object] = []
    together = threading.Barrier(8)

    def submit_many(thread: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        together.wait()
        for number in range(25):
            sent = {"thread": thread, "number": number}
            body = json.dumps({"name": "echo", "args": {"value": sent}, "delay": 60}).encode()
            # One that prefers to wait is handled in a thread; due later, it does not wait.
            prefer = {"Prefer": "wait=5"} if number % 2 else {}
            response, answer = _ask(connection, "POST", "/v1/tasks", body, **prefer)
            if response.status != 202 or json.loads(answer)["args"] != {"value": sent}:
                wrong.append((response.status, answer))
            response, answer = _ask(connection, "GET", response.headers["Location"], **prefer)
            if json.loads(answer)["args"] != {"value": sent}:
                wrong.append((response.status, answer))
        connection.close()

    threads = [threading.Thread(target=submit_many, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_client_sends_events_and_reads_what_came_of_them(port: int, worker: HandWorker) -> None:
    with Client(f"http://127.0.0.1:{port}") as client:
        task = client.submit("echo", value=1)
        worker.park(worker.lease(), awaits="approved")
        assert task.status().state == "waiting"
        for _ in range(2):
            assert task.send_event("approved", {"by": "Ada"}, idempotency_key="k").state == "ready"
        lease = worker.lease()
        assert [json.loads(event.body) for event in lease.events] == [{"by": "Ada"}]
        worker.progress(lease, fraction=0.5, message="half")
        assert task.status().progress == {"fraction": 0.5, "message": "half"}
        worker.succeed(lease, "done", Usage(billed_us=2_500))
        assert task.result(5) == "done"
        assert task.status().billed_ms == 2.5
        with pytest.raises(TaskFinished):
            client.send_event(task.id, "approved")
        stats = client.stats()
        assert (stats.succeeded, stats.billed_ms) == (1, 2.5)
        assert stats.summary.endswith(", billed 2.5 ms")
