"""POST /v1/tasks: what is accepted, and how it is answered."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker
from proxy_events import proxy_event

from bide.ids import parse_id
from bide.settings import Settings
from chalice_app.services import Services

RFC_3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_submission_is_answered_with_its_task(api: Api) -> None:
    reply = api.submit("add", {"a": 1, "b": 2})

    assert reply.status == 202
    assert reply.headers["content-type"] == "application/json"
    task = reply.json
    assert parse_id(task["id"])
    assert RFC_3339_MS.fullmatch(task["submitted_at"])
    assert task == {
        "id": task["id"],
        "name": "add",
        "queue": "default",
        "state": "ready",
        "done": False,
        "args": {"a": 1, "b": 2},
        "result": None,
        "error": None,
        "attempt": 0,
        "max_attempts": 3,
        "priority": 0,
        "tags": [],
        "unique": None,
        "submitted_at": task["submitted_at"],
        "started_at": None,
        "finished_at": None,
        "run_at": None,
        "expires_at": None,
        "progress": None,
        "billed_ms": 0.0,
        "cost_usd": 0.0,
        "waited_ms": 0,
        "replays": 0,
        "polls": 0,
    }


def test_the_location_leads_to_the_task(api: Api) -> None:
    reply = api.submit()
    assert reply.headers["location"] == f"/v1/tasks/{reply.json['id']}"
    assert api.get(reply.headers["location"]).json == reply.json


def test_a_fresh_task_is_worth_asking_for_at_once(api: Api) -> None:
    assert api.submit().headers["retry-after"] == "0"


@pytest.mark.parametrize("fields", [{}, {"delay": 0.25}, {"delay": 90}, {"delay": 0}])
def test_the_answer_shows_what_the_store_has_recorded(api: Api, fields: dict[str, float]) -> None:
    submitted = api.submit(**fields).json
    assert api.get(f"/v1/tasks/{submitted['id']}").json == submitted


def test_a_delayed_task_is_scheduled_and_says_when_to_ask(api: Api) -> None:
    reply = api.submit(delay=41.5)
    assert reply.json["state"] == "scheduled"
    assert reply.headers["retry-after"] == "42"
    run_at = datetime.fromisoformat(reply.json["run_at"])
    assert run_at - datetime.fromisoformat(reply.json["submitted_at"]) == timedelta(seconds=41.5)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("house.keep", {"delay": 60, "expires": 59.9}),
        ("house.keep", {"delay": 60, "expires": 60}),
        ("house.keep", {"run_at": "+1h", "expires": 3_500}),
        ("hurry", {"delay": 600}),
    ],
)
def test_a_task_that_would_expire_before_it_is_due_is_refused(
    api: Api, name: str, fields: dict[str, Any]
) -> None:
    reply = api.submit(name, **_due(fields))
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", ["/expires"])


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("house.keep", {"delay": 60, "expires": 60.1}),
        ("house.keep", {"run_at": "+1h", "expires": 3_700}),
        ("house.keep", {"run_at": "1999-01-01T00:00:00Z", "expires": 0.001}),
        ("hurry", {"delay": 590}),
        ("hurry", {"delay": 3_600, "expires": 7_200}),
    ],
)
def test_a_task_may_expire_any_time_after_it_is_due(api: Api, name: str, fields: dict[str, Any]) -> None:
    assert api.submit(name, **_due(fields)).status == 202


def _due(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with `+1h` as a time."""
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return {name: in_an_hour if value == "+1h" else value for name, value in fields.items()}


def test_run_at_schedules_a_task_with_any_offset(api: Api) -> None:
    in_an_hour = datetime.now(UTC).replace(microsecond=123_000) + timedelta(hours=1)
    reply = api.submit(run_at=in_an_hour.astimezone(None).isoformat())
    assert reply.json["state"] == "scheduled"
    assert datetime.fromisoformat(reply.json["run_at"]) == in_an_hour
    assert api.get(f"/v1/tasks/{reply.json['id']}").json == reply.json


@pytest.mark.parametrize(
    "past", ["2001-01-01T00:00:00Z", "1969-12-31t23:59:59z", "0001-01-01T00:00:00+14:00"]
)
def test_a_run_at_in_the_past_is_now(api: Api, past: str) -> None:
    reply = api.submit(run_at=past)
    assert (reply.status, reply.json["state"], reply.json["run_at"]) == (202, "ready", None)


def test_a_task_goes_to_the_queue_that_it_names(api: Api) -> None:
    reply = api.submit("order", {"lines": [{"sku": "x", "count": 1}]})
    assert (reply.json["queue"], reply.json["max_attempts"]) == ("orders", 5)
    assert reply.json["id"].startswith("orders~")


@pytest.mark.parametrize("queue", ["default", "orders", "vms"])
def test_a_submission_may_choose_any_known_queue(api: Api, queue: str) -> None:
    assert api.submit(queue=queue).json["queue"] == queue


def test_retention_is_the_tasks_own_or_the_settings(api: Api, services: Services) -> None:
    own = parse_id(api.submit("order", {"lines": []}).json["id"])
    common = parse_id(api.submit().json["id"])
    assert own
    assert common
    assert services.reads.task(own, "default").run.retention_ms == 3_600_000
    assert services.reads.task(common, "default").run.retention_ms == 86_400_000


def test_a_task_without_required_arguments_needs_no_args(api: Api) -> None:
    reply = api.submit("house.keep")
    assert (reply.status, reply.json["args"]) == (202, {})


def test_the_worker_gets_the_arguments_that_were_sent(api: Api, worker: HandWorker) -> None:
    sent = {"value": [10**40, 0.1, "\x00\u2028😀", {"": None}, -(2**63), True]}
    reply = api.submit("echo", sent)
    assert reply.json["args"] == sent
    assert api.get(reply.headers["location"]).json["args"] == sent
    assert json.loads(worker.lease().spec.args) == sent


def test_the_last_of_two_fields_of_one_name_counts(api: Api) -> None:
    reply = api.submit_raw(b'{"name":"add","name":"echo","args":{"value":1,"value":2}}')
    assert (reply.json["name"], reply.json["args"]) == ("echo", {"value": 2})


def test_a_stage_of_api_gateway_is_part_of_the_location(api: Api, services: Services) -> None:
    from app import app

    event = proxy_event("POST", "/v1/tasks", "/api/v1/tasks", body='{"name":"house.keep"}')
    response = app(event, None)
    assert response["statusCode"] == 202
    assert response["headers"]["Location"].startswith("/api/v1/tasks/default~")


def test_a_rate_limit_shows_what_is_left_and_refuses_the_rest(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    serve(dataclasses.replace(settings, rate_limit=2))
    api = Api(client)
    first, second, third = api.submit(), api.submit(), api.submit()
    assert [first.status, second.status] == [202, 202]
    assert first.headers["ratelimit-policy"] == '"submit";q=2;w=1'
    assert first.headers["ratelimit"] == '"submit";r=1;t=1'
    assert second.headers["ratelimit"] == '"submit";r=0;t=1'
    assert (third.status, third.code) == (429, "RATE_LIMITED")
    assert third.headers["retry-after"] == "1"
    assert third.headers["ratelimit"] == '"submit";r=0;t=1'
    assert third.headers["ratelimit-policy"] == '"submit";q=2;w=1'


def test_without_a_rate_limit_no_header_speaks_of_one(api: Api) -> None:
    assert not any(name.startswith("ratelimit") for name in api.submit().headers)
