"""How routes are registered: several methods of one path, each with a view of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chalice.app import Chalice, Response
from proxy_events import proxy_event

from chalice_app import wire
from chalice_app.routing import METHODS, Call, Routes, close_gaps
from chalice_app.services import Services

PATH = "/things/{id}"


def _event(method: str) -> dict[str, Any]:
    return proxy_event(method, PATH, "/things/7", pathParameters={"id": "7"})


@pytest.fixture
def app(services: Services) -> Chalice:
    """An app whose one path has a view for reading, one for deleting and one for operators."""
    routes = Routes()

    @routes.get(PATH)
    def show(_: Call, id: str) -> Response:
        return wire.respond(200, json.dumps(["show", id]).encode())

    @routes.delete(PATH)
    def erase(_: Call, id: str) -> Response:
        return wire.respond(200, json.dumps(["erase", id]).encode())

    @routes.post(PATH, operator=True)
    def mend(call: Call, id: str) -> Response:
        return wire.respond(200, json.dumps(["mend", id, call.is_operator]).encode())

    app = Chalice("things")
    app.register_blueprint(routes)
    close_gaps(app)
    return app


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("GET", ["show", "7"]),
        ("HEAD", ["show", "7"]),
        ("DELETE", ["erase", "7"]),
        ("POST", ["mend", "7", True]),
    ],
)
def test_each_method_of_a_path_reaches_its_view(app: Chalice, method: str, body: list[Any]) -> None:
    response = app(_event(method), None)
    assert (response["statusCode"], json.loads(response["body"])) == (200, body)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS"])
def test_any_other_is_told_all_that_are_allowed(app: Chalice, method: str) -> None:
    response = app(_event(method), None)
    assert response["statusCode"] == 405
    assert set(response["headers"]["Allow"].split(", ")) == {"GET", "HEAD", "DELETE", "POST"}


def test_api_gateway_is_told_of_every_method(app: Chalice) -> None:
    assert sorted(app.routes[PATH]) == sorted(METHODS)
