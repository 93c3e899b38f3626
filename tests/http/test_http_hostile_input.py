"""Bad input gets a problem that points at what is bad; never a 500, never a wrong 202."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from api_client import Api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proxy_events import proxy_event

from app import app
from chalice_app.limits import MAX_BODY_BYTES, MAX_DEPTH

ECHO = b'{"name":"echo","args":{"value":%s}}'


VALID = b'{"name":"order","args":{"lines":[{"sku":"\\u00e9\xc3\xa9","count":1}]},"delay":1.5e0,"queue":"vms"}'


@given(start=st.integers(0, len(VALID)), end=st.integers(0, len(VALID)), instead=st.binary(max_size=8))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_becomes_of_a_body_on_its_way_it_is_answered(
    api: Api, start: int, end: int, instead: bytes
) -> None:
    reply = api.submit_raw(VALID[:start] + instead + VALID[end:])
    assert reply.status in (202, 400, 422), reply.body


BATCH = b'{"items":[%s,{"name":"echo","args":{"value":[{}]},"unique":"u","idempotency_key":"k"}]}' % VALID


@given(start=st.integers(0, len(BATCH)), end=st.integers(0, len(BATCH)), instead=st.binary(max_size=8))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_becomes_of_a_batch_on_its_way_each_item_is_answered(
    api: Api, start: int, end: int, instead: bytes
) -> None:
    reply = api.request("POST", "/v1/batches", BATCH[:start] + instead + BATCH[end:])
    assert reply.status in (202, 400, 422), reply.body
    for item in reply.json["items"] if reply.status == 202 else ():
        assert item.get("problem", {}).get("status", 0) < 500, item


@given(body=st.binary(max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_answered(api: Api, body: bytes) -> None:
    assert api.submit_raw(body).status in (400, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"name":"echo"',
        b"nonsense",
        b"'name'",
        b'{name:"echo"}',
        b'{"name":"echo",}',
        b'{"name":"echo"} {"name":"echo"}',
        b'{"name":"echo"}garbage',
        b'// comment\n{"name":"echo"}',
        b'\xef\xbb\xbf{"name":"house.keep"}',
        '{"name":"house.keep"}'.encode("utf-16"),
        b"\x00",
        b'{"name":"house.keep"}\x00',
        b"\xff\xfe\xfd",
        b'{"name":"\xff"}',
        b'{"\xff":1}',
        b'{"name":"echo","args":{"value":"\xc3\x28"}}',
        b'{"name":"echo","args":{"\xff":1}}',
        b'{"name":"echo","args":{"value":"\xed\xa0\x80"}}',
        ECHO % b"NaN",
        ECHO % b"Infinity",
        ECHO % b"-Infinity",
        ECHO % b"01",
        ECHO % b"1.",
        ECHO % b".5",
        ECHO % b"+1",
        ECHO % b"0x10",
        ECHO % b"[1,]",
        ECHO % b'"tab\tinside"',
        ECHO % b'"nul\x00inside"',
        ECHO % b'"\\x41"',
        ECHO % b'"\\ud800"',
        ECHO % b'"\\ud800 and more text after it"',
        ECHO % b'"\\udc00\\ud800"',
        ECHO % b'"\\u12"',
        b'{"name":1,"nonsense":2,"x":"\xff"}',
        b'{"name":1,"nonsense":2,',
        b'{"name":1,"x":"\\ud800"}',
        b'{"name":1,"x":NaN}',
        b"%PDF-1.7",
        b"<xml/>",
        b"name=echo&args=1",
    ],
)
def test_what_is_not_json_is_refused(api: Api, body: bytes) -> None:
    reply = api.submit_raw(body, content_type="application/json")
    assert (reply.status, reply.code) == (400, "MALFORMED_JSON")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"echo"', b"true", b'[{"name":"echo"}]'])
def test_json_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    reply = api.submit_raw(body)
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", [""])


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("closed", [True, False])
def test_json_nested_100_000_levels_deep_is_refused(
    api: Api, depth: int, opening: bytes, closing: bytes, closed: bool
) -> None:
    depth = min(depth, (MAX_BODY_BYTES - 100) // (len(opening) + len(closing)))
    value = opening * depth + (b"1" + closing * depth if closed else b"")
    for body in (ECHO % value, value):
        reply = api.submit_raw(body)
        assert reply.status in (400, 422)
        assert reply.code in ("INVALID_REQUEST", "MALFORMED_JSON")


def _nested(levels: int) -> bytes:
    """A body of this many levels, among brackets in strings, which do not count."""
    inner = levels - 2
    strings = b'"[[[[{{{{ \\" ]","}",' * 40
    return (
        b'{"name":"echo","args":{"value":' + b"[" * (inner - 1) + b"[" + strings + b"1" + b"]" * inner + b"}}"
    )


def test_as_many_levels_as_allowed_are_taken(api: Api) -> None:
    assert api.submit_raw(_nested(MAX_DEPTH)).status == 202


def test_one_level_more_is_refused_in_clear_words(api: Api) -> None:
    reply = api.submit_raw(_nested(MAX_DEPTH + 1))
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert f"at most {MAX_DEPTH} levels" in reply.json["detail"]


def test_many_flat_objects_are_not_deep(api: Api) -> None:
    assert api.submit("echo", {"value": [{"a": []}] * 5_000}).status == 202


@pytest.mark.parametrize(
    "number", [b"9" * 5_000, b"-" + b"9" * 5_000, b"1e999", b"-1e999", b"1" + b"0" * 400 + b".0"]
)
def test_a_number_out_of_range_is_pointed_at(api: Api, number: bytes) -> None:
    reply = api.submit_raw(ECHO % (b'[0,{"a/b~":' + number + b"}]"))
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_ARGUMENTS", ["/args/value/1/a~1b~0"])
    assert "out of range" in reply.json["detail"]


@pytest.mark.parametrize("field", [b"delay", b"nonsense"])
def test_a_number_out_of_range_is_pointed_at_anywhere(api: Api, field: bytes) -> None:
    reply = api.submit_raw(b'{"name":"house.keep","%s":%s}' % (field, b"9" * 5_000))
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", [f"/{field.decode()}"])


@pytest.mark.parametrize(
    "value", [10**4299, -(10**4298), 5e-324, 1.7976931348623157e308, "\x00", "\u2028", "\ud7ff"]
)
def test_what_json_can_hold_comes_back_as_it_was(api: Api, value: Any) -> None:
    reply = api.submit("echo", {"value": value})
    assert reply.status == 202
    assert reply.json["args"] == {"value": value}
    assert api.get(reply.headers["location"]).json["args"] == {"value": value}


def test_an_unknown_task_is_answered_with_the_nearest_name(api: Api) -> None:
    reply = api.submit("ehco", {"value": 1})
    assert (reply.status, reply.code, reply.pointers) == (422, "UNKNOWN_TASK", ["/name"])
    assert "Did you mean 'echo'?" in reply.json["detail"]


@pytest.mark.parametrize(
    "name", ["", "zzz", "\x00", "😀", "echo ", "../echo", "__class__", "x" * 128, "a\nb"]
)
def test_any_text_may_be_asked_for_as_a_task(api: Api, name: str) -> None:
    reply = api.submit(name)
    assert (reply.status, reply.code) == (422, "UNKNOWN_TASK")
    assert len(reply.body) < 2_000


@pytest.mark.parametrize("fields", [{"name": "x" * 129}, {"name": "x" * 200_000}])
def test_a_long_name_is_refused_and_not_repeated(api: Api, fields: dict[str, str]) -> None:
    reply = api.post("/v1/tasks", fields)
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", ["/name"])
    assert len(reply.body) < 1_000


@pytest.mark.parametrize("queue", ["nosuch", "", "Default", "a b", "\x00", "{server}", "default}", "x" * 64])
def test_an_unknown_queue_is_refused_with_the_known_ones(api: Api, queue: str) -> None:
    reply = api.submit(queue=queue)
    assert (reply.status, reply.code, reply.pointers) == (422, "UNKNOWN_QUEUE", ["/queue"])
    assert "default, orders, vms" in reply.json["detail"]


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({}, ["/name"]),
        ({"args": {}}, ["/name"]),
        ({"name": 1}, ["/name"]),
        ({"name": None}, ["/name"]),
        ({"name": ["echo"]}, ["/name"]),
        ({"name": "echo", "args": []}, ["/args"]),
        ({"name": "echo", "args": None}, ["/args"]),
        ({"name": "echo", "args": "value"}, ["/args"]),
        ({"name": "echo", "queue": 1}, ["/queue"]),
        ({"name": "echo", "queue": None}, ["/queue"]),
        ({"name": "echo", "queue": "x" * 65}, ["/queue"]),
        ({"name": "echo", "delay": "1"}, ["/delay"]),
        ({"name": "echo", "delay": True}, ["/delay"]),
        ({"name": "echo", "delay": None}, ["/delay"]),
        ({"name": "echo", "delay": -1}, ["/delay"]),
        ({"name": "echo", "delay": -1e-9}, ["/delay"]),
        ({"name": "echo", "delay": 31_536_001}, ["/delay"]),
        ({"name": "echo", "delay": 1e300}, ["/delay"]),
        ({"name": "echo", "run_at": 1}, ["/run_at"]),
        ({"name": "echo", "run_at": None}, ["/run_at"]),
        ({"name": "echo", "run_at": ""}, ["/run_at"]),
        ({"name": "echo", "run_at": "tomorrow"}, ["/run_at"]),
        ({"name": "echo", "run_at": "2026-11-23"}, ["/run_at"]),
        ({"name": "echo", "run_at": "2026-11-23T21:00:00"}, ["/run_at"]),
        ({"name": "echo", "run_at": "2026-02-30T00:00:00Z"}, ["/run_at"]),
        ({"name": "echo", "run_at": "20261123T210000Z"}, ["/run_at"]),
        ({"name": "echo", "run_at": "9999-12-31T23:59:59-23:59"}, ["/run_at"]),
        ({"name": "echo", "run_at": "0001-01-01T00:00:00+23:59", "delay": 1}, ["/run_at"]),
        ({"name": "echo", "run_at": "2026-11-23T21:00:00Z", "delay": 0}, ["/run_at"]),
        ({"name": "echo", "nonsense": 1}, ["/nonsense"]),
        ({"name": "echo", "a/b~c": 1}, ["/a~1b~0c"]),
        ({"name": "echo", "": 1}, ["/"]),
        ({"name": "echo", "x" * 5_000: 1}, ["/" + "x" * 100]),
        ({"nmae": "echo", "args": 1, "delay": "x"}, ["/name", "/args", "/delay", "/nmae"]),
    ],
)
def test_every_field_that_is_wrong_is_pointed_at(
    api: Api, fields: dict[str, Any], pointers: list[str]
) -> None:
    reply = api.post("/v1/tasks", fields)
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", pointers)


def test_a_thousand_wrong_fields_are_not_all_listed(api: Api) -> None:
    reply = api.post("/v1/tasks", {f"f{number}": 1 for number in range(1_000)})
    assert reply.status == 422
    assert len(reply.pointers) == 10


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 10), ("priority", -1), ("priority", 1.5), ("priority", "high"), ("priority", None),
        ("expires", 0), ("expires", -1), ("expires", 10**9), ("expires", "1h"),
        ("unique", ""), ("unique", "two words"), ("unique", "x" * 256), ("unique", "line\n"), ("unique", 1),
        ("tags", "a"), ("tags", ["A"]), ("tags", [""]), ("tags", ["a b"]), ("tags", ["a\n"]),
        ("tags", list("abcdefghi")), ("tags", [1]), ("tags", None),
    ],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_pointed_at(api: Api, field: str, value: object) -> None:
    reply = api.submit(**{field: value})
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", [f"/{field}"])
    assert "regex" not in reply.json["detail"]


def test_what_a_later_version_takes_is_named_as_such(api: Api) -> None:
    reply = api.submit(callback_url="https://example.com")
    assert (reply.status, reply.code, reply.pointers) == (422, "NOT_SUPPORTED_YET", ["/callback_url"])
    assert "not supported yet" in reply.json["detail"].lower()


@pytest.mark.parametrize(
    ("name", "args", "pointer"),
    [
        ("add", {"a": "1"}, "/args/a"),
        ("add", {"a": 1.5}, "/args/a"),
        ("add", {"a": True}, "/args/a"),
        ("add", {"a": None}, "/args/a"),
        ("add", {}, "/args/a"),
        ("add", {"a": 1, "c": 2}, "/args/c"),
        ("add", {"a": 1, "a/b": 2}, "/args/a~1b"),
        ("add", None, "/args/a"),
        ("house.keep", {"x": 1}, "/args/x"),
        ("order", {"lines": {}}, "/args/lines"),
        ("order", {"lines": [{"sku": "a", "count": 1}, {"sku": "b", "count": 0}]}, "/args/lines/1/count"),
        ("order", {"lines": [{"sku": "a"}]}, "/args/lines/0/count"),
        ("order", {"lines": [], "notes": {"k": 1}}, "/args/notes"),
    ],
)
def test_arguments_are_checked_against_the_tasks_signature(
    api: Api, name: str, args: dict[str, Any] | None, pointer: str
) -> None:
    reply = api.submit(name, args)
    assert (reply.status, reply.code) == (422, "INVALID_ARGUMENTS")
    assert reply.pointers[0].startswith(pointer)


def test_a_body_of_the_allowed_size_is_taken(api: Api) -> None:
    body = ECHO % (b'"' + b"x" * (MAX_BODY_BYTES - len(ECHO % b'""')) + b'"')
    assert len(body) == MAX_BODY_BYTES
    assert api.submit_raw(body).status == 202


def test_a_body_is_no_larger_as_it_is_stored_than_it_may_be_as_it_is_sent(api: Api) -> None:
    """JSON's shortest way to write a number is not always the one that is stored."""
    body = ECHO % (b"[" + b"1e15," * 14_000 + b"1]")
    refused = api.submit_raw(body)
    assert (refused.status, refused.code) == (413, "TOO_LARGE")
    stored = len('{"value":[') + len("1000000000000000.0,") * 14_000 + len("1]}")
    assert all(f" {size} " in refused.json["detail"] for size in (len(body), stored, MAX_BODY_BYTES))
    accepted = api.submit_raw(ECHO % (b"[" + b"1e15," * 13_000 + b"1]"))
    assert accepted.json["args"]["value"] == [1e15] * 13_000 + [1]


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 5_000_000])
def test_a_larger_body_is_refused_before_it_is_read(api: Api, size: int) -> None:
    reply = api.submit_raw(b"[" * size)
    assert (reply.status, reply.code) == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json;",
        None,
        "",
    ],
)
def test_json_may_be_called_so_in_many_ways_or_not_at_all(api: Api, content_type: str | None) -> None:
    assert api.submit_raw(b'{"name":"house.keep"}', content_type=content_type).status == 202


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/json, text/plain",
        "text/plain, application/json",
        "*/*",
        "application/octet-stream",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "json",
        "\x00",
        "x" * 8_000,
    ],
)
def test_another_content_type_is_refused(api: Api, content_type: str) -> None:
    reply = api.submit_raw(b'{"name":"house.keep"}', content_type=content_type)
    assert (reply.status, reply.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_content_type_does_not_matter_where_nothing_is_sent(api: Api) -> None:
    assert api.get("/v1/server", content_type="text/plain").status == 200


@pytest.mark.parametrize(
    ("body", "base64_encoded", "status"),
    [
        (None, False, 400),
        ('{"name":"house.keep"}', False, 202),
        (base64.b64encode(b'{"name":"house.keep"}').decode(), True, 202),
        ("no base64!", True, 400),
        ("ä", True, 400),
        ("\ud800", False, 400),
        (base64.b64encode(b"\xff").decode(), True, 400),
    ],
)
def test_api_gateway_may_send_the_body_in_any_of_its_forms(
    api: Api, body: str | None, base64_encoded: bool, status: int
) -> None:
    event = proxy_event("POST", "/v1/tasks", body=body, isBase64Encoded=base64_encoded)
    response = app(event, None)
    assert response["statusCode"] == status
    assert json.loads(response["body"])


@pytest.mark.parametrize("path", ["/v1/server/open", "/v1/tasks/default~00000000000000000000000000/cancel"])
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"x":1}', b"\xff", b"[" * 300_000])
def test_routes_that_expect_no_body_are_as_strict(api: Api, path: str, body: bytes) -> None:
    reply = api.request("POST", path, body)
    assert reply.status in (400, 413, 422)
    assert reply.code in ("MALFORMED_JSON", "INVALID_REQUEST", "TOO_LARGE")
