"""POST /v1/queues/{queue}/redrive and /purge, GET /v1/operations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.bulk import Bulk
from bide.settings import Settings
from bide.submission import Submission
from chalice_app import redrive
from chalice_app.services import Services

REDRIVE, PURGE = "/v1/queues/default/redrive", "/v1/queues/default/purge"

Fail = Callable[..., list[str]]


@pytest.fixture
def fail(api: Api, worker: HandWorker) -> Fail:
    """Submit so many tasks and have them fail; returns their paths."""

    def fail(count: int, code: str = "ERROR", **fields: Any) -> list[str]:
        paths = [api.submit(**fields).headers["location"] for _ in range(count)]
        for lease in worker.lease_all():
            worker.fail(lease, code, "no luck")
        return paths

    return fail


def test_unless_it_is_told_otherwise_it_only_counts(api: Api, fail: Fail) -> None:
    paths = fail(3)
    for reply in (
        api.post(REDRIVE),
        api.post(PURGE),
        api.post(PURGE, {}),
        api.post(REDRIVE, {"name": "echo"}),
    ):
        assert reply.status == 202
        assert (reply.json["dry_run"], reply.json["state"]) == (True, "done")
        assert (reply.json["matched"], reply.json["changed"], reply.json["skipped"]) == (3, 0, 0)
    assert {api.get(path).json["state"] for path in paths} == {"failed"}


def test_a_redrive_retries_what_its_filter_means(
    api: Api, fail: Fail, services: Services, worker: HandWorker
) -> None:
    others = fail(2)
    id = services.store.submit(Submission("echo", "{}", "default", "default", 1, 60_000, tags=("eu",))).id
    worker.fail(worker.lease(), "TIMEOUT", "no luck")
    reply = api.post(REDRIVE, {"dry_run": False, "name": "echo", "tag": "eu", "code": "TIMEOUT", "rate": 2.5})
    shown = reply.json
    assert reply.status == 202
    assert reply.headers["location"] == f"/v1/operations/{shown['id']}"
    assert shown["created_at"] <= shown["finished_at"]
    assert {name: shown[name] for name in shown if not name.endswith("_at")} == {
        "id": shown["id"], "kind": "redrive", "queue": "default", "state": "done", "dry_run": False,
        "filter": {"name": "echo", "tag": "eu", "code": "TIMEOUT"}, "rate": 2.5,
        "matched": 1, "changed": 1, "skipped": 0,
    }  # fmt: skip
    assert api.get(reply.headers["location"]).json == shown
    assert api.get(f"/v1/tasks/{id}").json["state"] == "ready"
    assert {api.get(path).json["state"] for path in others} == {"failed"}


def test_a_purge_erases(api: Api, fail: Fail) -> None:
    paths = fail(3)
    shown = api.post(PURGE, {"dry_run": False}).json
    assert (shown["kind"], shown["filter"], shown["rate"], shown["changed"]) == ("purge", {}, None, 3)
    assert {api.get(path).status for path in paths} == {404}


def test_what_a_request_has_no_time_for_goes_on_without_it(
    api: Api, fail: Fail, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "_AT_ONCE_S", 0.0)
    fail(100)
    fail(20)
    begun = api.post(REDRIVE, {"dry_run": False})
    assert (begun.status, begun.json["state"], begun.json["changed"]) == (202, "running", 100)
    assert begun.json["finished_at"] is None
    Bulk(services.store, services.waker).go_on("default", lambda: True)
    shown = api.get(begun.headers["location"]).json
    assert (shown["state"], shown["changed"]) == ("done", 120)


def test_the_latest_operations_are_listed(api: Api, fail: Fail) -> None:
    assert api.get("/v1/operations").json == {"operations": []}
    fail(1)
    begun = [api.post(path).json for path in (REDRIVE, PURGE, "/v1/queues/vms/purge")]
    listed = api.get("/v1/operations").json["operations"]
    assert {each["id"] for each in listed} == {each["id"] for each in begun}
    assert all(each in begun for each in listed)
    assert [each["created_at"] for each in listed] == sorted(
        (each["created_at"] for each in begun), reverse=True
    )


@pytest.mark.parametrize(
    "id", ["default~op-00000000000000000000000000", "default~00000000000000000000000000", "x"]
)
def test_no_such_operation_is_not_found(api: Api, id: str) -> None:
    reply = api.get(f"/v1/operations/{id}")
    assert (reply.status, reply.code) == (404, "OPERATION_NOT_FOUND")


@pytest.mark.parametrize("kind", ["redrive", "purge"])
@pytest.mark.parametrize("queue", ["nosuch", "A", "q.x", "%00", "a" * 65])
def test_no_such_queue_is_not_found(api: Api, queue: str, kind: str) -> None:
    reply = api.post(f"/v1/queues/{queue}/{kind}")
    assert (reply.status, reply.code) == (404, "QUEUE_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"dry_run": 0}, "/dry_run"),
        ({"dry_run": None}, "/dry_run"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 129}, "/name"),
        ({"tag": "EU"}, "/tag"),
        ({"tag": "a b"}, "/tag"),
        ({"tag": "a\n"}, "/tag"),
        ({"code": ""}, "/code"),
        ({"code": "x" * 65}, "/code"),
        ({"rate": 0}, "/rate"),
        ({"rate": 10_001}, "/rate"),
        ({"rate": "1"}, "/rate"),
        ({"state": "failed"}, "/state"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_and_nothing_happens(
    api: Api, fail: Fail, body: dict[str, Any], pointer: str
) -> None:
    (path,) = fail(1)
    reply = api.post(REDRIVE, {"dry_run": False, **body})
    assert (reply.status, reply.code, reply.pointers) == (422, "INVALID_REQUEST", [pointer])
    assert api.get(path).json["state"] == "failed"
    assert api.get("/v1/operations").json == {"operations": []}


def test_a_purge_has_no_rate(api: Api) -> None:
    assert api.post(PURGE, {"rate": 1}).pointers == ["/rate"]


def test_the_eleventh_at_a_time_is_asked_to_come_back(
    api: Api, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "_AT_ONCE_S", 0.0)
    fail(100)
    fail(1)
    for _ in range(10):
        assert api.post(REDRIVE).json["state"] == "running"
    reply = api.post(PURGE)
    assert (reply.status, reply.code) == (429, "TOO_MANY_OPERATIONS")
    assert reply.headers["retry-after"] == "10"


def test_operators_alone_may(
    serve: Callable[..., Services], settings: Settings, client: Client, fail: Fail
) -> None:
    (path,) = fail(1)
    hashes = {name: (("acme", hashlib.sha256(name.encode()).hexdigest()),) for name in ("key", "boss")}
    serve(replace(settings, local=False, api_key_hashes=hashes["key"], operator_key_hashes=hashes["boss"]))
    user = Api(client, {"authorization": "Bearer key"})
    for reply in (
        user.post(REDRIVE, {"dry_run": False}), user.post(PURGE), user.get("/v1/operations"),
        user.get("/v1/operations/default~op-00000000000000000000000000"),
    ):  # fmt: skip
        assert (reply.status, reply.code) == (403, "FORBIDDEN")
    boss = Api(client, {"authorization": "Bearer boss"})
    assert boss.post(REDRIVE, {"dry_run": False}).json["changed"] == 1, "tasks of all tenants are meant"
    assert boss.get(path).status == 404, "but an operator sees its own tenant's alone"
