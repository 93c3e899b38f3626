"""Who may ask: keys outside local mode, and Host and Origin within it."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.connection import Client as StoreClient
from bide.errors import StoreUnavailable
from bide.settings import Settings
from chalice_app import operations
from chalice_app.services import Services

DESCRIBED = {
    (method.upper(), re.sub(r"{\w+}", "x", path)): operation
    for path, methods in operations.paths({}).items()
    for method, operation in methods.items()
    if method != "parameters"
}
PROTECTED = [route for route, operation in DESCRIBED.items() if "security" not in operation]
FOR_OPERATORS = [
    route for route, operation in DESCRIBED.items() if "operator" in operation.get("description", "")
]
OPEN = ["/", "/docs", "/healthz", "/openapi.json"]
NOWHERE = {"host": "api.example.com", "origin": "https://www.example.com"}


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def public(serve: Callable[[Settings], Services], settings: Settings, client: Client) -> Api:
    """The app outside local mode, with the keys of two tenants and of an operator."""
    hashes = (("default", _hash("first")), ("acme", _hash("second")))
    operators = (("default", _hash("operator")),)
    serve(dataclasses.replace(settings, local=False, api_key_hashes=hashes, operator_key_hashes=operators))
    return Api(client, NOWHERE)


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_without_a_key_a_route_is_closed(public: Api, method: str, path: str) -> None:
    reply = public.request(method, path)
    assert (reply.status, reply.code) == (401, "UNAUTHENTICATED")
    assert reply.headers["www-authenticate"] == 'Bearer realm="bide"'


@pytest.mark.parametrize("path", OPEN)
def test_without_a_key_links_health_and_descriptions_are_open(public: Api, path: str) -> None:
    assert public.get(path).status == 200


@pytest.mark.parametrize(
    "header", ["Bearer first", "bearer first", "BEARER   first", "Bearer second", "Bearer first "]
)
def test_a_key_opens(public: Api, header: str) -> None:
    assert public.get("/v1/server", authorization=header).status == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer First",
        "Bearer first second",
        "Bearer firs",
        "Bearer firstt",
        f"Bearer {_hash('first')}",
        "Basic first",
        "Basic Zmlyc3Q6",
        "first",
        "Bearer \x00",
        "Bearer ä",
        "Bearer \ud800",
        "Bearer " + "x" * 60_000,
    ],
)
def test_any_other_header_does_not(public: Api, header: str) -> None:
    reply = public.get("/v1/server", authorization=header)
    assert (reply.status, reply.code) == (401, "UNAUTHENTICATED")


def test_the_key_names_the_tenant(public: Api) -> None:
    body = b'{"name":"house.keep"}'
    first = public.submit_raw(body, authorization="Bearer first", idempotency_key="k")
    second = public.submit_raw(body, authorization="Bearer second", idempotency_key="k")
    assert first.json["id"] != second.json["id"]
    path = second.headers["location"]
    assert public.get(path, authorization="Bearer second").status == 200
    assert public.get(path, authorization="Bearer first").code == "TASK_NOT_FOUND"


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_without_hashes_the_answer_says_how_to_make_one(
    serve: Callable[[Settings], Services], settings: Settings, client: Client, method: str, path: str
) -> None:
    serve(dataclasses.replace(settings, local=False))
    reply = Api(client, NOWHERE).request(method, path, headers={"Authorization": "Bearer x"})
    assert (reply.status, reply.code) == (503, "NOT_CONFIGURED")
    assert "BIDE_API_KEY_HASHES" in reply.json["detail"]
    assert "openssl" in reply.json["detail"]


def test_a_traceback_is_not_for_everybody_with_a_key(worker: HandWorker, public: Api) -> None:
    path = public.submit_raw(b'{"name":"house.keep"}', authorization="Bearer first").headers["location"]
    worker.fail(worker.lease(), "TASK_FAILED", "no", traceback="in boot.py, line 7")
    error = public.get(path, authorization="Bearer first").json["error"]
    assert error == {"code": "TASK_FAILED", "message": "no"}
    error = public.get(path, authorization="Bearer operator").json["error"]
    assert error == {"code": "TASK_FAILED", "message": "no", "traceback": "in boot.py, line 7"}


@pytest.mark.parametrize(("method", "path"), FOR_OPERATORS)
def test_what_operates_the_server_needs_an_operators_key(public: Api, method: str, path: str) -> None:
    assert public.request(method, path).status == 401
    refused = public.request(method, path, headers={"Authorization": "Bearer first"})
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert "BIDE_OPERATOR_KEY_HASHES" in refused.json["detail"]
    admitted = public.request(method, path, headers={"Authorization": "Bearer operator"})
    assert admitted.status not in (401, 403)


@pytest.mark.parametrize(
    ("path", "key", "is_told"),
    [
        ("/v1/tasks", "first", False),
        ("/metrics", "second", False),
        ("/v1/tasks", "operator", True),
        ("/healthz", "operator", True),
        ("/healthz", "first", False),
        ("/healthz", "nobody's", False),
    ],
)
def test_where_the_store_is_stays_among_operators(
    public: Api,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
    key: str,
    is_told: bool,
) -> None:
    def unreachable(*_: object) -> None:
        raise StoreUnavailable("The store cannot be used: no route (10.0.0.1:6379)")

    monkeypatch.setattr(StoreClient, "_ask", unreachable)
    reply = public.get(path, authorization=f"Bearer {key}")
    assert (reply.status, reply.code) == (503, "STORE_UNAVAILABLE")
    assert ("10.0.0.1" in reply.json["detail"]) is is_told
    assert "10.0.0.1" in caplog.text


def test_an_operators_key_does_what_an_api_key_does(public: Api) -> None:
    path = public.submit_raw(b'{"name":"house.keep"}', authorization="Bearer operator").headers["location"]
    assert public.get(path, authorization="Bearer first").status == 200
    assert public.get(path, authorization="Bearer second").code == "TASK_NOT_FOUND"


def test_a_key_that_stands_in_both_lists_is_an_operators(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    keys, operators = (("acme", _hash("both")),), (("ops", _hash("both")),)
    serve(dataclasses.replace(settings, local=False, api_key_hashes=keys, operator_key_hashes=operators))
    reply = Api(client, NOWHERE).post("/v1/server/open", authorization="Bearer both")
    assert reply.status == 200


def test_with_operators_keys_alone_the_server_is_configured(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    operators = (("ops", _hash("operator")),)
    serve(dataclasses.replace(settings, local=False, operator_key_hashes=operators))
    public = Api(client, NOWHERE)
    assert public.get("/v1/server", authorization="Bearer operator").status == 200
    assert public.get("/v1/server", authorization="Bearer other").code == "UNAUTHENTICATED"


def test_tasks_that_reach_out_are_not_there_outside_local_mode(public: Api) -> None:
    reply = public.submit_raw(b'{"name":"reach_out","args":{"url":"x"}}', authorization="Bearer first")
    assert reply.code == "UNKNOWN_TASK"


def test_local_mode_needs_no_key(api: Api) -> None:
    assert api.submit("reach_out", {"url": "http://localhost"}).status == 202


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:65535"]
)
def test_local_mode_answers_under_the_names_of_loopback(api: Api, host: str) -> None:
    assert api.get("/v1/server", host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "example.com",
        "localhost.example.com",
        "localhost:8000.example.com",
        "127.0.0.1.nip.io",
        "127.0.0.2",
        "0.0.0.0",
        "::1",
        "[::1",
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "localhost\n",
        "localhost, example.com",
        "user@localhost",
        "localhost/",
        "\x00",
        "localhost:٣",
    ],
)
@pytest.mark.parametrize("path", ["/v1/server", "/", "/nowhere"])
def test_local_mode_refuses_every_other_host(api: Api, host: str | None, path: str) -> None:
    reply = api.get(path, host=host)
    assert (reply.status, reply.code) == (403, "FORBIDDEN_HOST")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("LocalHost:8000", "http://localhost:8000"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:8443", "http://[::1]:8443"),
    ],
)
def test_local_mode_answers_its_own_pages(api: Api, host: str, origin: str) -> None:
    assert api.post("/v1/tasks", {"name": "house.keep"}, host=host, origin=origin).status == 202


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://example.com",
        "http://localhost.example.com",
        "file://",
        "localhost:8000",
        "http://localhost:8000/",
        "https://localhost:8000",
        "http://localhost",
        "http://localhost:3000",
        "http://localhost:80000",
        "http://127.0.0.1:8000",
        "http://localhost:8000, http://localhost:8000",
    ],
)
@pytest.mark.parametrize("has_keys", [False, True])
def test_local_mode_refuses_every_other_page(
    serve: Callable[[Settings], Services], settings: Settings, client: Client, has_keys: bool, origin: str
) -> None:
    serve(dataclasses.replace(settings, api_key_hashes=(("a", _hash("first")),) if has_keys else ()))
    reply = Api(client).post("/v1/tasks", {"name": "house.keep"}, origin=origin, authorization="Bearer first")
    assert (reply.status, reply.code) == (403, "FORBIDDEN_HOST")
    assert "http://localhost:8000" in reply.json["detail"]


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/batches", "/v1/server/close", "/v1/tasks/{id}/cancel"])
def test_what_a_page_sends_has_to_be_called_json(api: Api, path: str, content_type: str | None) -> None:
    id = api.submit("house.keep").json["id"]
    page = {"Origin": "http://localhost:8000", "Content-Type": content_type}
    reply = api.request("POST", path.format(id=id), b"{}", page)
    assert (reply.status, reply.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("which", ["api_key_hashes", "operator_key_hashes"])
def test_keys_that_are_set_are_needed_in_local_mode_too(
    serve: Callable[[Settings], Services], settings: Settings, client: Client, which: str
) -> None:
    hashes: Any = {which: (("default", _hash("first")),)}
    serve(dataclasses.replace(settings, **hashes))
    api = Api(client)
    assert api.submit("reach_out", {"url": "x"}).code == "UNAUTHENTICATED"
    assert api.get("/healthz").status == 200
    assert api.get("/v1/server", authorization="Bearer first").status == 200
    operates = api.post("/v1/server/open", authorization="Bearer first").status
    assert operates == (200 if which == "operator_key_hashes" else 403)
    assert api.get("/openapi.json").json["security"] == [{"key": []}]


def test_a_wrong_method_is_refused_to_other_hosts_as_well(api: Api) -> None:
    reply = api.request("DELETE", "/v1/tasks", headers={"Host": "example.com"})
    assert (reply.status, reply.code) == (403, "FORBIDDEN_HOST")
