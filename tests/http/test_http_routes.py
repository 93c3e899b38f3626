"""What answers where: links, health, wrong methods and paths, faults, and how the app is assembled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_client import Api
from chalice.app import Blueprint
from proxy_events import proxy_event

from app import app
from bide.errors import ScriptError, StoreUnavailable
from bide.gate import Gatekeeper
from bide.store import Store
from chalice_app import meta, problems, queues, redrive, server, tasks
from chalice_app.routing import METHODS
from chalice_app.services import Services

SERVED = {
    "/": ["GET", "HEAD"],
    "/docs": ["GET", "HEAD"],
    "/healthz": ["GET", "HEAD"],
    "/openapi.json": ["GET", "HEAD"],
    "/v1/tasks": ["GET", "HEAD", "POST"],
    "/v1/tasks/{id}": ["GET", "HEAD", "DELETE"],
    "/v1/batches": ["POST"],
    "/v1/tasks/{id}/cancel": ["POST"],
    "/v1/tasks/{id}/events/{name}": ["POST"],
    "/v1/tasks/{id}/retry": ["POST"],
    "/v1/tasks/{id}/attempts": ["GET", "HEAD"],
    "/v1/queues/{queue}/redrive": ["POST"],
    "/v1/queues/{queue}/purge": ["POST"],
    "/v1/operations": ["GET", "HEAD"],
    "/v1/operations/{id}": ["GET", "HEAD"],
    "/v1/tasks/{id}/log": ["GET", "HEAD"],
    "/v1/stats": ["GET", "HEAD"],
    "/v1/stats/series": ["GET", "HEAD"],
    "/metrics": ["GET", "HEAD"],
    "/v1/scaling": ["GET", "HEAD"],
    "/v1/server": ["GET", "HEAD"],
    "/v1/workers": ["GET", "HEAD"],
    "/v1/queues": ["GET", "HEAD"],
    "/v1/queues/{queue}": ["GET", "HEAD"],
    "/v1/queues/{queue}/pause": ["POST"],
    "/v1/queues/{queue}/resume": ["POST"],
    "/v1/server/close": ["POST"],
    "/v1/server/drain": ["POST"],
    "/v1/server/open": ["POST"],
}


def _event(method: str, resource: str, path: str = "", **fields: Any) -> dict[str, Any]:
    """What API Gateway sends; unlike Chalice's test client it knows greedy paths."""
    given = {"pathParameters": {"id": "x", "name": "x", "queue": "x", "proxy": "x"}} | fields
    return proxy_event(method, resource, path, **given)


def test_the_root_lists_where_to_go_on(api: Api) -> None:
    links = api.get("/").json["links"]
    assert {"docs", "openapi", "tasks", "stats", "scaling"} <= set(links)
    for path in links.values():
        assert api.get(path).status == 200


def test_behind_a_stage_the_links_have_its_prefix(services: Services) -> None:
    response = app(_event("GET", "/", "/api/"), None)
    assert json.loads(response["body"])["links"]["openapi"] == "/api/openapi.json"


def test_a_prefix_that_could_mislead_is_dropped(services: Services) -> None:
    response = app(_event("GET", "/", "//evil.example\r\nX: y/"), None)
    assert json.loads(response["body"])["links"]["openapi"] == "/openapi.json"


def test_the_docs_are_the_ones_of_the_repository(api: Api) -> None:
    reply = api.get("/docs")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"POST /v1/tasks" in reply.body


def test_health_tells_what_the_store_would_survive(api: Api) -> None:
    reply = api.get("/healthz")
    assert reply.json["status"] == "ok"
    assert reply.json["store"]["server"] in ("valkey", "redis")
    assert reply.json["store"]["durability"] in ("aof", "rdb", "none")
    assert reply.json["store"]["ping_ms"] > 0
    assert reply.json["tasks"] == {"registered": 6, "problems": []}


@pytest.mark.parametrize(
    ("path", "method"), [(path, m) for path in SERVED for m in METHODS if m not in SERVED[path]]
)
def test_a_wrong_method_is_told_the_right_ones(services: Services, path: str, method: str) -> None:
    response = app(_event(method, path), None)
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert response["headers"]["Allow"] == ", ".join(SERVED[path])
    assert response["headers"]["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/nowhere", "/v1/tasks/x/nowhere", "/v2/tasks", "/favicon.ico"])
def test_an_unknown_path_is_not_found(services: Services, method: str, path: str) -> None:
    response = app(_event(method, "/{proxy+}", path), None)
    assert (response["statusCode"], json.loads(response["body"])["code"]) == (404, "NOT_FOUND")


def test_api_gateway_is_told_of_every_method_of_every_path() -> None:
    assert set(app.routes) == {*SERVED, "/{proxy+}"}
    for path, methods in app.routes.items():
        assert sorted(methods) == sorted(METHODS), path


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "get", ""])
def test_a_method_that_chalice_itself_refuses_is_a_problem_too(services: Services, method: str) -> None:
    response = app(_event(method, "/v1/tasks"), None)
    assert response["statusCode"] == 405
    assert json.loads(response["body"])["code"] == "METHOD_NOT_ALLOWED"
    assert response["headers"]["Allow"] == "GET, HEAD, POST"


def test_a_resource_that_chalice_does_not_know_is_not_found(services: Services) -> None:
    response = app(_event("GET", "/{proxy*}"), None)
    assert (response["statusCode"], json.loads(response["body"])["code"]) == (404, "NOT_FOUND")
    del app.routes["/{proxy*}"]  # Chalice's table grows by looking


def test_an_event_that_chalice_cannot_read_is_a_problem_too(services: Services) -> None:
    response = app({"requestContext": {}}, None)
    assert response["statusCode"] == 500
    assert json.loads(response["body"])["code"] == "INTERNAL"


def test_a_store_that_cannot_be_reached_is_a_503_that_asks_to_return(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise StoreUnavailable("Error 111 connecting to 10.0.0.1:6379")

    monkeypatch.setattr(Store, "submit", unreachable)
    reply = api.submit()
    assert (reply.status, reply.code) == (503, "STORE_UNAVAILABLE")
    assert reply.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "fault", [ScriptError("ERR no such key"), ZeroDivisionError("secret"), RecursionError()]
)
def test_a_fault_of_ours_is_a_500_that_names_the_log_entry_and_no_more(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(Gatekeeper, "read", broken)
    reply = api.get("/v1/server")
    assert (reply.status, reply.code) == (500, "INTERNAL")
    assert reply.json["request_id"] in reply.json["detail"]
    assert b"secret" not in reply.body
    (entry,) = caplog.records
    assert reply.json["request_id"] in entry.getMessage()
    assert entry.exc_info
    assert entry.exc_info[1] is fault


def test_the_request_id_is_api_gateways_own(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gatekeeper, "read", lambda _: 1 / 0)
    response = app(_event("GET", "/v1/server"), None)
    assert json.loads(response["body"])["request_id"] == "r-1"


def test_every_status_of_a_problem_is_an_error() -> None:
    assert all(400 <= status < 600 for status in problems.STATUS.values())


def test_blueprints_are_called_app_so_that_lambda_imports_the_assembled_one() -> None:
    for routes in (meta.routes, tasks.routes, server.routes, queues.routes, redrive.routes):
        assert isinstance(routes, Blueprint)
        assert routes._import_name == "app"
