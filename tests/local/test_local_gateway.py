"""HTTP requests as REST proxy events, and the answers back."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any

import pytest
from chalice.app import Chalice, Response

from local.gateway import Gateway
from local.proxy_event import Answer, Routes


@pytest.fixture
def app() -> Chalice:
    return Chalice("test")


@pytest.fixture
def event(app: Chalice) -> Callable[..., dict[str, Any]]:
    """Sends one request and returns the event that the handler saw."""
    seen: list[dict[str, Any]] = []

    def handler(**parameters: str) -> Response:
        request = app.current_request
        assert request is not None
        seen.append({**request.to_original_event(), "raw_body": request.raw_body, "arguments": parameters})
        return Response("")

    for path in ("/", "/v1/tasks", "/v1/tasks/{id}", "/v1/tasks/{id}/cancel", "/{proxy+}"):
        app.route(path, methods=["GET", "POST"], content_types=["*/*"])(handler)

    def send(
        path: str,
        query: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        method: str = "GET",
    ) -> dict[str, Any]:
        assert Gateway(app).answer(method, path, query, headers, body, "127.0.0.1").status == 200
        return seen.pop()

    return send


Event = Callable[..., dict[str, Any]]


def test_a_repeated_header_is_kept_whole_and_its_last_value_stands_alone(event: Event) -> None:
    seen = event("/", headers=(("x-tag", "a"), ("accept", "*/*"), ("x-tag", "b")))
    assert seen["headers"] == {"x-tag": "b", "accept": "*/*"}
    assert seen["multiValueHeaders"] == {"x-tag": ["a", "b"], "accept": ["*/*"]}


def test_a_query_is_decoded_and_repeats_are_kept(event: Event) -> None:
    seen = event("/", query="tag=a%20b&tag=c+d&empty=&e=%C3%A9")
    assert seen["queryStringParameters"] == {"tag": "c d", "empty": "", "e": "é"}
    assert seen["multiValueQueryStringParameters"] == {"tag": ["a b", "c d"], "empty": [""], "e": ["é"]}


def test_without_a_query_there_are_no_parameters(event: Event) -> None:
    seen = event("/")
    assert seen["queryStringParameters"] is None
    assert seen["multiValueQueryStringParameters"] is None


def test_path_parameters_are_decoded_after_the_path_was_split(event: Event) -> None:
    seen = event("/v1/tasks/a%2Fb%20%C3%A9/cancel")
    assert seen["resource"] == "/v1/tasks/{id}/cancel"
    assert seen["pathParameters"] == {"id": "a/b é"}
    assert seen["arguments"] == {"id": "a/b é"}


def test_a_slash_at_the_end_leads_to_the_same_resource(event: Event) -> None:
    assert event("/v1/tasks/")["resource"] == "/v1/tasks"
    assert event("/v1/tasks/7/")["pathParameters"] == {"id": "7"}


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/tasks//cancel", "/v1/tasks/7/unknown/x"])
def test_an_unknown_path_goes_to_the_catch_all(event: Event, path: str) -> None:
    seen = event(path)
    assert seen["resource"] == "/{proxy+}"
    assert seen["requestContext"]["resourcePath"] == "/{proxy+}"
    assert seen["pathParameters"] == {"proxy": path[1:].removesuffix("/")}


def test_without_a_catch_all_an_unknown_path_gets_api_gateways_answer(app: Chalice) -> None:
    app.route("/known")(dict)
    answer = Gateway(app).answer("GET", "/unknown", "", (), b"", "127.0.0.1")
    assert answer.status == 403
    assert b"Missing Authentication Token" in answer.body


def test_exact_segments_come_before_parameters() -> None:
    routes = Routes(["/{proxy+}", "/v1/{any}/x", "/v1/tasks/{id}", "/v1/tasks/mine"])
    found = [routes.find(path) for path in ("/v1/tasks/mine", "/v1/tasks/x", "/v1/other/x", "/v1/other/y")]
    assert [route and route.resource for route in found] == [
        "/v1/tasks/mine", "/v1/tasks/{id}", "/v1/{any}/x", "/{proxy+}",
    ]  # fmt: skip


def test_a_text_body_comes_as_text(event: Event) -> None:
    seen = event("/v1/tasks", body='{"é": 1}'.encode(), method="POST")
    assert seen["body"] == '{"é": 1}'
    assert seen["isBase64Encoded"] is False


def test_a_body_that_is_not_utf8_comes_in_base64_and_is_read_whole(event: Event) -> None:
    body = b"\xff\xfe\x00{}"
    seen = event("/v1/tasks", body=body, method="POST")
    assert seen["isBase64Encoded"] is True
    assert base64.b64decode(seen["body"]) == body
    assert seen["raw_body"] == body


def test_no_body_is_null(event: Event) -> None:
    assert event("/v1/tasks", method="POST")["body"] is None


def test_the_request_context_is_filled_as_aws_does(event: Event) -> None:
    context = event("/v1/tasks/7", headers=(("user-agent", "curl"),))["requestContext"]
    assert context["httpMethod"] == "GET"
    assert context["resourcePath"] == "/v1/tasks/{id}"
    assert context["path"] == "/v1/tasks/7"
    assert context["stage"] == "local"
    assert context["identity"] == {"sourceIp": "127.0.0.1", "userAgent": "curl"}
    assert context["protocol"] == "HTTP/1.1"
    assert context["requestId"] != event("/")["requestContext"]["requestId"]


def test_a_wrong_method_is_chalices_to_refuse(app: Chalice) -> None:
    app.route("/known")(dict)
    answer = Gateway(app).answer("DELETE", "/known", "", (), b"", "127.0.0.1")
    assert answer.status == 405


def test_an_answer_keeps_repeated_headers_and_binary_bodies(app: Chalice) -> None:
    headers = {"Content-Type": "image/png", "Set-Cookie": ["a=1", "b=2"]}
    app.route("/image")(lambda: Response(b"\x89PNG", headers=headers))
    answer = Gateway(app).answer("GET", "/image", "", (("accept", "image/png"),), b"", "127.0.0.1")
    assert answer.body == b"\x89PNG"
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


def test_threads_see_their_own_request(app: Chalice) -> None:
    both_in = threading.Barrier(2, timeout=10)

    @app.route("/{who}")
    def view(who: str) -> str:
        both_in.wait()
        request = app.current_request
        assert request is not None
        return f"{who} {request.uri_params}"

    gateway = Gateway(app)
    answers: dict[str, Answer] = {}

    def ask(who: str) -> None:
        answers[who] = gateway.answer("GET", f"/{who}", "", (), b"", "127.0.0.1")

    threads = [threading.Thread(target=ask, args=(who,)) for who in ("anna", "otto")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers["anna"].body == b"anna {'who': 'anna'}"
    assert answers["otto"].body == b"otto {'who': 'otto'}"
