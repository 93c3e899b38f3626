"""GET /v1/tasks, and DELETE of one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from api_client import Api
from hand_worker import HandWorker
from proxy_events import proxy_event

from app import app
from chalice_app.services import Services


def _pages(api: Api, **asked: Any) -> list[list[dict[str, Any]]]:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    pages, token = [], None
    while True:
        reply = api.get(f"/v1/tasks?{query}" + (f"&page_token={token}" if token else ""))
        assert reply.status == 200
        pages.append(reply.json["tasks"])
        token = reply.json["next_page_token"]
        if token is None:
            return pages


def _ids(api: Api, **asked: Any) -> list[str]:
    return [task["id"] for page in _pages(api, **asked) for task in page]


def test_tasks_come_the_newest_first_over_all_queues(api: Api) -> None:
    ids = [api.submit(queue=queue).json["id"] for queue in ("default", "orders") * 15]
    listed = _ids(api, page_size=7)
    assert sorted(listed) == sorted(ids)
    times = [task["submitted_at"] for page in _pages(api, page_size=100) for task in page]
    assert times == sorted(times, reverse=True)
    assert all(len(page) <= 7 for page in _pages(api, page_size=7))


def test_a_task_in_a_list_has_all_but_arguments_and_result(api: Api) -> None:
    reply = api.submit()
    ((listed,),) = _pages(api)
    whole = api.get(reply.headers["location"]).json
    del whole["args"], whole["result"]
    assert listed == whole


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"name": "add"}, [1, 3]),
        ({"tag": "red"}, [2, 3]),
        ({"name": "add", "tag": "red"}, [3]),
        ({"queue": "orders"}, [2]),
        ({"state": "cancelled"}, [0]),
        ({"state": "ready"}, [1, 2, 3]),
        ({"state": "failed"}, []),
    ],
)
def test_filters_together_tell_what_is_wanted(api: Api, asked: dict[str, str], found: list[int]) -> None:
    ids = [
        api.submit().json["id"],
        api.submit("add", {"a": 1}, tags=["blue"]).json["id"],
        api.submit(queue="orders", tags=["green", "red"]).json["id"],
        api.submit("add", {"a": 1}, tags=["red"]).json["id"],
    ]
    api.post(f"/v1/tasks/{ids[0]}/cancel")
    assert sorted(_ids(api, **asked)) == sorted(ids[number] for number in found)


def test_failed_tasks_come_by_when_they_failed(api: Api, worker: HandWorker) -> None:
    ids = [api.submit().json["id"] for _ in range(3)]
    leases = {str(lease.id): lease for lease in worker.lease_all()}
    for id in (ids[1], ids[2], ids[0]):
        worker.fail(leases[id], "TASK_FAILED", "no", traceback="t")
    assert _ids(api, state="failed", page_size=1) == [ids[0], ids[2], ids[1]]
    assert _pages(api, state="failed")[0][0]["error"] == {"code": "TASK_FAILED", "message": "no"}


@pytest.mark.parametrize(
    "query",
    [
        "page_size=0", "page_size=101", "page_size=x", "page_size=-1", "state=done", "tag=A", "tag=a%20b",
        "page_token=x", "page_token=%F0%9F%98%80", "page_token=gqFhoWI", "nosuch=1", f"name={'x' * 200}",
        "queue=default&queue=vms", "state=ready&%73tate=failed", "page_size=1&page_size=1",
        "queue=", "name=", "state=", "tag=", "page_size=", "page_token=",
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    reply = api.get(f"/v1/tasks?{query}")
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")


def test_a_token_of_another_list_is_refused(api: Api) -> None:
    for _ in range(2):
        api.submit()
    token = api.get("/v1/tasks?page_size=1").json["next_page_token"]
    assert api.get(f"/v1/tasks?page_size=1&page_token={token}").status == 200
    assert api.get(f"/v1/tasks?name=echo&page_token={token}").code == "INVALID_REQUEST"


def test_a_token_tells_of_queues_alone_that_have_more(api: Api) -> None:
    """There may be many, and a URL is not long."""
    api.submit(queue="orders")
    for _ in range(2):
        api.submit()
    token, queues = "", []
    for _ in range(2):
        reply = api.get(f"/v1/tasks?page_size=1{token}").json
        told = reply["next_page_token"]
        token, raw = f"&page_token={told}", base64.urlsafe_b64decode(told + "=" * (-len(told) % 4))
        queues.append([queue for queue in (b"default", b"orders") if queue in raw])
    assert queues == [[b"default", b"orders"], [b"orders"]]


def test_an_unknown_queue_is_not_found(api: Api) -> None:
    assert api.get("/v1/tasks?queue=nosuch").code == "QUEUE_NOT_FOUND"


def test_a_finished_task_is_erased_with_its_key(api: Api) -> None:
    once = b'{"name":"add","args":{"a":1}}'
    reply = api.submit_raw(once, idempotency_key="once")
    path = reply.headers["location"]
    assert api.request("DELETE", path).code == "TASK_NOT_FINISHED"
    api.post(f"{path}/cancel")
    erased = api.request("DELETE", path)
    assert (erased.status, erased.body) == (204, b"")
    assert api.get(path).code == "TASK_NOT_FOUND"
    assert api.request("DELETE", path).code == "TASK_NOT_FOUND"
    assert _ids(api) == []
    assert api.submit_raw(once, idempotency_key="once").json["id"] != reply.json["id"]


@pytest.mark.parametrize("given", [{"name": "\ud800"}, {"tag": "\ud800"}, {"\ud800": "x"}])
def test_half_of_a_surrogate_pair_is_refused(services: Services, given: dict[str, str]) -> None:
    """API Gateway's event can hold one, though no URL can."""
    parameters = {name: [value] for name, value in given.items()}
    response = app(proxy_event("GET", "/v1/tasks", multiValueQueryStringParameters=parameters), None)
    assert (response["statusCode"], json.loads(response["body"])["code"]) == (400, "INVALID_REQUEST")
