"""GET /v1/server, and closing and opening it."""

from __future__ import annotations

import re

import pytest
from api_client import Api
from hand_worker import HandWorker


def test_a_new_server_accepts(api: Api) -> None:
    reply = api.get("/v1/server")
    assert reply.status == 200
    assert reply.json == {
        "accepting": True,
        "reason": "",
        "retry_after": None,
        "epoch": 0,
        "changed_at": None,
        "left": 0,
    }


def test_a_closed_server_refuses_with_the_reason_and_when_to_return(api: Api) -> None:
    closed = api.post("/v1/server/close", {"reason": "moving house", "retry_after": 120})
    assert closed.status == 200
    assert closed.json == api.get("/v1/server").json
    assert (closed.json["accepting"], closed.json["reason"], closed.json["retry_after"]) == (
        False,
        "moving house",
        120,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", closed.json["changed_at"])

    refused = api.submit()
    assert (refused.status, refused.code) == (503, "CLOSED")
    assert refused.headers["retry-after"] == "120"
    assert "moving house" in refused.json["detail"]


def test_every_queue_is_closed_also_one_that_nobody_has_used_yet(api: Api) -> None:
    api.submit(queue="vms")
    api.post("/v1/server/close", {"reason": "x"})
    assert [api.submit(queue=queue).code for queue in ("vms", "default", "orders")] == ["CLOSED"] * 3


def test_without_a_hint_refused_clients_are_told_30_seconds(api: Api) -> None:
    assert api.post("/v1/server/close", {"reason": "x"}).json["retry_after"] is None
    assert api.submit().headers["retry-after"] == "30"


def test_only_submissions_are_refused(api: Api, worker: HandWorker) -> None:
    path = api.submit().headers["location"]
    api.post("/v1/server/close", {"reason": "x"})
    worker.succeed(worker.lease(), 1)
    assert api.get(path).json["state"] == "succeeded"


def test_an_opened_server_accepts_again(api: Api) -> None:
    before = api.post("/v1/server/close", {"reason": "x"}).json
    opened = api.post("/v1/server/open")
    assert (opened.status, opened.json["accepting"], opened.json["reason"]) == (200, True, "")
    assert opened.json["epoch"] > before["epoch"]
    assert api.submit().status == 202


def test_closing_again_in_the_same_words_changes_nothing(api: Api) -> None:
    first = api.post("/v1/server/close", {"reason": "x"}).json
    assert api.post("/v1/server/close", {"reason": "x"}).json == first


@pytest.mark.parametrize("reason", ["ü", '😀 "quoted"', "line\r\nX-Injected: 1", "\x00", "x" * 500])
def test_any_reason_comes_back_as_it_was_and_never_in_a_header(api: Api, reason: str) -> None:
    api.post("/v1/server/close", {"reason": reason})
    refused = api.submit()
    assert refused.json["detail"].endswith(reason)
    assert not any("Injected" in name + value for name, value in refused.headers.items())


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/reason"]),
        ({"reason": ""}, ["/reason"]),
        ({"reason": "x" * 501}, ["/reason"]),
        ({"reason": 1}, ["/reason"]),
        ({"reason": None}, ["/reason"]),
        ({"reason": "x", "retry_after": -1}, ["/retry_after"]),
        ({"reason": "x", "retry_after": 86_401}, ["/retry_after"]),
        ({"reason": "x", "retry_after": "1"}, ["/retry_after"]),
        ({"reason": "x", "retry_after": True}, ["/retry_after"]),
        ({"reason": "x", "retry_after": 1.5}, ["/retry_after"]),
        ({"retry_after": None, "until": 1}, ["/reason", "/retry_after", "/until"]),
        ({"reason": "x", "tags": []}, ["/tags"]),
    ],
)
def test_a_wrong_body_leaves_the_server_open(api: Api, body: dict[str, object], pointers: list[str]) -> None:
    reply = api.post("/v1/server/close", body)
    assert (reply.status, reply.code) == (422, "INVALID_REQUEST")
    assert reply.pointers == pointers
    assert api.get("/v1/server").json["accepting"] is True


def test_closing_needs_a_body(api: Api) -> None:
    reply = api.post("/v1/server/close")
    assert (reply.status, reply.code) == (400, "MALFORMED_JSON")


# --- draining -------------------------------------------------------------------------------


def test_a_drain_closes_the_server_and_counts_what_is_left(api: Api) -> None:
    api.submit()
    api.submit(delay=60)
    api.submit(queue="vms")
    reply = api.post("/v1/server/drain", {"reason": "moving house", "retry_after": 120})
    assert reply.status == 200
    assert (reply.json["accepting"], reply.json["reason"], reply.json["left"]) == (False, "moving house", 3)
    assert reply.json["queues"] == [{"queue": "default", "left": 2}, {"queue": "vms", "left": 1}]
    assert api.submit().code == "CLOSED"


def test_asked_again_it_falls_until_nothing_is_left(api: Api, worker: HandWorker) -> None:
    api.submit()
    api.submit()
    left = [api.post("/v1/server/drain", {"reason": "x"}).json["left"]]
    for _ in range(2):
        lease = worker.lease()
        left.append(api.post("/v1/server/drain", {"reason": "x"}).json["left"])
        worker.succeed(lease, 1)
        left.append(api.post("/v1/server/drain", {"reason": "x"}).json["left"])
    assert left == [2, 2, 1, 1, 0]


def test_a_drain_again_in_the_same_words_changes_nothing(api: Api) -> None:
    api.submit()
    first = api.post("/v1/server/drain", {"reason": "x"}).json
    assert api.post("/v1/server/drain", {"reason": "x"}).json == first
    assert api.post("/v1/server/close", {"reason": "x"}).json["epoch"] == first["epoch"]


def test_whoever_looks_at_the_server_sees_what_is_left(api: Api, worker: HandWorker) -> None:
    api.submit()
    assert api.get("/v1/server").json["left"] == 1
    worker.succeed(worker.lease(), 1)
    assert api.get("/v1/server").json["left"] == 0
    assert "queues" not in api.get("/v1/server").json


def test_a_drain_wants_a_reason(api: Api) -> None:
    assert api.post("/v1/server/drain", {}).status == 422
