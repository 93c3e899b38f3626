"""GET /v1/tasks/{id}: how a task is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.settings import Settings
from chalice_app.services import Services


def _path(api: Api, **fields: object) -> str:
    location: str = api.submit(**fields).headers["location"]
    return location


def test_a_running_task_shows_its_attempt_and_start(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.lease()
    task = api.get(path).json
    assert (task["state"], task["done"], task["attempt"]) == ("running", False, 1)
    assert task["started_at"] >= task["submitted_at"]
    assert task["finished_at"] is None


@pytest.mark.parametrize("result", [None, 0, "", [], {"a": [1.5, "ü"]}, 10**30])
def test_a_succeeded_task_shows_its_result(api: Api, worker: HandWorker, result: object) -> None:
    path = _path(api)
    worker.succeed(worker.lease(), result)
    reply = api.get(path)
    assert reply.json["state"] == "succeeded"
    assert reply.json["done"] is True
    assert reply.json["result"] == result
    assert reply.json["error"] is None
    assert reply.json["finished_at"] >= reply.json["started_at"]
    assert "retry-after" not in reply.headers


def test_a_failed_task_shows_its_error_and_no_result(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.fail(worker.lease(), "ValueError", "no such vm")
    task = api.get(path).json
    assert (task["state"], task["done"], task["result"]) == ("failed", True, None)
    assert task["error"] == {"code": "ValueError", "message": "no such vm"}


def test_a_traceback_is_shown_in_local_mode(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.fail(worker.lease(), "TASK_FAILED", "no", traceback="in boot.py, line 7")
    assert api.get(path).json["error"]["traceback"] == "in boot.py, line 7"


def test_a_retrying_task_shows_its_latest_error_and_when_it_goes_on(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.retry(worker.lease(), "try again", delay_ms=5_000)
    reply = api.get(path)
    task = reply.json
    assert (task["state"], task["done"]) == ("retrying", False)
    assert task["error"]["message"] == "try again"
    wait = datetime.fromisoformat(task["run_at"]) - datetime.fromisoformat(task["started_at"])
    assert timedelta(seconds=5) <= wait < timedelta(seconds=60)
    assert 1 <= int(reply.headers["retry-after"]) <= 5


def test_a_cancelled_task_has_neither_result_nor_error(api: Api) -> None:
    path = _path(api)
    api.post(f"{path}/cancel")
    task = api.get(path).json
    assert (task["state"], task["done"], task["result"], task["error"]) == ("cancelled", True, None, None)


def test_an_etag_spares_the_body_while_nothing_has_changed(api: Api) -> None:
    path = _path(api)
    shown = api.get(path)
    again = api.get(path, if_none_match=shown.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == shown.headers["etag"]
    assert again.headers["retry-after"] == "0"
    assert "content-type" not in again.headers


def test_each_step_of_a_task_has_an_etag_of_its_own(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    tags = [api.get(path).headers["etag"]]
    lease = worker.lease()
    tags.append(api.get(path).headers["etag"])
    worker.hand_back(lease)
    tags.append(api.get(path).headers["etag"])
    lease = worker.lease()
    tags.append(api.get(path).headers["etag"])
    worker.retry(lease, "no", delay_ms=0)
    tags.append(api.get(path).headers["etag"])
    lease = worker.lease()
    tags.append(api.get(path).headers["etag"])
    worker.succeed(lease)
    tags.append(api.get(path).headers["etag"])
    assert len(set(tags)) == len(tags) == 7


def test_a_finished_task_is_304_without_retry_after(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.succeed(worker.lease())
    reply = api.get(path, if_none_match=api.get(path).headers["etag"])
    assert reply.status == 304
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', '{} , "x"', "*", " * "])
def test_if_none_match_takes_lists_weak_tags_and_any(api: Api, form: str) -> None:
    path = _path(api)
    tag = api.get(path).headers["etag"]
    assert api.get(path, if_none_match=form.format(tag)).status == 304


@pytest.mark.parametrize("tag", ["", '""', "ready-0-0-0", '"*"', "x" * 7000, '"' * 999, "\x00", "W/", "é"])
def test_any_other_if_none_match_gets_the_task(api: Api, tag: str) -> None:
    assert api.get(_path(api), if_none_match=tag).status == 200


@pytest.mark.parametrize(
    "id",
    [
        "x",
        "default",
        "default~",
        "default~00000000000000000000000000",
        "default~zzzzzzzzzzzzzzzzzzzzzzzzzz",
        "default~0000000000000000000000000",
        "DEFAULT~00000000000000000000000000",
        "~00000000000000000000000000",
        "nosuchqueue~00000000000000000000000000",
        "{server}~00000000000000000000000000",
        "a" * 5000,
        "%00",
        "%ff",
        "%",
        "%2e%2e",
        "..",
        "default~0000000000000000000000000%0a",
        "😀",
        "*",
    ],
)
def test_a_garbage_id_is_not_found(api: Api, id: str) -> None:
    path = f"/v1/tasks/{id}"
    for reply in (api.get(path), api.post(f"{path}/cancel"), api.post(f"{path}/events/x")):
        assert (reply.status, reply.code) == (404, "TASK_NOT_FOUND")


def test_an_id_may_come_percent_encoded(api: Api) -> None:
    path = _path(api)
    assert api.get(path.replace("~", "%7E")).status == 200


def test_another_tenants_task_is_not_found(
    api: Api, serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    path = _path(api)
    digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # of "key"
    serve(dataclasses.replace(settings, local=False, api_key_hashes=(("other", digest),)))
    other = Api(client, {"authorization": "Bearer key"})
    assert other.get(path).code == "TASK_NOT_FOUND"
    assert other.post(f"{path}/cancel").code == "TASK_NOT_FOUND"
    assert other.post(f"{path}/events/x", 1).code == "TASK_NOT_FOUND"
    assert other.get(_path(other)).status == 200


def test_head_is_answered_as_get(api: Api) -> None:
    path = _path(api)
    assert api.request("HEAD", path).headers["etag"] == api.get(path).headers["etag"]
