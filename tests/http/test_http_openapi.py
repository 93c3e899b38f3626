"""/openapi.json: valid, complete, and kept by the server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as hypothesis_settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import app
from bide.settings import Settings
from chalice_app import openapi
from chalice_app.problems import STATUS
from chalice_app.routing import METHODS
from chalice_app.services import Services

OPERATIONS = [
    (path, method)
    for path, entries in app.routes.items()
    for method, entry in entries.items()
    if not entry.view_name.startswith("refuse") and method != "HEAD"
]
"""Every path and method that is served."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    """What the server says of itself."""
    described: dict[str, Any] = api.get("/openapi.json").json
    return described


def _submission(document: dict[str, Any]) -> Any:
    """A validator of what may be submitted."""
    schema = document["paths"]["/v1/tasks"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**schema, "components": document["components"]})


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_the_same_tasks_give_the_same_text(settings: Settings, serve: Callable[[Settings], Services]) -> None:
    first, second = (json.dumps(openapi.document(serve(settings), "")) for _ in range(2))
    assert first == second


def test_every_route_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    described = {
        (path, method.upper())
        for path, operations in document["paths"].items()
        for method in operations
        if method.upper() in METHODS
    }
    assert described == set(OPERATIONS)


def test_every_status_of_a_problem_is_described(document: dict[str, Any]) -> None:
    named = " ".join(response["description"] for response in document["components"]["responses"].values())
    for error in STATUS:
        assert error.code in named


@pytest.mark.parametrize(
    "body",
    [
        {"name": "echo", "args": {"value": [None]}},
        {"name": "add", "args": {"a": 1}, "delay": 0.5, "queue": "vms"},
        {"name": "add", "args": {"a": 1, "b": 2}, "run_at": "2026-11-23T21:00:00Z"},
        {"name": "order", "args": {"lines": [{"sku": "x", "count": 1}], "notes": {"a": "b"}}},
        {"name": "house.keep"},
        {"name": "house.keep", "args": {}},
    ],
)
def test_what_it_allows_is_accepted(api: Api, document: dict[str, Any], body: dict[str, Any]) -> None:
    assert _submission(document).is_valid(body)
    assert api.post("/v1/tasks", body).status == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"name": "nosuch"},
        {"name": "echo"},
        {"name": "add", "args": {"a": "1"}},
        {"name": "add", "args": {"a": 1, "c": 1}},
        {"name": "add", "args": {"a": 1}, "delay": -1},
        {"name": "add", "args": {"a": 1}, "delay": 1, "run_at": "2026-11-23T21:00:00Z"},
        {"name": "add", "args": {"a": 1}, "queue": "nosuch"},
        {"name": "add", "args": {"a": 1}, "priority": 10},
        {"name": "order", "args": {"lines": [{"sku": "x", "count": 0}]}},
        {"name": "house.keep", "args": None},
    ],
)
def test_what_it_forbids_is_refused(api: Api, document: dict[str, Any], body: Any) -> None:
    assert not _submission(document).is_valid(body)
    assert api.post("/v1/tasks", body).status == 422


def test_a_key_is_asked_for_outside_local_mode_alone(
    document: dict[str, Any], serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    assert document["security"] == []
    serve(dataclasses.replace(settings, local=False))
    public = Api(client).get("/openapi.json").json
    assert public["security"] == [{"key": []}]
    assert public["paths"]["/healthz"]["get"]["security"] == []
    OpenAPIV31SpecValidator(public).validate()


def test_a_server_without_tasks_has_a_valid_description(services: Services) -> None:
    empty = dataclasses.replace(services, registry=dataclasses.replace(services.registry, definitions={}))
    OpenAPIV31SpecValidator(openapi.document(empty, "")).validate()


def test_behind_a_stage_the_server_has_its_prefix(services: Services) -> None:
    assert openapi.document(services, "/api")["servers"] == [{"url": "/api"}]


MODES = [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS] + [
    (path, method, GenerationMode.NEGATIVE)
    for path, method in OPERATIONS
    if method == "POST" or "{" in path  # the others take nothing that could be wrong
]


@pytest.mark.parametrize(("path", "method", "mode"), MODES)
def test_whatever_is_sent_the_answer_is_as_described(
    api: Api, port: int, worker: HandWorker, path: str, method: str, mode: GenerationMode
) -> None:
    """Over a real socket: requests that fit the description, and others that do not."""
    described = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    id = api.submit().json["id"]
    if method == "DELETE":
        api.post(f"/v1/tasks/{id}/cancel")
    if path.endswith("/retry"):
        worker.fail(worker.lease(), "ERROR", "no luck")
    if path.startswith("/v1/operations"):
        id = api.post("/v1/queues/default/purge").json["id"]
    statuses = []

    @seed(20261123)
    @hypothesis_settings(
        max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        case.headers.pop("Prefer", None)  # tests of their own wait
        if mode is GenerationMode.POSITIVE and "{id}" in path:
            case.path_parameters["id"] = id
        if mode is GenerationMode.POSITIVE and "{queue}" in path:
            case.path_parameters["queue"] = "default"
        statuses.append(case.call_and_validate(checks=CHECKS).status_code)

    check()
    expected = 2 if mode is GenerationMode.POSITIVE else 4
    assert any(status // 100 == expected for status in statuses), statuses
