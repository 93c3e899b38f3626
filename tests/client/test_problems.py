"""Each problem of the contract becomes its own error, with all that the server said."""

from __future__ import annotations

import inspect
import re

import pytest

import bide_client
from bide_client import Client, errors, outcomes

from .replies import accepted, problem
from .stub_server import Reply, StubServer


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "MALFORMED_JSON", errors.InvalidRequest),
        (400, "INVALID_REQUEST", errors.InvalidRequest),
        (401, "UNAUTHENTICATED", errors.AccessDenied),
        (403, "FORBIDDEN_HOST", errors.AccessDenied),
        (403, "FORBIDDEN_USER", errors.AccessDenied),
        (403, "FORBIDDEN", errors.Forbidden),
        (404, "NOT_FOUND", errors.NotFound),
        (404, "TASK_NOT_FOUND", errors.TaskNotFound),
        (404, "QUEUE_NOT_FOUND", errors.QueueNotFound),
        (405, "METHOD_NOT_ALLOWED", errors.InvalidRequest),
        (409, "TASK_FINISHED", errors.TaskFinished),
        (409, "TASK_NOT_FINISHED", errors.TaskNotFinished),
        (409, "TASK_NOT_FAILED", errors.TaskNotFailed),
        (409, "NOT_UNIQUE", errors.NotUnique),
        (413, "TOO_LARGE", errors.TooLarge),
        (415, "UNSUPPORTED_MEDIA_TYPE", errors.InvalidRequest),
        (422, "INVALID_ARGUMENTS", errors.InvalidArguments),
        (422, "UNKNOWN_TASK", errors.UnknownTask),
        (422, "UNKNOWN_QUEUE", errors.UnknownQueue),
        (422, "IDEMPOTENCY_CONFLICT", errors.IdempotencyConflict),
        (422, "NOT_SUPPORTED_YET", errors.InvalidRequest),
        (429, "INBOX_FULL", errors.InboxFull),
        (429, "RATE_LIMITED", errors.RateLimited),
        (500, "INTERNAL", errors.ServerFault),
        (503, "CLOSED", errors.ServerClosed),
        (503, "NOT_CONFIGURED", errors.ServerFault),
        (503, "STORE_UNAVAILABLE", errors.StoreUnavailable),
        (418, "OF_A_LATER_SERVER", errors.Refused),
        (599, "OF_A_LATER_SERVER", errors.ServerFault),
    ],
)
def test_a_code_has_its_class(
    stub: StubServer, status: int, code: str, kind: type[errors.ProblemError]
) -> None:
    stub.plays(problem(status, code, "the detail"))
    with Client(stub.url, patience=0) as client, pytest.raises(kind) as caught:
        client.submit("echo")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, str(caught.value)) == (status, code, "the detail")


def test_wrong_fields_are_pointed_at(stub: StubServer, client: Client) -> None:
    wrong = [{"pointer": "/args/seconds", "detail": "expected a number"}]
    stub.plays(problem(422, "INVALID_ARGUMENTS", "The arguments do not fit.", errors=wrong))
    with pytest.raises(errors.InvalidArguments) as caught:
        client.submit("sleep", seconds="long")
    assert caught.value.errors == wrong
    assert str(caught.value) == "The arguments do not fit.\n  /args/seconds: expected a number"


def test_what_the_detail_says_already_is_not_repeated(stub: StubServer, client: Client) -> None:
    wrong = [{"pointer": "/args/seconds", "detail": "Expected `float`."}]
    stub.plays(
        problem(422, "INVALID_ARGUMENTS", "Expected `float`.", errors=wrong),
        problem(422, "INVALID_ARGUMENTS", "Expected `float`. It is /args/seconds", errors=wrong),
    )
    said = []
    for _ in range(2):
        with pytest.raises(errors.InvalidArguments) as caught:
            client.submit("sleep", seconds="long")
        said.append(str(caught.value))
    assert said == ["Expected `float`.\n  at /args/seconds", "Expected `float`. It is /args/seconds"]


def test_the_whole_problem_is_kept(stub: StubServer, client: Client) -> None:
    stub.plays(problem(422, "UNKNOWN_TASK", "Did you mean 'echo'?", nearest="echo"))
    with pytest.raises(errors.UnknownTask) as caught:
        client.submit("ecko")
    assert caught.value.problem["nearest"] == "echo"


def test_a_refusal_by_a_gateway_in_front_is_told_by_its_status(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(403, {"message": "Forbidden by the gateway"}))
    with pytest.raises(errors.AccessDenied, match="Forbidden by the gateway") as caught:
        client.submit("echo")
    assert caught.value.code is None


@pytest.mark.parametrize("said", ["Forbidden", "Missing Authentication Token"])
def test_a_url_without_its_stage_is_told_that_one_is_missing(stub: StubServer, said: str) -> None:
    stub.otherwise = lambda _: Reply(403, {"message": said})
    with Client(stub.url, patience=0) as client, pytest.raises(errors.AccessDenied) as caught:
        client.submit("echo")
    assert f"such as {stub.url}/api" in str(caught.value)
    with Client(f"{stub.url}/api", patience=0) as client, pytest.raises(errors.AccessDenied) as caught:
        client.submit("echo")
    assert "stage" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"<html>", b'{"code": 7, "errors": 7}'],
    ids=lambda raw: repr(raw[:20]),
)
def test_a_refusal_in_any_form_is_still_a_refusal(stub: StubServer, client: Client, raw: bytes) -> None:
    stub.plays(Reply(422, raw=raw))
    with pytest.raises(errors.Refused):
        client.submit("echo")


def test_a_page_of_another_server_is_named_as_such(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, raw=b"<html>It works!</html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(errors.UnexpectedAnswer, match="no Bide server: 200 OK, text/html"):
        client.submit("echo")


def test_a_redirect_is_reported_and_not_followed(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(301, headers={"Location": "https://elsewhere.example/v1/tasks"}))
    with pytest.raises(errors.UnexpectedAnswer, match=r"redirects to https://elsewhere\.example"):
        client.submit("echo")
    assert len(stub.asked) == 1


def test_retry_after_may_be_a_date(stub: StubServer) -> None:
    stub.plays(Reply(429, {"title": "slow down"}, {"Retry-After": "Wed, 01 Jan 2200 00:00:00 GMT"}))
    with Client(stub.url) as client, pytest.raises(errors.RateLimited) as caught:
        client.submit("echo")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 86_400


def test_every_error_is_drawn_in_the_tree_under_its_parent() -> None:
    drawn: dict[str, str] = {}
    parents: dict[int, str] = {}
    for line in (inspect.getdoc(errors) or "").splitlines():
        if match := re.match(r"([ │├└─]*)([A-Z][a-z]\w+)( |$)", line):
            depth = len(match[1]) // 4
            parents[depth] = match[2]
            if depth > 0:
                drawn[match[2]] = parents[depth - 1]
    classes = {
        name: kind.__mro__[1].__name__
        for name, kind in (vars(errors) | vars(outcomes)).items()
        if inspect.isclass(kind) and issubclass(kind, errors.BideError) and kind is not errors.BideError
    }
    assert drawn == classes


def test_everything_public_is_exported() -> None:
    classes = [kind for part in (errors, outcomes) for kind in vars(part).values() if inspect.isclass(kind)]
    own = {kind.__name__ for kind in classes if kind.__module__ in (errors.__name__, outcomes.__name__)}
    assert own <= set(bide_client.__all__)


def test_errors_during_a_wait_are_the_same(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), problem(401, "UNAUTHENTICATED"))
    with pytest.raises(errors.AccessDenied):
        client.submit("echo").result()
