"""POST /v1/tasks/{id}/cancel."""

from __future__ import annotations

import pytest
from api_client import Api
from hand_worker import HandWorker


@pytest.mark.parametrize("fields", [{}, {"delay": 60}])
def test_a_task_that_has_not_started_is_cancelled_at_once(api: Api, fields: dict[str, int]) -> None:
    path = api.submit(**fields).headers["location"]
    reply = api.post(f"{path}/cancel")
    assert (reply.status, reply.json["state"], reply.json["done"]) == (200, "cancelled", True)
    assert reply.json == api.get(path).json


def test_cancelling_twice_is_as_cancelling_once(api: Api) -> None:
    path = api.submit().headers["location"]
    first = api.post(f"{path}/cancel")
    again = api.post(f"{path}/cancel")
    assert (again.status, again.json) == (200, first.json)


def test_the_worker_of_a_running_task_is_asked(api: Api, worker: HandWorker) -> None:
    path = api.submit().headers["location"]
    lease = worker.lease()
    reply = api.post(f"{path}/cancel")
    assert (reply.status, reply.json["state"], reply.json["done"]) == (202, "running", False)
    assert reply.headers["retry-after"] == "0"
    worker.cancel(lease)
    assert api.get(path).json["state"] == "cancelled"


def test_a_finished_task_cannot_be_cancelled(api: Api, worker: HandWorker) -> None:
    path = api.submit().headers["location"]
    worker.succeed(worker.lease())
    reply = api.post(f"{path}/cancel")
    assert (reply.status, reply.code) == (409, "TASK_FINISHED")
    assert "succeeded" in reply.json["detail"]


def test_no_such_task_cannot_be_cancelled(api: Api) -> None:
    reply = api.post("/v1/tasks/default~00000000000000000000000000/cancel")
    assert (reply.status, reply.code) == (404, "TASK_NOT_FOUND")


def test_an_empty_object_is_as_good_as_no_body(api: Api) -> None:
    path = api.submit().headers["location"]
    assert api.post(f"{path}/cancel", {}).status == 200


def test_no_body_needs_no_content_type(api: Api) -> None:
    path = api.submit().headers["location"]
    reply = api.post(f"{path}/cancel", content_type="application/x-www-form-urlencoded")
    assert reply.status == 200


def test_a_body_with_fields_is_refused_and_nothing_is_cancelled(api: Api) -> None:
    path = api.submit().headers["location"]
    reply = api.post(f"{path}/cancel", {"reason": "x"})
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", ["/reason"])
    assert api.get(path).json["state"] == "ready"
