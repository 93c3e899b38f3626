"""What those who run the server ask of it: queues, operations, workers, series, drain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bide_client import (
    Client,
    ConnectionFailed,
    Percentiles,
    QueueNotFound,
    ServerFault,
    UnexpectedAnswer,
    UsageError,
)

from .replies import (
    ID,
    operating,
    operation_json,
    problem,
    queue_json,
    series_json,
    server_json,
    succeeded,
    worker_json,
)
from .stub_server import Reply, StubServer


def asked_for(stub: StubServer) -> list[tuple[str, str]]:
    return [(asked.method, asked.path) for asked in stub.asked]


def test_queues_tell_their_depths(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, {"queues": [queue_json(ready=3, failed=1), queue_json("mail", paused=True)]}))
    default, mail = client.queues()
    assert (default.name, default.paused, default.oldest_ready_ms) == ("default", False, 1500)
    assert (default.tasks["ready"], default.tasks["failed"], default.tasks["running"]) == (3, 1, 0)
    assert (mail.name, mail.paused, mail.oldest_ready_ms) == ("mail", True, None)


def test_a_queue_is_seen_paused_and_resumed_by_name(stub: StubServer, client: Client) -> None:
    paused = Reply(200, queue_json("mail", paused=True))
    stub.plays(paused, paused, Reply(200, queue_json("mail")))
    assert client.queue("mail").paused
    assert client.pause("mail").paused
    assert not client.resume("mail").paused
    assert asked_for(stub) == [
        ("GET", "/v1/queues/mail"),
        ("POST", "/v1/queues/mail/pause"),
        ("POST", "/v1/queues/mail/resume"),
    ]


def test_a_queue_that_is_not_there_is_said_to_be_missing(stub: StubServer, client: Client) -> None:
    stub.plays(problem(404, "QUEUE_NOT_FOUND", "There is no queue 'mial'."))
    with pytest.raises(QueueNotFound, match="mial"):
        client.queue("mial")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_no_path_can_have_is_refused_at_once(stub: StubServer, client: Client, name: str) -> None:
    for ask in (client.queue, client.pause, client.redrive, client.purge, client.operation):
        with pytest.raises(UsageError):
            ask(name)
    assert stub.asked == []


def test_a_name_cannot_leave_its_place_in_the_path(stub: StubServer, client: Client) -> None:
    stub.plays(problem(404, "QUEUE_NOT_FOUND"))
    with pytest.raises(QueueNotFound):
        client.pause("a/../b?c")
    assert stub.asked[0].path == "/v1/queues/a%2F..%2Fb%3Fc/pause"


def test_a_redrive_counts_unless_it_is_told_otherwise(stub: StubServer, client: Client) -> None:
    stub.plays(operating(dry_run=True), operating("running", changed=2, rate=2.5))
    counted = client.redrive("mail")
    assert (counted.matched, counted.changed, counted.dry_run, counted.done) == (12, 0, True, True)
    begun = client.redrive("mail", dry_run=False, name="send", tag="eu", code="TIMEOUT", rate=2.5)
    assert (begun.id, begun.kind, begun.done, begun.rate) == ("op1", "redrive", False, 2.5)
    assert stub.asked[0].json == {"dry_run": True}
    assert stub.asked[1].json == {
        "dry_run": False, "name": "send", "tag": "eu", "code": "TIMEOUT", "rate": 2.5,
    }  # fmt: skip
    assert asked_for(stub) == [("POST", "/v1/queues/mail/redrive")] * 2


def test_a_purge_has_no_rate(stub: StubServer, client: Client) -> None:
    stub.plays(operating(kind="purge"))
    assert client.purge("mail", dry_run=False, code="TIMEOUT").changed == 12
    assert stub.asked[0].json == {"dry_run": False, "code": "TIMEOUT"}
    assert stub.asked[0].path == "/v1/queues/mail/purge"


def test_an_operation_is_followed_to_its_end(stub: StubServer, client: Client) -> None:
    stub.plays(operating("running", changed=2), operating("running", changed=7), operating(skipped=1))
    assert [operation.changed for operation in client.follow("op1")] == [2, 7, 12]
    assert asked_for(stub) == [("GET", "/v1/operations/op1")] * 3


def test_operations_are_listed_with_their_filters(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, {"operations": [operation_json(filter={"code": "TIMEOUT"}), operation_json()]}))
    latest, before = client.operations()
    assert (dict(latest.filter), before.filter) == ({"code": "TIMEOUT"}, {})
    assert latest.finished_at == datetime(2026, 11, 23, 21, 0, 1, tzinfo=UTC)


def test_workers_tell_what_they_hold(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, {"workers": [worker_json(tasks_total=40), worker_json("w2", 0, role="leaving")]}))
    busy, idle = client.workers()
    assert (busy.id, busy.role, busy.age_ms, busy.heard_ms, busy.places_free) == (
        "w1", "working", 300_000, 850, 99,
    )  # fmt: skip
    assert (len(busy.tasks), busy.tasks_total, busy.tasks[0].id) == (1, 40, ID)
    assert (busy.tasks[0].lease_ms, busy.tasks[0].running_ms, busy.tasks[0].attempt) == (9_500, 61_000, 1)
    assert (idle.role, idle.tasks, idle.tasks_total) == ("leaving", (), 0)


def test_series_tell_rates_and_percentiles(stub: StubServer, client: Client) -> None:
    idle = series_json("mail", "send", start_delay_ms=None, run_ms=None, buckets=[])
    stub.plays(Reply(200, {"minutes": 5, "series": [series_json(), idle]}))
    whole, send = client.series(5, queue="mail", name="send")
    assert stub.asked[0].path == "/v1/stats/series?minutes=5&queue=mail&name=send"
    assert (whole.queue, whole.name, whole.succeeded, whole.per_minute) == ("default", None, 590, 10.0)
    assert whole.start_delay_ms == Percentiles(4, 20.5, 950)
    [minute] = whole.buckets
    assert (minute.succeeded, minute.failed, minute.start_delay_ms) == (59, 1, None)
    assert minute.at == datetime(2026, 11, 23, 21, tzinfo=UTC)
    assert (send.name, send.start_delay_ms, send.run_ms, send.buckets) == ("send", None, None, ())


def test_a_drain_closes_and_tells_what_is_left(stub: StubServer, client: Client) -> None:
    left = [{"queue": "default", "left": 5}, {"queue": "mail", "left": 2}]
    stub.plays(Reply(200, server_json(False, "upgrade", 60, left=7, queues=left)))
    drained = client.drain("upgrade", 60)
    assert (drained.accepting, drained.left) == (False, 7)
    assert drained.queues_left == {"default": 5, "mail": 2}
    assert asked_for(stub) == [("POST", "/v1/server/drain")]
    assert stub.asked[0].json == {"reason": "upgrade", "retry_after": 60}


def test_a_server_tells_what_is_left_if_it_can(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(200, server_json(left=0)), Reply(200, server_json()))
    assert client.server().left == 0
    assert client.server().left is None


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.drain("upgrade"),
        lambda client: client.pause("mail"),
        lambda client: client.resume("mail"),
        lambda client: client.redrive("mail", dry_run=False),
        lambda client: client.purge("mail", dry_run=False),
    ],
    ids=["drain", "pause", "resume", "redrive", "purge"],
)
def test_a_change_is_not_made_again_by_itself(
    stub: StubServer, client: Client, change: Callable[[Client], Any]
) -> None:
    stub.plays(succeeded(), Reply(fault="drop"))
    client.task(ID).status()
    with pytest.raises(ConnectionFailed) as caught:
        change(client)
    assert caught.value.may_have_arrived
    assert len(stub.asked) == 2


@pytest.mark.parametrize(
    "look",
    [
        lambda client: client.redrive("mail"),
        lambda client: client.purge("mail"),
        lambda client: client.queues(),
        lambda client: client.workers(),
    ],
    ids=["redrive", "purge", "queues", "workers"],
)
def test_what_changes_nothing_is_asked_again(
    stub: StubServer, client: Client, look: Callable[[Client], Any]
) -> None:
    found = {**operation_json(dry_run=True), "queues": [], "workers": []}
    stub.plays(problem(503, "STORE_UNAVAILABLE"), Reply(200, found))
    look(client)
    assert len(stub.asked) == 2


@pytest.mark.parametrize(
    "look",
    [
        lambda client: client.queues(),
        lambda client: client.queue("mail"),
        lambda client: client.workers(),
        lambda client: client.operations(),
        lambda client: client.operation("op1"),
        lambda client: client.series(),
        lambda client: client.server(),
    ],
    ids=["queues", "queue", "workers", "operations", "operation", "series", "server"],
)
@pytest.mark.parametrize(
    "answer", [{}, {"queues": [{}], "workers": [5], "series": [{}], "operations": 5}], ids=str
)
def test_an_answer_of_something_else_is_said_to_be_that(
    stub: StubServer, client: Client, look: Callable[[Client], Any], answer: object
) -> None:
    stub.plays(Reply(200, answer))
    with pytest.raises(UnexpectedAnswer):
        look(client)


def test_a_server_that_fails_is_no_other_error(stub: StubServer) -> None:
    stub.plays(problem(500, "INTERNAL"))
    with Client(stub.url, patience=0) as client, pytest.raises(ServerFault):
        client.queues()
