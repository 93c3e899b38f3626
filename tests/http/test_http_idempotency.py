"""Idempotency-Key: one key, one task."""

from __future__ import annotations

import pytest
from api_client import Api
from hand_worker import HandWorker

BODY = b'{"name":"add","args":{"a":1,"b":2}}'


def test_a_repeat_is_answered_with_the_first_task(api: Api) -> None:
    first = api.submit_raw(BODY, idempotency_key="k")
    again = api.submit_raw(BODY, idempotency_key="k")
    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["retry-after"] == "0"


@pytest.mark.parametrize(
    "spelling",
    [
        b' { "args" : {"b": 2, "a": 1}, "name": "add" } ',
        b'{"name":"add","queue":"default","args":{"a":1,"b":2}}',
        b'{"name":"\\u0061dd","args":{"a":1,"b":2},"delay":0}',
    ],
)
def test_a_body_that_means_the_same_is_a_repeat(api: Api, spelling: bytes) -> None:
    first = api.submit_raw(BODY, idempotency_key="k")
    assert api.submit_raw(spelling, idempotency_key="k").json["id"] == first.json["id"]


@pytest.mark.parametrize(
    "other",
    [
        b'{"name":"add","args":{"a":1,"b":3}}',
        b'{"name":"add","args":{"a":1}}',
        b'{"name":"add","args":{"a":1,"b":2},"delay":1}',
        b'{"name":"add","args":{"a":1,"b":2},"run_at":"2026-01-01T00:00:00Z"}',
        b'{"name":"house.keep"}',
    ],
)
def test_another_body_under_the_same_key_is_refused(api: Api, other: bytes) -> None:
    api.submit_raw(BODY, idempotency_key="k")
    reply = api.submit_raw(other, idempotency_key="k")
    assert (reply.status, reply.code) == (422, "IDEMPOTENCY_CONFLICT")


def test_keys_belong_to_their_queue(api: Api) -> None:
    first = api.submit_raw(BODY, idempotency_key="k")
    other = api.submit_raw(b'{"name":"add","args":{"a":1,"b":2},"queue":"vms"}', idempotency_key="k")
    assert other.status == 202
    assert other.json["id"] != first.json["id"]


def test_submissions_without_a_key_are_never_repeats(api: Api) -> None:
    assert api.submit_raw(BODY).json["id"] != api.submit_raw(BODY).json["id"]


def test_a_repeat_shows_how_the_task_is_by_now(api: Api, worker: HandWorker) -> None:
    api.submit_raw(BODY, idempotency_key="k")
    worker.succeed(worker.lease(), 3)
    again = api.submit_raw(BODY, idempotency_key="k")
    assert (again.status, again.json["state"], again.json["result"]) == (202, "succeeded", 3)


def test_a_repeat_that_waits_is_answered_at_once_when_the_task_is_done(api: Api, worker: HandWorker) -> None:
    api.submit_raw(BODY, idempotency_key="k")
    worker.succeed(worker.lease(), 3)
    again = api.submit_raw(BODY, idempotency_key="k", prefer="wait=20")
    assert (again.status, again.json["result"]) == (200, 3)
    assert again.headers["preference-applied"] == "wait=20"
    assert "retry-after" not in again.headers


def test_a_repeat_is_answered_while_the_server_is_closed(api: Api) -> None:
    first = api.submit_raw(BODY, idempotency_key="k")
    api.post("/v1/server/close", {"reason": "maintenance"})
    assert api.submit_raw(BODY, idempotency_key="k").json["id"] == first.json["id"]


@pytest.mark.parametrize("key", ["x" * 255, "!", '"quoted"', "a,b;c=~"])
def test_a_key_is_any_visible_ascii(api: Api, key: str) -> None:
    first = api.submit_raw(BODY, idempotency_key=key)
    assert first.status == 202
    assert api.submit_raw(BODY, idempotency_key=key).json["id"] == first.json["id"]


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "ä", "\x00", "a\r\nX-Injected: 1", "\x7f", "😀"])
def test_any_other_key_is_refused(api: Api, key: str) -> None:
    reply = api.submit_raw(BODY, idempotency_key=key)
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert "Idempotency-Key" in reply.json["detail"]
