"""What a request answers is what a read right after it shows, field by field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_client import Api, Reply
from hand_worker import HandWorker

from app import app

LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

SUBMISSIONS: dict[str, dict[str, Any]] = {
    "the least": {"name": "echo", "args": {"value": 1}},
    "all fields": {
        "name": "order", "args": {"lines": [{"sku": "x", "count": 2}], "notes": {"a": "ä\u2028"}},
        "queue": "vms", "priority": 7, "delay": 60, "expires": 3600, "unique": "one", "tags": ["b", "a", "b"],
    },
    "a unique value": {"name": "echo", "args": {"value": 1}, "unique": "just-one"},
    "a time": {"name": "add", "args": {"a": 1}, "run_at": LATER, "unique": "timed"},
    "a time that has passed": {"name": "add", "args": {"a": 1}, "run_at": "2020-01-01T00:00:00Z"},
    "what its task sets": {"name": "hurry"},
    "tags alone": {"name": "house.keep", "tags": ["x"]},
}  # fmt: skip

POSTED = {
    "/v1/tasks", "/v1/batches", "/v1/tasks/{id}/cancel", "/v1/tasks/{id}/retry",
    "/v1/tasks/{id}/events/{name}", "/v1/queues/{queue}/pause", "/v1/queues/{queue}/resume",
    "/v1/queues/{queue}/redrive", "/v1/queues/{queue}/purge",
    "/v1/server/close", "/v1/server/open", "/v1/server/drain",
}  # fmt: skip
"""Every route that changes something and answers with what it has changed; each is asked below."""

GROWS = ("waited_ms",)
"""What time alone changes, of a task that is parked."""


def _steady(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in GROWS}


def _expect_as_read(api: Api, reply: Reply, status: int) -> None:
    """The task in this reply is the task as it is read now, and as the list has it."""
    assert reply.status == status
    _expect_shown(api, reply.json)


def _expect_shown(api: Api, told: dict[str, Any]) -> None:
    assert _steady(told) == _steady(api.get(f"/v1/tasks/{told['id']}").json)
    listed = api.get(f"/v1/tasks?queue={told['queue']}&page_size=100").json["tasks"]
    (row,) = [row for row in listed if row["id"] == told["id"]]
    brief = {name: value for name, value in told.items() if name not in ("args", "result")}
    assert _steady(row) == _steady(brief)


def _expect_gate_as_read(api: Api, reply: Reply) -> None:
    assert reply.status == 200
    told = {name: value for name, value in reply.json.items() if name != "queues"}
    assert told == api.get("/v1/server").json


def test_this_module_asks_every_route_that_changes_something() -> None:
    views = {path: methods["POST"].view_name for path, methods in app.routes.items() if "POST" in methods}
    assert {path for path, view in views.items() if not view.startswith("refuse_")} == POSTED


@pytest.mark.parametrize("fields", SUBMISSIONS.values(), ids=list(SUBMISSIONS))
def test_a_submission_and_its_repeat_answer_what_is_read(api: Api, fields: dict[str, Any]) -> None:
    accepted = api.post("/v1/tasks", fields, idempotency_key="k")
    _expect_as_read(api, accepted, 202)
    assert accepted.json["unique"] == fields.get("unique")
    repeated = api.post("/v1/tasks", fields, idempotency_key="k")
    _expect_as_read(api, repeated, 202)
    assert repeated.json == accepted.json


@pytest.mark.parametrize("fields", SUBMISSIONS.values(), ids=list(SUBMISSIONS))
def test_a_batchs_items_answer_what_is_read_and_what_a_single_submission_answers(
    api: Api, fields: dict[str, Any]
) -> None:
    item = {**fields, "idempotency_key": "k"}
    first, again = api.post("/v1/batches", {"items": [item, item]}).json["items"]
    _expect_shown(api, first["task"])
    assert again == first
    single = api.post("/v1/tasks", fields, idempotency_key="k")
    assert single.json == first["task"]


def test_a_waited_submission_answers_what_is_read(api: Api) -> None:
    """The wait ends without an outcome: nobody works."""
    _expect_as_read(api, api.post("/v1/tasks", SUBMISSIONS["a unique value"], prefer="wait=1"), 202)


def test_a_repeat_after_the_end_answers_the_end(api: Api, worker: HandWorker) -> None:
    api.post("/v1/tasks", SUBMISSIONS["a unique value"], idempotency_key="k")
    worker.succeed(worker.lease(), {"it": "works"})
    repeated = api.post("/v1/tasks", SUBMISSIONS["a unique value"], idempotency_key="k", prefer="wait=1")
    _expect_as_read(api, repeated, 200)
    assert (repeated.json["result"], repeated.json["unique"]) == ({"it": "works"}, "just-one")


def test_cancels_answer_what_is_read(api: Api, worker: HandWorker) -> None:
    ready = api.submit(unique="a", tags=["x"]).json["id"]
    _expect_as_read(api, api.post(f"/v1/tasks/{ready}/cancel"), 200)
    running = api.submit(unique="b").json["id"]
    worker.lease()
    _expect_as_read(api, api.post(f"/v1/tasks/{running}/cancel"), 202)


def test_retries_and_their_repeats_answer_what_is_read(api: Api, worker: HandWorker) -> None:
    id = api.submit(unique="a", priority=3).json["id"]
    worker.fail(worker.lease(), "ERROR", "no luck")
    for _ in range(2):
        _expect_as_read(api, api.post(f"/v1/tasks/{id}/retry"), 202)


def test_events_and_their_repeats_answer_what_is_read(api: Api, worker: HandWorker) -> None:
    id = api.submit(unique="a").json["id"]
    lease = worker.lease()
    worker.progress(lease, fraction=0.5, message="half")
    worker.park(lease, delay_ms=60_000, awaits="go")
    for name in ("other", "go", "go"):
        _expect_as_read(api, api.post(f"/v1/tasks/{id}/events/{name}", {"x": 1}, idempotency_key=name), 202)


def test_an_erased_task_is_not_read_again(api: Api) -> None:
    id = api.submit().json["id"]
    api.post(f"/v1/tasks/{id}/cancel")
    erased = api.request("DELETE", f"/v1/tasks/{id}")
    assert (erased.status, erased.body) == (204, b"")
    assert api.get(f"/v1/tasks/{id}").status == 404


def test_pausing_and_resuming_answer_what_is_read(api: Api) -> None:
    api.submit(delay=60)
    for change in ("pause", "pause", "resume", "resume"):
        reply = api.post(f"/v1/queues/default/{change}")
        assert (reply.status, reply.json) == (200, api.get("/v1/queues/default").json)
        listed = api.get("/v1/queues").json["queues"]
        assert reply.json in listed


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("kind", ["redrive", "purge"])
def test_operations_answer_what_is_read(api: Api, worker: HandWorker, kind: str, dry_run: bool) -> None:
    api.submit(tags=["x"])
    worker.fail(worker.lease(), "ERROR", "no luck")
    body = {"dry_run": dry_run, "tag": "x", "name": "echo", "code": "ERROR"}
    reply = api.post(f"/v1/queues/default/{kind}", body | ({"rate": 2.5} if kind == "redrive" else {}))
    assert (reply.status, reply.json["matched"]) == (202, 1)
    assert reply.json == api.get(reply.headers["location"]).json
    assert api.get("/v1/operations").json["operations"] == [reply.json]


def test_closing_draining_and_opening_answer_what_is_read(api: Api) -> None:
    api.submit()
    _expect_gate_as_read(api, api.post("/v1/server/close", {"reason": "moving", "retry_after": 9}))
    _expect_gate_as_read(api, api.post("/v1/server/drain", {"reason": "moving on"}))
    _expect_gate_as_read(api, api.post("/v1/server/open"))
