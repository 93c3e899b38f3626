"""Sending a task an event: what is sent, how often, and what may come back."""

from __future__ import annotations

from typing import Any

import pytest

from bide_client import (
    Client,
    IdempotencyConflict,
    InboxFull,
    StatsPart,
    TaskFinished,
    TaskNotFound,
    UnexpectedAnswer,
    UsageError,
)

from .replies import ID, problem, sent, stats_json, succeeded
from .stub_server import Reply, StubServer


def test_an_event_posts_its_body_to_its_name(stub: StubServer, client: Client) -> None:
    stub.plays(sent())
    status = client.task(ID).send_event("approved", {"by": "Ada"})
    [asked] = stub.asked
    assert (asked.method, asked.path) == ("POST", f"/v1/tasks/{ID}/events/approved")
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.json == {"by": "Ada"}
    assert (status.id, status.state) == (ID, "waiting")


def test_the_client_itself_sends_an_event_to_an_id(stub: StubServer, client: Client) -> None:
    stub.plays(sent())
    assert client.send_event(ID, "approved", 1, idempotency_key="k").state == "waiting"
    assert stub.asked[0].path == f"/v1/tasks/{ID}/events/approved"
    assert stub.asked[0].headers["Idempotency-Key"] == "k"


@pytest.mark.parametrize("body", [0, False, "", [], {}, "text", [None], 1.5])
def test_a_body_is_any_json(stub: StubServer, client: Client, body: Any) -> None:
    stub.plays(sent())
    client.send_event(ID, "approved", body)
    assert stub.asked[0].json == body


def test_an_event_that_says_nothing_has_no_body(stub: StubServer, client: Client) -> None:
    stub.plays(sent())
    client.send_event(ID, "approved")
    assert stub.asked[0].body == b""


def test_an_event_that_is_tried_again_keeps_its_key(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(fault="drop"), problem(503, "STORE_UNAVAILABLE"), sent())
    client.send_event(ID, "approved", {"by": "Ada"})
    assert len(stub.asked) == 3
    assert len({asked.headers["Idempotency-Key"] for asked in stub.asked}) == 1
    assert len({asked.body for asked in stub.asked}) == 1


def test_two_events_have_keys_of_their_own(stub: StubServer, client: Client) -> None:
    stub.plays(sent(), sent())
    client.send_event(ID, "approved")
    client.send_event(ID, "approved")
    first, second = (asked.headers["Idempotency-Key"] for asked in stub.asked)
    assert first
    assert first != second


def test_a_full_inbox_is_tried_again_while_there_is_patience(stub: StubServer) -> None:
    stub.plays(problem(429, "INBOX_FULL", retry_after=0), sent())
    with Client(stub.url) as client:
        assert client.send_event(ID, "approved").state == "waiting"
    stub.plays(problem(429, "INBOX_FULL", retry_after=5))
    with Client(stub.url, patience=0) as client, pytest.raises(InboxFull) as caught:
        client.send_event(ID, "approved")
    assert caught.value.retry_after == 5


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (problem(404, "TASK_NOT_FOUND"), TaskNotFound),
        (problem(409, "TASK_FINISHED"), TaskFinished),
        (problem(422, "IDEMPOTENCY_CONFLICT"), IdempotencyConflict),
    ],
    ids=["not found", "finished", "conflict"],
)
def test_a_refused_event_raises_why(
    stub: StubServer, client: Client, reply: Reply, kind: type[Exception]
) -> None:
    stub.plays(reply)
    with pytest.raises(kind) as caught:
        client.send_event(ID, "approved")
    assert getattr(caught.value, "__notes__", []) == []


def test_a_task_that_finished_between_two_tries_leaves_it_open_whether_the_event_was_recorded(
    stub: StubServer, client: Client
) -> None:
    stub.plays(Reply(fault="drop"), problem(409, "TASK_FINISHED"))
    with pytest.raises(TaskFinished) as caught:
        client.send_event(ID, "approved")
    assert "Perhaps an earlier try was recorded" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("name", ["", ".", "..", "Approved", "a b", "a/b", "é", "x" * 65, "a\n"])
def test_a_name_that_no_event_can_have_is_refused_before_anything_is_sent(
    stub: StubServer, client: Client, name: str
) -> None:
    with pytest.raises(UsageError, match="no event name"):
        client.send_event(ID, name)
    assert stub.asked == []


@pytest.mark.parametrize("key", ["", "a b", "line\r\nend", "x" * 256])
def test_an_impossible_key_of_an_event_is_refused(stub: StubServer, client: Client, key: str) -> None:
    with pytest.raises(UsageError, match="idempotency_key"):
        client.send_event(ID, "approved", idempotency_key=key)
    assert stub.asked == []


@pytest.mark.parametrize("body", [{1, 2}, float("nan"), b"bytes", "\ud800"])
def test_a_body_that_json_cannot_carry_is_refused(stub: StubServer, client: Client, body: Any) -> None:
    with pytest.raises(UsageError, match="JSON cannot carry"):
        client.send_event(ID, "approved", body)
    assert stub.asked == []


def test_the_handle_learns_how_the_task_is(stub: StubServer, client: Client) -> None:
    stub.plays(sent("ready"), succeeded())
    task = client.task(ID)
    task.send_event("approved")
    assert task.latest is not None
    assert task.latest.state == "ready"
    assert task.status().state == "succeeded"


def test_stats_tell_what_all_tasks_came_to(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, stats_json()))
    stats = client.stats()
    assert (stub.asked[0].method, stub.asked[0].path) == ("GET", "/v1/stats")
    assert (stats.succeeded, stats.failed, stats.cancelled, stats.expired) == (500, 10, 2, 1)
    assert (stats.waited_ms, stats.billed_ms, stats.worker_ms) == (57_600_000, 41_280.317, 52_110)
    assert (stats.replays, stats.polls, stats.poller_calls) == (1530, 24_000, 310)
    assert stats.summary == "waited 16 h, billed 41 s"
    assert stats.json == stats_json()
    assert (stats.worker_starts, stats.cost_usd, stats.paid_usd) == (12, 0.00034400333, 0.000436650869)
    assert (stats.queues, stats.days) == ((), ())


def test_stats_have_a_part_for_each_queue_and_day(stub: StubServer, client: Client) -> None:
    sums = {"tasks": {"succeeded": 2, "failed": 1}, "waited_ms": 5, "billed_ms": 1.5, "cost_usd": 0.25}
    queue, day = {"queue": "mail", **sums}, {"day": "2026-11-24", **sums, "paid_usd": 0.5}
    stub.plays(Reply(200, stats_json(queues=[queue], days=[day])))
    stats = client.stats()
    assert stats.queues == (StatsPart("mail", 3, 5, 1.5, 0.25, None, queue),)
    assert stats.days == (StatsPart("2026-11-24", 3, 5, 1.5, 0.25, 0.5, day),)
    assert stats.days[0].json == day


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"tasks": 1},
        stats_json(waited_ms=None),
        stats_json(summary=1),
        stats_json(days=[1]),
        stats_json(queues=1),
        stats_json(queues=[{"queue": "a", "tasks": 1}]),
    ],
)
def test_totals_that_cannot_be_read_are_no_answer_of_a_bide_server(
    stub: StubServer, client: Client, broken: dict[str, Any]
) -> None:
    stub.plays(Reply(200, broken))
    with pytest.raises(UnexpectedAnswer, match="cannot be read"):
        client.stats()
