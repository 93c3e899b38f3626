"""Transitions that requests make: each is a line, under the id of its request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker
from proxy_events import proxy_event

from app import app
from bide.settings import Settings
from bide.transition_log import TransitionLog
from bide.wake import NoWake
from bide.whose import REQUEST_ID
from chalice_app.services import PROVIDER, build

Lines = list[dict[str, Any]]


@pytest.fixture
def lines(settings: Settings) -> Any:
    """What the app logs while it serves this test."""
    written: Lines = []
    log = TransitionLog(lambda lines: written.extend(map(json.loads, lines.splitlines())))
    PROVIDER.use(build(settings, NoWake(), log))
    yield written
    PROVIDER.use(None)


@pytest.fixture
def api(lines: Lines, client: Client) -> Api:
    return Api(client)


@pytest.fixture
def worker(lines: Lines, settings: Settings) -> HandWorker:
    return HandWorker(PROVIDER.get().store, settings.redis_url)


def events(lines: Lines) -> list[tuple[str, str | None]]:
    return [(line["event"], line.get("state")) for line in lines]


def test_a_submission_is_one_line_however_often_it_is_sent(api: Api, lines: Lines) -> None:
    key = "a-key"
    first = api.submit_raw(b'{"name":"echo","args":{"value":1}}', idempotency_key=key).json["id"]
    assert api.submit_raw(b'{"name":"echo","args":{"value":1}}', idempotency_key=key).json["id"] == first
    later = api.submit(delay=60).json["id"]
    assert [(line["task"], line["name"], line["queue"], line["attempt"]) for line in lines] == [
        (first, "echo", "default", 0), (later, "echo", "default", 0),
    ]  # fmt: skip
    assert events(lines) == [("submitted", "ready"), ("submitted", "scheduled")]


def test_a_batch_is_a_line_for_each_task(api: Api, lines: Lines) -> None:
    items = [
        {"name": "echo", "args": {"value": 1}},
        {"name": "nothing"},
        {"name": "echo", "args": {"value": 2}},
    ]
    reply = api.post("/v1/batches", {"items": items})
    ids = [item["task"]["id"] for item in reply.json["items"] if "task" in item]
    assert [line["task"] for line in lines] == ids
    assert len(ids) == 2


def test_a_refused_submission_is_none(api: Api, lines: Lines) -> None:
    assert api.submit("nothing").status == 422
    assert lines == []


def test_cancels_events_and_deletions_are_told(api: Api, worker: HandWorker, lines: Lines) -> None:
    path = api.submit().headers["location"]
    worker.park(worker.lease(), awaits="go")
    lines.clear()
    api.post(f"{path}/events/other", {})
    assert lines == []
    api.post(f"{path}/events/go", {})
    api.post(f"{path}/cancel")
    api.post(f"{path}/cancel")
    api.request("DELETE", path)
    assert events(lines) == [("promoted", None), ("cancelled", None), ("deleted", None)]
    assert {line["task"] for line in lines} == {path.rpartition("/")[2]}


def test_retries_redrives_and_purges_are_told(api: Api, worker: HandWorker, lines: Lines) -> None:
    path = api.submit().headers["location"]
    for again in (f"{path}/retry", "/v1/queues/default/redrive", "/v1/queues/default/purge"):
        worker.fail(worker.lease(), "ERROR", "no luck")
        lines.clear()
        assert api.post(again, None if again.endswith("retry") else {"dry_run": False}).status == 202
        event = ("deleted", None) if again.endswith("purge") else ("retried", "ready")
        assert events(lines) == [event]
        assert lines[0]["task"] == path.rpartition("/")[2]


def test_a_line_has_the_id_of_its_request(lines: Lines) -> None:
    event = proxy_event("POST", "/v1/tasks", body='{"name":"echo","args":{"value":1}}')
    assert app(event, None)["statusCode"] == 202
    (line,) = lines
    assert line["request_id"] == event["requestContext"]["requestId"]
    assert "worker" not in line
    assert REQUEST_ID.get() == ""
