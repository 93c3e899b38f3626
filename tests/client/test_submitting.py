"""Submitting a task: what is sent, and what is understood of the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bide_client import Client, TaskStatus, UnexpectedAnswer, UsageError

from .replies import ID, accepted, succeeded
from .stub_server import Reply, StubServer


def test_a_submission_posts_name_and_arguments(stub: StubServer, client: Client) -> None:
    stub.plays(accepted())
    task = client.submit("echo", value=[1, "zwei", None])
    [asked] = stub.asked
    assert (asked.method, asked.path) == ("POST", "/v1/tasks")
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.json == {"name": "echo", "args": {"value": [1, "zwei", None]}}
    assert task.id == ID


def test_arguments_may_have_the_names_of_options_and_parameters(stub: StubServer, client: Client) -> None:
    stub.plays(accepted())
    args: dict[str, Any] = {"name": 1, "self": 2, "queue": 3, "delay": 4, "wait": 5, "not-an-identifier": 6}
    client.options(queue="slow", delay=7).submit("echo", **args)
    assert stub.asked[0].json == {"name": "echo", "args": args, "queue": "slow", "delay": 7}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"queue": "slow"}, {"queue": "slow"}),
        ({"delay": 1.5}, {"delay": 1.5}),
        ({"delay": timedelta(minutes=2)}, {"delay": 120.0}),
        ({"run_at": datetime(2026, 11, 23, 21, tzinfo=UTC)}, {"run_at": "2026-11-23T21:00:00+00:00"}),
        ({"run_at": "2026-11-23T21:00:00Z"}, {"run_at": "2026-11-23T21:00:00Z"}),
        ({"priority": 0}, {"priority": 0}),
        ({"priority": 9, "expires": timedelta(hours=1)}, {"priority": 9, "expires": 3600.0}),
        ({"unique": "report", "tags": ["nightly", "eu"]}, {"unique": "report", "tags": ["nightly", "eu"]}),
        ({}, {}),
    ],
)
def test_options_stand_beside_the_arguments(
    stub: StubServer, client: Client, options: dict[str, Any], sent: dict[str, Any]
) -> None:
    stub.plays(accepted())
    client.options(**options).submit("echo")
    assert stub.asked[0].json == {"name": "echo", "args": {}, **sent}


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 1, "run_at": "2026-11-23T21:00:00Z"},
        {"delay": -1},
        {"delay": float("nan")},
        {"delay": float("inf")},
        {"run_at": datetime(2026, 11, 23)},
        {"idempotency_key": ""},
        {"idempotency_key": "a b"},
        {"idempotency_key": "line\r\nend"},
        {"idempotency_key": "x" * 256},
        {"wait": 0},
        {"wait": 21},
        {"wait": 1.5},
        {"priority": 10},
        {"priority": -1},
        {"priority": True},
        {"priority": 1.0},
        {"expires": 0},
        {"expires": timedelta(seconds=-1)},
        {"expires": float("nan")},
        {"expires": float("inf")},
        {"unique": ""},
        {"unique": "two words"},
        {"unique": "x" * 256},
        {"tags": "nightly"},
        {"tags": ["Nightly"]},
        {"tags": ["x" * 65]},
        {"tags": ["t"] * 9},
    ],
    ids=str,
)
def test_impossible_options_are_refused_before_anything_is_sent(
    stub: StubServer, client: Client, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        client.options(**options)
    assert stub.asked == []


@pytest.mark.parametrize(
    "value",
    [{1, 2}, float("nan"), b"bytes", "\ud800", 10**5000],
    ids=["set", "nan", "bytes", "half a surrogate pair", "5000 digits"],
)
def test_arguments_that_json_cannot_carry_are_refused_before_anything_is_sent(
    stub: StubServer, client: Client, value: Any
) -> None:
    with pytest.raises(UsageError, match="JSON cannot carry"):
        client.submit("echo", value=value)
    assert stub.asked == []


def test_arguments_nested_too_deeply_are_refused_before_anything_is_sent(
    stub: StubServer, client: Client
) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UsageError, match="nested too deeply"):
        client.submit("echo", value=deep)
    assert stub.asked == []


def test_every_submission_has_an_idempotency_key_of_its_own(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), accepted())
    client.submit("echo", value=1)
    client.submit("echo", value=1)
    first, second = (asked.headers["Idempotency-Key"] for asked in stub.asked)
    assert first
    assert first != second


def test_a_chosen_idempotency_key_is_sent(stub: StubServer, client: Client) -> None:
    stub.plays(accepted())
    client.options(idempotency_key="order-17").submit("echo")
    assert stub.asked[0].headers["Idempotency-Key"] == "order-17"


def test_wait_lets_the_submission_itself_bring_the_result(stub: StubServer, client: Client) -> None:
    stub.plays(succeeded({"answer": 42}))
    task = client.options(wait=5).submit("echo")
    assert stub.asked[0].headers["Prefer"] == "wait=5"
    assert task.result() == {"answer": 42}
    assert len(stub.asked) == 1


def test_the_first_status_is_known_without_asking(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(state="scheduled", run_at="2026-11-23T21:05:00.000Z"))
    status = client.options(delay=300).submit("echo").latest
    assert isinstance(status, TaskStatus)
    assert status.state == "scheduled"
    assert status.run_at == datetime(2026, 11, 23, 21, 5, tzinfo=UTC)
    assert len(stub.asked) == 1


def test_fields_and_states_of_a_later_server_are_kept(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(state="dreaming", depth=0.5))
    status = client.submit("echo").latest
    assert status is not None
    assert (status.state, status.done, status.json["depth"]) == ("dreaming", False, 0.5)


def test_the_key_is_sent_as_bearer(stub: StubServer) -> None:
    stub.plays(accepted())
    with Client(stub.url, "s3cret") as client:
        client.submit("echo")
    assert stub.asked[0].headers["Authorization"] == "Bearer s3cret"


def test_url_and_key_come_from_the_environment(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDE_URL", f"{stub.url}/")
    monkeypatch.setenv("BIDE_KEY", "from-environment")
    stub.plays(accepted())
    with Client() as client:
        assert client.url == stub.url
        client.submit("echo")
    assert stub.asked[0].headers["Authorization"] == "Bearer from-environment"


def test_the_url_defaults_to_quick_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDE_URL", "")
    assert Client().url == "http://127.0.0.1:8000"


def test_a_stage_in_the_url_is_kept(stub: StubServer) -> None:
    stub.plays(accepted(), succeeded())
    with Client(f"{stub.url}/api/") as client:
        client.submit("echo").result(5)
    assert [asked.path for asked in stub.asked] == ["/api/v1/tasks", f"/api/v1/tasks/{ID}"]


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://[1",
        "http://u:p@host",
        "http://h/?q",
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"must look like http://127\.0\.0\.1:8000"):
        Client(url)


def test_a_key_that_no_header_can_carry_is_refused() -> None:
    with pytest.raises(UsageError, match="visible ASCII"):
        Client(key="line\nend")


def test_a_task_that_cannot_be_read_is_no_answer_of_a_bide_server(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(202, {"id": 7}))
    with pytest.raises(UnexpectedAnswer, match="cannot be read"):
        client.submit("echo")
