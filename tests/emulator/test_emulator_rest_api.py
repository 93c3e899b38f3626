"""API Gateway's face: proxy events with a stage, and what callers see of functions that misbehave."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from emulator_thread import SECONDS, EmulatorThread

from local.emulator.function import Rules
from local.emulator.rest_api import RestApi

SHOW = """
import json
def handler(event, context):
    return {"statusCode": 202, "headers": {"Location": "/there"}, "multiValueHeaders": {"X-Two": ["a", "b"]},
            "body": json.dumps(event)}
"""

SAY = """
import time
def handler(event, context):
    if event["path"] == "/say/raise":
        raise ValueError("no")
    if event["path"] == "/say/sleep":
        time.sleep(600)
    return eval(event["body"])
"""


class Reply(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Face:
    """A client of one stage."""

    def __init__(self, emulator: EmulatorThread) -> None:
        self.emulator = emulator
        functions = {"POST": "say"}
        resources = {"/": {"GET": "show"}, "/items/{id}": {"ANY": "show"}, "/say/{how}": functions}
        url = emulator.call(emulator.emulator.serve_api(RestApi("api1", "api", "123456789012", resources)))
        self.url = urlsplit(url)
        emulator.deploy("show", SHOW)
        emulator.deploy("say", SAY, timeout_s=60.0)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        assert self.url.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.url.port, timeout=SECONDS)
        connection.request(method, path, body, headers)
        answered = connection.getresponse()
        reply = Reply(answered.status, answered.getheaders(), answered.read())
        connection.close()
        return reply

    def say(self, answer: str) -> Reply:
        """What comes of a function that returns this Python value."""
        return self.ask("POST", "/api/say/answer", answer.encode())


@pytest.fixture
def face(start: Callable[..., EmulatorThread]) -> Iterator[Face]:
    return Face(start(Rules(gateway_s=30.0)))


def test_a_request_becomes_a_proxy_event_with_its_stage(face: Face) -> None:
    reply = face.ask("PUT", "/api/items/a%2Fb?x=1&x=2", b"text", Accept="text/plain")
    assert reply.status == 202
    event = reply.json
    assert event["resource"] == "/items/{id}"
    assert event["path"] == "/items/a/b"
    assert event["httpMethod"] == "PUT"
    assert event["pathParameters"] == {"id": "a/b"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert event["headers"]["accept"] == "text/plain"
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert (event["body"], event["isBase64Encoded"]) == ("text", False)
    context = event["requestContext"]
    assert (context["stage"], context["path"], context["apiId"]) == ("api", "/api/items/a/b", "api1")
    assert context["accountId"] == "123456789012"


def test_a_stage_that_is_deployed_again_keeps_its_address_and_has_new_routes(face: Face) -> None:
    again = RestApi("api1", "api", "123456789012", {"/things": {"GET": "show"}})
    url = face.emulator.call(face.emulator.emulator.serve_api(again))
    assert urlsplit(url) == face.url
    assert face.ask("GET", "/api/things").status == 202
    assert face.ask("GET", "/api/items/a").status == 403


def test_the_functions_headers_come_back(face: Face) -> None:
    headers = [(name.lower(), value) for name, value in face.ask("GET", "/api/").headers]
    assert ("location", "/there") in headers
    assert [value for name, value in headers if name == "x-two"] == ["a", "b"]
    assert [value for name, value in headers if name == "x-amzn-requestid"]


def test_the_stage_alone_is_its_root(face: Face) -> None:
    assert face.ask("GET", "/api").json["path"] == "/"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/unknown"), ("GET", "/api/say/x"), ("POST", "/api"), ("GET", "/api/items/")],
)
def test_what_has_no_method_is_answered_by_the_gateway(face: Face, method: str, path: str) -> None:
    reply = face.ask(method, path)
    assert (reply.status, reply.json) == (403, {"message": "Missing Authentication Token"})


@pytest.mark.parametrize("path", ["/", "/v1", "/apix/items/1"])
def test_another_stage_is_forbidden_and_told_where_the_stage_is(face: Face, path: str) -> None:
    reply = face.ask("GET", path)
    assert (reply.status, reply.json["message"]) == (403, "Forbidden")
    assert "begins with its stage, /api" in reply.json["hint"]


def test_an_answer_in_base64_is_decoded(face: Face) -> None:
    reply = face.say("{'statusCode': 200, 'body': 'iVBORw==', 'isBase64Encoded': True}")
    assert (reply.status, reply.body) == (200, b"\x89PNG")


def test_an_answer_may_be_a_status_alone(face: Face) -> None:
    reply = face.say("{'statusCode': '204'}")
    assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize(
    "answer",
    ["None", "'text'", "{}", "{'statusCode': 'x'}", "{'statusCode': 200, 'body': {'a': 1}}", "{'a': 1}",
     "{'statusCode': 200, 'headers': 1}", "{'statusCode': 200, 'body': '%', 'isBase64Encoded': True}"],
)  # fmt: skip
def test_a_malformed_answer_is_a_bad_gateway(face: Face, answer: str) -> None:
    reply = face.say(answer)
    assert (reply.status, reply.json) == (502, {"message": "Internal server error"})


def test_a_function_that_fails_is_a_bad_gateway(face: Face) -> None:
    reply = face.ask("POST", "/api/say/raise")
    assert (reply.status, reply.json) == (502, {"message": "Internal server error"})


def test_an_answer_over_the_limit_is_a_bad_gateway(face: Face) -> None:
    assert face.say("{'statusCode': 200, 'body': 'x' * 7_000_000}").status == 502


def test_a_throttled_function_is_an_internal_error(face: Face) -> None:
    face.emulator.client.put_function_concurrency(FunctionName="say", ReservedConcurrentExecutions=0)
    reply = face.say("{'statusCode': 200}")
    assert (reply.status, reply.json) == (500, {"message": "Internal server error"})
    assert face.emulator.figures("say").throttles == 1


def test_a_function_that_takes_too_long_is_a_gateway_timeout_and_runs_on(
    start: Callable[..., EmulatorThread],
) -> None:
    face = Face(start(Rules(gateway_s=0.3)))
    reply = face.ask("POST", "/api/say/sleep")
    assert (reply.status, reply.json) == (504, {"message": "Endpoint request timed out"})
    assert face.emulator.figures("say").busy == 1


@pytest.mark.parametrize("size", [10 * 1024 * 1024 + 1, 6 * 1024 * 1024])
def test_a_request_over_the_gateways_limit_or_the_functions_is_too_long(face: Face, size: int) -> None:
    reply = face.ask("PUT", "/api/items/1", b"x" * size)
    assert (reply.status, reply.json) == (413, {"message": "Request Too Long"})


def test_a_request_that_fits_both_limits_arrives(face: Face) -> None:
    body = b"x" * (2 * 1024 * 1024)
    assert len(face.ask("PUT", "/api/items/1", body).json["body"]) == len(body)
