"""POST /v1/tasks/{id}/retry and GET /v1/tasks/{id}/attempts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.gate import Gatekeeper
from bide.records import Run, Spec, TaskView
from bide.settings import Settings
from bide.state import State
from bide.submission import Submission
from chalice_app import predict
from chalice_app.services import Services

NOBODY = "/v1/tasks/default~00000000000000000000000000"


@pytest.fixture
def failed(api: Api, worker: HandWorker) -> str:
    """The path of a task that has failed at its only attempt."""
    path = api.submit().headers["location"]
    worker.fail(worker.lease(), "ERROR", "no luck", traceback="line 1")
    return path


def test_a_failed_task_begins_again_under_its_id(api: Api, failed: str, worker: HandWorker) -> None:
    before = api.get(failed)
    reply = api.post(f"{failed}/retry")
    assert (reply.status, reply.json["state"], reply.json["done"]) == (202, "ready", False)
    assert reply.headers["retry-after"] == "0"
    cleared = {"error": None, "started_at": None, "finished_at": None, "state": "ready", "done": False}
    assert reply.json == before.json | cleared | {"max_attempts": before.json["max_attempts"] + 1}
    assert api.get(failed).headers["etag"] != before.headers["etag"]
    worker.succeed(worker.lease(), 7)
    done = api.get(failed).json
    assert (done["state"], done["result"], done["attempt"]) == ("succeeded", 7, 2)


def test_retrying_twice_is_as_retrying_once(api: Api, failed: str, worker: HandWorker) -> None:
    first, second = (api.post(f"{failed}/retry") for _ in range(2))
    assert (second.status, second.json) == (202, first.json)
    assert len(worker.lease_all()) == 1


def test_a_retried_task_is_asked_for_as_soon_as_a_new_one() -> None:
    """However long ago it was submitted."""
    hour_ms, now_ms = 3_600_000, 1_800_000_000_000
    spec, ready = Spec("echo", "default"), Run(State.READY, attempt=1, max_attempts=2)
    old = TaskView("x", "default", spec, ready, now_ms - hour_ms)
    assert predict.retry_after(old, now_ms) > 0
    retried = msgspec.structs.replace(old, run=msgspec.structs.replace(ready, retried_ms=now_ms))
    assert predict.retry_after(retried, now_ms) == 0


@pytest.mark.parametrize("state", ["ready", "running", "succeeded"])
def test_only_a_failed_task_is_retried(api: Api, worker: HandWorker, state: str) -> None:
    path = api.submit().headers["location"]
    if state != "ready":
        lease = worker.lease()
        if state == "succeeded":
            worker.succeed(lease)
    reply = api.post(f"{path}/retry")
    assert (reply.status, reply.code) == (409, "TASK_NOT_FAILED")
    assert state in reply.json["detail"]


def test_while_its_unique_value_is_taken_it_stays_failed(
    api: Api, services: Services, worker: HandWorker
) -> None:
    submission = Submission("echo", "{}", "default", "default", 1, 60_000, unique="u")
    path = f"/v1/tasks/{services.store.submit(submission).id}"
    worker.fail(worker.lease(), "ERROR", "no luck")
    rival = str(services.store.submit(submission).id)
    reply = api.post(f"{path}/retry")
    assert (reply.status, reply.code, reply.json["task"]) == (409, "NOT_UNIQUE", rival)
    assert api.get(path).json["state"] == "failed"


def test_a_closed_server_retries(api: Api, services: Services, failed: str) -> None:
    Gatekeeper(services.store).close("moving")
    assert api.post(f"{failed}/retry").status == 202


@pytest.mark.parametrize(
    "id", ["default~00000000000000000000000000", "x", "default~op-00000000000000000000000000"]
)
def test_no_such_task_is_retried_or_has_attempts(api: Api, id: str) -> None:
    for reply in (api.post(f"/v1/tasks/{id}/retry"), api.get(f"/v1/tasks/{id}/attempts")):
        assert (reply.status, reply.code) == (404, "TASK_NOT_FOUND")


def test_a_body_with_fields_is_refused_and_nothing_is_retried(api: Api, failed: str) -> None:
    reply = api.post(f"{failed}/retry", {"delay": 5})
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", ["/delay"])
    assert api.get(failed).json["state"] == "failed"


def test_attempts_tell_who_when_how_and_why(api: Api, worker: HandWorker) -> None:
    path = api.submit("order", {"lines": []}, queue="default").headers["location"]
    assert api.get(f"{path}/attempts").json == {"attempts": [], "dropped": 0}
    worker.retry(worker.lease(), "not yet", delay_ms=0)
    worker.lease()
    first, second = api.get(f"{path}/attempts").json["attempts"]
    at = r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(at, first.pop("started_at"))
    assert re.fullmatch(at, first.pop("ended_at"))
    assert re.fullmatch(at, second.pop("started_at"))
    assert first == {
        "attempt": 1, "worker": "hand", "outcome": "retrying", "code": "ERROR", "message": "not yet",
    }  # fmt: skip
    assert second == {
        "attempt": 2, "worker": "hand", "ended_at": None, "outcome": "running", "code": None, "message": None,
    }  # fmt: skip


def test_attempts_of_a_first_success_are_what_the_task_tells(api: Api, worker: HandWorker) -> None:
    path = api.submit().headers["location"]
    worker.succeed(worker.lease())
    task, reply = api.get(path).json, api.get(f"{path}/attempts").json
    assert reply["attempts"] == [
        {
            "attempt": 1, "worker": None, "started_at": task["started_at"], "ended_at": task["finished_at"],
            "outcome": "succeeded", "code": None, "message": None,
        }
    ]  # fmt: skip


def test_the_traceback_is_shown_in_local_mode_and_to_operators(
    serve: Callable[..., Services], settings: Settings, client: Client, failed: str, api: Api
) -> None:
    (only,) = api.get(f"{failed}/attempts").json["attempts"]
    assert only["traceback"] == "line 1"
    hashes = {name: (("default", hashlib.sha256(name.encode()).hexdigest()),) for name in ("key", "boss")}
    serve(replace(settings, local=False, api_key_hashes=hashes["key"], operator_key_hashes=hashes["boss"]))
    for key, shown in (("key", False), ("boss", True)):
        keyed = Api(client, {"authorization": f"Bearer {key}"})
        (only,) = keyed.get(f"{failed}/attempts").json["attempts"]
        assert (only["message"], "traceback" in only) == ("no luck", shown)


def test_another_tenants_task_is_neither_retried_nor_shown(
    serve: Callable[..., Services], settings: Settings, client: Client, failed: str
) -> None:
    other = (("acme", hashlib.sha256(b"key").hexdigest()),)
    serve(replace(settings, local=False, api_key_hashes=other))
    keyed = Api(client, {"authorization": "Bearer key"})
    assert keyed.post(f"{failed}/retry").status == 404
    assert keyed.get(f"{failed}/attempts").status == 404
