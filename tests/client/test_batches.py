"""Submitting many tasks in one request: each has an outcome of its own."""

from __future__ import annotations

from typing import Any

import pytest

from bide_client import (
    Client,
    NotUnique,
    ServerClosed,
    Submission,
    Task,
    UnexpectedAnswer,
    UnknownTask,
    UsageError,
    pace,
)

from .replies import ID, problem, succeeded, task_json
from .stub_server import Reply, StubServer

UNKNOWN = {"title": "t", "status": 422, "detail": "no such task", "code": "UNKNOWN_TASK"}


def answered(*items: dict[str, Any]) -> Reply:
    return Reply(202, {"items": list(items)})


def test_each_item_is_its_task_or_its_problem_in_order(stub: StubServer, client: Client) -> None:
    held = {"title": "t", "status": 409, "detail": "taken", "code": "NOT_UNIQUE", "task": "default~other"}
    stub.plays(answered({"task": task_json()}, {"problem": UNKNOWN}, {"problem": held}))
    task, unknown, taken = client.submit_many(client.prepare(name) for name in ("echo", "eco", "report"))
    assert isinstance(task, Task)
    assert (task.id, task.latest and task.latest.state) == (ID, "ready")
    assert isinstance(unknown, UnknownTask)
    assert str(unknown) == "no such task"
    assert isinstance(taken, NotUnique)
    assert taken.task == "default~other"


def test_items_carry_their_options_and_a_key_each(stub: StubServer, client: Client) -> None:
    stub.plays(answered({"task": task_json()}, {"task": task_json()}))
    options = client.options(queue="mail", priority=9, tags=["eu"], idempotency_key="order-17")
    client.submit_many([options.prepare("echo", value=1, name="x"), client.prepare("echo")])
    [asked] = stub.asked
    assert (asked.method, asked.path) == ("POST", "/v1/batches")
    first, second = asked.json["items"]
    assert first == {
        "name": "echo",
        "args": {"value": 1, "name": "x"},
        "queue": "mail",
        "priority": 9,
        "tags": ["eu"],
        "idempotency_key": "order-17",
    }
    assert len(second.pop("idempotency_key")) == 36
    assert second == {"name": "echo", "args": {}}


def test_a_lost_answer_is_asked_for_again_with_the_same_keys(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(fault="drop"), answered({"task": task_json()}))
    assert len(client.submit_many([client.prepare("echo")])) == 1
    assert stub.asked[0].json == stub.asked[1].json


def test_a_task_of_a_batch_is_waited_for_like_any(stub: StubServer, client: Client) -> None:
    stub.plays(answered({"task": task_json()}), succeeded(5))
    [task] = client.submit_many([client.prepare("echo")])
    assert isinstance(task, Task)
    assert task.result(timeout=5) == 5
    assert "If-None-Match" not in stub.asked[1].headers


def test_each_item_says_for_itself_when_to_ask_again(
    stub: StubServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[float] = []
    monkeypatch.setattr(pace, "pause", lambda retry_after, *_, **__: heard.append(retry_after) or 0.0)
    closed = {"title": "t", "status": 503, "detail": "moving", "code": "CLOSED"}
    stub.plays(
        answered(
            {"task": task_json(), "retry_after": 60},
            {"problem": closed, "retry_after": 120},
            {"problem": UNKNOWN},
        )
    )
    task, refused, unknown = client.submit_many(client.prepare(name) for name in ("echo", "echo", "eco"))
    assert isinstance(task, Task)
    assert heard == [60]
    assert isinstance(refused, ServerClosed)
    assert isinstance(unknown, UnknownTask)
    assert (refused.retry_after, unknown.retry_after) == (120, None)


def test_what_concerns_all_is_raised(stub: StubServer, client: Client) -> None:
    stub.plays(problem(503, "CLOSED", "moving house"))
    with pytest.raises(ServerClosed):
        client.submit_many([client.prepare("echo")])


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_1_to_100_tasks(stub: StubServer, client: Client, count: int) -> None:
    with pytest.raises(UsageError, match=f"1 to 100 tasks, not {count}"):
        client.submit_many([client.prepare("echo")] * count)
    assert stub.asked == []


def test_a_submission_that_is_to_wait_stands_alone(client: Client) -> None:
    with pytest.raises(UsageError, match="submitted alone"):
        client.options(wait=5).prepare("echo")


def test_preparing_asks_nothing(stub: StubServer, client: Client) -> None:
    prepared = client.options(unique="report").prepare("echo", value=1)
    assert isinstance(prepared, Submission)
    assert (prepared.name, prepared.args, prepared.options.unique) == ("echo", {"value": 1}, "report")
    assert stub.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        {"items": []},
        {"items": [{"task": task_json()}, {"task": task_json()}]},
        {"items": [{}]},
        {"items": [{"problem": {}}]},
        {"items": ["task"]},
        {"items": {}},
        {},
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_said_to_be_none(stub: StubServer, client: Client, answer: Any) -> None:
    stub.plays(Reply(202, answer))
    with pytest.raises(UnexpectedAnswer):
        client.submit_many([client.prepare("echo")])
