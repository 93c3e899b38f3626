"""What is tried again, with which key, how long; and what is not."""

from __future__ import annotations

import time

import pytest

from bide_client import Client, ConnectionFailed, ProblemError, RateLimited, ServerClosed

from .replies import ID, accepted, cancelled, problem, server_json, succeeded
from .stub_server import Reply, StubServer

LOST = Reply(202, {"lost": "in transit"}, fault="drop")
CUT = Reply(202, {"lost": "half way through"}, fault="truncate")
GATEWAY = Reply(502, raw=b"<html>Bad Gateway</html>")
GATEWAY_503 = Reply(503, {"message": "Service Unavailable"})
TIMED_OUT = Reply(504, {"message": "Endpoint request timed out"})


@pytest.mark.parametrize(
    "trouble",
    [
        LOST,
        CUT,
        GATEWAY,
        GATEWAY_503,
        TIMED_OUT,
        problem(503, "STORE_UNAVAILABLE"),
        problem(429, "RATE_LIMITED"),
    ],
    ids=["reply lost", "reply cut", "502", "503 of a gateway", "504", "store unavailable", "429"],
)
def test_a_submission_is_tried_again_with_the_same_key(
    stub: StubServer, client: Client, trouble: Reply
) -> None:
    stub.plays(trouble, trouble, accepted())
    assert client.submit("echo", value=1).id == ID
    assert len(stub.asked) == 3
    assert len({asked.headers["Idempotency-Key"] for asked in stub.asked}) == 1
    assert len({asked.body for asked in stub.asked}) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_REQUEST"),
        (401, "UNAUTHENTICATED"),
        (422, "INVALID_ARGUMENTS"),
        (500, "INTERNAL"),
        (503, "NOT_CONFIGURED"),
        (503, "CLOSED"),
    ],
)
def test_what_would_be_answered_alike_is_not_tried_again(
    stub: StubServer, client: Client, status: int, code: str
) -> None:
    stub.plays(problem(status, code, retry_after=0))
    with pytest.raises(ProblemError) as caught:
        client.submit("echo")
    assert caught.value.code == code
    assert len(stub.asked) == 1


def test_retry_after_is_honoured(stub: StubServer, client: Client) -> None:
    stub.plays(problem(429, "RATE_LIMITED", retry_after=1), accepted())
    client.submit("echo")
    first, second = stub.asked
    assert second.at - first.at >= 1


def test_a_retry_after_beyond_the_patience_is_reported_at_once(stub: StubServer) -> None:
    stub.plays(problem(429, "RATE_LIMITED", retry_after=60))
    began = time.monotonic()
    with Client(stub.url, patience=10) as client, pytest.raises(RateLimited) as caught:
        client.submit("echo")
    assert caught.value.retry_after == 60
    assert time.monotonic() - began < 30


def test_patience_ends(stub: StubServer) -> None:
    stub.otherwise = lambda asked: GATEWAY
    with Client(stub.url, patience=0.8) as client, pytest.raises(ProblemError) as caught:
        client.submit("echo")
    assert caught.value.attempts == len(stub.asked)
    assert len(stub.asked) >= 2
    assert stub.asked[-1].at - stub.asked[0].at < 2


def test_without_patience_nothing_is_tried_again(stub: StubServer) -> None:
    stub.plays(LOST)
    with Client(stub.url, patience=0) as client, pytest.raises(ConnectionFailed) as caught:
        client.submit("echo")
    assert caught.value.may_have_arrived
    assert len(stub.asked) == 1


def test_a_closed_server_is_tried_again_only_where_that_was_asked_for(stub: StubServer) -> None:
    stub.plays(problem(503, "CLOSED", "closed: upgrade", retry_after=0), accepted())
    with Client(stub.url, retry_closed=True) as client:
        assert client.submit("echo").id == ID


def test_a_closed_server_says_why_and_for_how_long(stub: StubServer, client: Client) -> None:
    stub.plays(problem(503, "CLOSED", "closed: upgrade", retry_after=60))
    with pytest.raises(ServerClosed, match="closed: upgrade") as caught:
        client.submit("echo")
    assert caught.value.retry_after == 60


def test_a_poll_is_tried_again(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), LOST, GATEWAY, succeeded(7))
    assert client.submit("echo").result(5) == 7


def test_a_cancel_whose_answer_was_lost_is_known_to_have_worked(stub: StubServer, client: Client) -> None:
    stub.plays(LOST, problem(409, "TASK_FINISHED"), cancelled())
    assert client.task(ID).cancel().state == "cancelled"


@pytest.mark.parametrize("trouble", [LOST, GATEWAY], ids=["reply lost", "502"])
def test_close_and_open_are_not_tried_again(stub: StubServer, client: Client, trouble: Reply) -> None:
    stub.plays(trouble, trouble)
    with pytest.raises((ConnectionFailed, ProblemError)):
        client.close("upgrade")
    with pytest.raises((ConnectionFailed, ProblemError)):
        client.open()
    assert [asked.path for asked in stub.asked] == ["/v1/server/close", "/v1/server/open"]


def test_close_tells_the_server_reason_and_retry_after(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, server_json(False, "upgrade", 60)))
    closed = client.close("upgrade", 60)
    assert stub.asked[0].json == {"reason": "upgrade", "retry_after": 60}
    assert (closed.accepting, closed.reason, closed.retry_after) == (False, "upgrade", 60)


def test_close_needs_a_reason_so_that_nobody_closes_the_server_by_habit(client: Client) -> None:
    with pytest.raises(TypeError, match="reason"):
        client.close()  # type: ignore[call-arg]  # the mistake is the test
