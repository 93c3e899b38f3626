"""POST /v1/tasks/{id}/events/{name}."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from api_client import Api, Reply
from chalice.test import Client
from hand_worker import HandWorker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bide.exchange import Event
from bide.settings import Settings
from chalice_app.limits import MAX_DEPTH, MAX_EVENT_BYTES
from chalice_app.services import Services


def _path(api: Api) -> str:
    location: str = api.submit().headers["location"]
    return location


def _send(api: Api, path: str, body: bytes, name: str = "approved", **headers: str | None) -> Reply:
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    return api.request("POST", f"{path}/events/{name}", body, named)


def _read(worker: HandWorker) -> tuple[Event, ...]:
    """What the next ready task finds in its inbox."""
    return worker.unread(worker.lease())


@pytest.mark.parametrize(
    "value",
    [{"by": "Ada"}, [1, [2]], "ü\u2028\x00", 0, -1.5, 10**40, True, False, None, {}, [], ""],
    ids=repr,
)
def test_an_event_reaches_the_task_as_it_was_sent(api: Api, worker: HandWorker, value: Any) -> None:
    path = _path(api)
    assert _send(api, path, json.dumps(value).encode()).status == 202
    (event,) = _read(worker)
    assert (event.name, json.loads(event.body)) == ("approved", value)


def test_an_event_is_answered_with_the_task(api: Api) -> None:
    path = _path(api)
    reply = _send(api, path, b"1")
    assert (reply.status, reply.headers["retry-after"]) == (202, "0")
    assert reply.json == api.get(path).json


def test_an_empty_body_is_null(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    assert api.request("POST", f"{path}/events/approved").status == 202
    (event,) = _read(worker)
    assert json.loads(event.body) is None


def test_an_empty_body_needs_no_content_type(api: Api) -> None:
    assert _send(api, _path(api), b"", content_type="text/plain").status == 202


def test_a_parked_task_that_waits_for_the_event_goes_on(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), awaits="approved rejected")
    assert api.get(path).json["state"] == "waiting"
    assert _send(api, path, b'"Ada"').json["state"] == "ready"
    (event,) = _read(worker)
    assert (event.name, event.body) == ("approved", '"Ada"')


def test_another_event_is_kept_for_later(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), awaits="approved")
    assert _send(api, path, b"1", "other").json["state"] == "waiting"
    _send(api, path, b"2")
    assert [event.name for event in _read(worker)] == ["other", "approved"]


def test_events_without_a_key_are_all_different(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    assert [_send(api, path, b"1").status for _ in range(3)] == [202] * 3
    assert len(_read(worker)) == 3


@pytest.mark.parametrize("again", [b'{"a":1,"b":[2]}', b' { "b" : [2], "\\u0061" : 1 } '])
def test_a_repeat_with_the_same_key_counts_once(api: Api, worker: HandWorker, again: bytes) -> None:
    path = _path(api)
    first = _send(api, path, b'{"a":1,"b":[2]}', idempotency_key="k")
    repeat = _send(api, path, again, idempotency_key="k")
    assert (first.status, repeat.status, repeat.json) == (202, 202, first.json)
    assert len(_read(worker)) == 1


def test_a_repeat_counts_once_also_when_the_event_was_read_meanwhile(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), awaits="approved")
    _send(api, path, b"1", idempotency_key="k")
    lease = worker.lease()
    worker.read(lease, lease.events[0])
    worker.park(lease, awaits="approved")
    assert _send(api, path, b"1", idempotency_key="k").json["state"] == "waiting"


@pytest.mark.parametrize(("body", "name"), [(b"2", "approved"), (b"", "approved"), (b"1", "other")])
def test_the_same_key_with_another_body_or_name_is_refused(
    api: Api, worker: HandWorker, body: bytes, name: str
) -> None:
    path = _path(api)
    _send(api, path, b"1", idempotency_key="k")
    reply = _send(api, path, body, name, idempotency_key="k")
    assert (reply.status, reply.code) == (422, "IDEMPOTENCY_CONFLICT")
    assert len(_read(worker)) == 1


def test_keys_belong_to_their_task(api: Api) -> None:
    for body in (b"1", b"2"):
        assert _send(api, _path(api), body, idempotency_key="k").status == 202


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ä", "\x00"])
def test_a_bad_key_of_an_event_is_refused(api: Api, key: str) -> None:
    reply = _send(api, _path(api), b"1", idempotency_key=key)
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert "Idempotency-Key" in reply.json["detail"]


@pytest.mark.parametrize("end", ["succeeded", "cancelled"])
def test_a_finished_task_takes_no_events(api: Api, worker: HandWorker, end: str) -> None:
    path = _path(api)
    if end == "cancelled":
        api.post(f"{path}/cancel")
    else:
        worker.succeed(worker.lease())
    reply = _send(api, path, b"1")
    assert (reply.status, reply.code) == (409, "TASK_FINISHED")
    assert end in reply.json["detail"]


def test_a_full_inbox_asks_to_return(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    assert {_send(api, path, b"%d" % number).status for number in range(64)} == {202}
    refused = _send(api, path, b"64")
    assert (refused.status, refused.code) == (429, "INBOX_FULL")
    assert refused.headers["retry-after"] == "5"
    assert "ratelimit" not in refused.headers
    lease = worker.lease()
    worker.read(lease, lease.events[0])
    assert _send(api, path, b"64").status == 202


def test_an_inbox_is_full_of_a_quarter_of_a_mebibyte_too(api: Api) -> None:
    path = _path(api)
    largest = b'"' + b"x" * (MAX_EVENT_BYTES - 2) + b'"'
    assert [_send(api, path, largest).status for _ in range(4)] == [202] * 4
    refused = _send(api, path, b"1")
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "INBOX_FULL", "5")
    assert "256 KiB" in refused.json["detail"]


def test_events_count_in_the_rate_of_their_tenant_but_repeats_do_not(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    serve(dataclasses.replace(settings, rate_limit=2))
    api = Api(client)
    path = _path(api)
    first = _send(api, path, b"1", idempotency_key="k")
    assert (first.status, first.headers["ratelimit"]) == (202, '"submit";r=0;t=1')
    assert first.headers["ratelimit-policy"] == '"submit";q=2;w=1'
    refused, submission = _send(api, path, b"1"), api.submit()
    for reply in (refused, submission):
        assert (reply.status, reply.code, reply.headers["retry-after"]) == (429, "RATE_LIMITED", "1")
        assert reply.headers["ratelimit"] == '"submit";r=0;t=1'
    repeat = _send(api, path, b"1", idempotency_key="k")
    assert repeat.status == 202
    assert "ratelimit" not in repeat.headers


@pytest.mark.parametrize(
    "id", ["default~00000000000000000000000000", "nosuch~00000000000000000000000000", "x"]
)
def test_no_such_task_gets_no_event(api: Api, id: str) -> None:
    reply = _send(api, f"/v1/tasks/{id}", b"1")
    assert (reply.status, reply.code) == (404, "TASK_NOT_FOUND")


@pytest.mark.parametrize("name", ["a", "0", "-", "_", "approved", "vm-1_up", "x" * 64])
def test_a_name_is_lower_case_letters_digits_and_lines(api: Api, worker: HandWorker, name: str) -> None:
    assert _send(api, _path(api), b"1", name).status == 202
    assert _read(worker)[0].name == name


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "x" * 65,
        "x" * 5_000,
        "a.b",
        "a b",
        "%20",
        "%00",
        "%ff",
        "é",
        "~",
        "~poller",
        "a%2fb",
        "a%0a",
        "..",
        "*",
    ],
)
def test_any_other_name_is_refused_in_clear_words(api: Api, worker: HandWorker, name: str) -> None:
    path = _path(api)
    reply = _send(api, path, b"1", name)
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert "a-z, 0-9, _ and -" in reply.json["detail"]
    assert len(reply.body) < 1_000
    assert _read(worker) == ()


def test_a_name_may_come_percent_encoded(api: Api, worker: HandWorker) -> None:
    assert _send(api, _path(api), b"1", "%61pproved").status == 202
    assert _read(worker)[0].name == "approved"


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"nonsense",
        b"{} {}",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"01",
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"nul\x00inside"',
        b"\xef\xbb\xbf{}",
        b"a=1&b=2",
        b"[" * 60_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_an_event_that_is_not_json_is_refused(api: Api, worker: HandWorker, body: bytes) -> None:
    reply = _send(api, _path(api), body)
    assert reply.status == 400
    assert reply.code in ("MALFORMED_JSON", "INVALID_REQUEST")
    assert _read(worker) == ()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"1e999", ""),
        (b"9" * 5_000, ""),
        (b'{"args":{"x":[0,-1e999]}}', "/args/x/1"),
        (b'{"\xff":1e999}', None),
    ],
    ids=["double", "integer", "nested", "and no text"],
)
def test_a_number_of_an_event_that_is_out_of_range_is_pointed_at(
    api: Api, body: bytes, pointer: str | None
) -> None:
    reply = _send(api, _path(api), body)
    if pointer is None:
        assert reply.status in (400, 422)
    else:
        assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", [pointer])


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_an_event_has_as_many_levels_as_a_submission(api: Api, opening: bytes, closing: bytes) -> None:
    path = _path(api)
    assert _send(api, path, opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH).status == 202
    for depth in (MAX_DEPTH + 1, 10_000):
        reply = _send(api, path, opening * depth + b"1" + closing * depth)
        assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
        assert f"at most {MAX_DEPTH} levels" in reply.json["detail"]


def test_an_event_of_the_allowed_size_is_taken(api: Api, worker: HandWorker) -> None:
    body = b'"' + b"x" * (MAX_EVENT_BYTES - 2) + b'"'
    assert _send(api, _path(api), body).status == 202
    assert _read(worker)[0].body.encode() == body


@pytest.mark.parametrize("size", [MAX_EVENT_BYTES + 1, 300_000, 5_000_000])
def test_a_larger_event_is_refused(api: Api, worker: HandWorker, size: int) -> None:
    reply = _send(api, _path(api), b" " * (size - 1) + b"1")
    assert (reply.status, reply.code) == (413, "TOO_LARGE")
    assert str(MAX_EVENT_BYTES) in reply.json["detail"]
    assert _read(worker) == ()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
def test_an_event_of_another_content_type_is_refused(api: Api, content_type: str) -> None:
    reply = _send(api, _path(api), b"1", content_type=content_type)
    assert (reply.status, reply.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_an_event_without_a_content_type_passes_for_json(api: Api) -> None:
    assert _send(api, _path(api), b"1", content_type=None).status == 202


@given(body=st.binary(max_size=40), name=st.text(max_size=8))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_event_says_it_is_answered(api: Api, body: bytes, name: str) -> None:
    assert _send(api, _path(api), body, quote(name, safe="") or "x").status in (202, 400, 404, 422)


def test_a_closed_server_takes_events(api: Api) -> None:
    path = _path(api)
    api.post("/v1/server/close", {"reason": "x"})
    assert _send(api, path, b"1").status == 202
