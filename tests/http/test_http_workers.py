"""GET /v1/workers: who works on what."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.autoscaler import Departure
from bide.settings import Settings
from chalice_app.services import Services


def _workers(api: Api, **headers: str) -> list[dict[str, object]]:
    reply = api.get("/v1/workers", **headers)
    assert reply.status == 200
    found: list[dict[str, object]] = reply.json["workers"]
    return found


def test_without_workers_there_are_none(api: Api) -> None:
    assert _workers(api) == []


def test_a_worker_shows_with_the_tasks_it_holds(api: Api, worker: HandWorker) -> None:
    id = api.submit().json["id"]
    worker.lease()
    (found,) = _workers(api)
    (task,) = found["tasks"]
    assert {name: found[name] for name in ("worker", "role", "places_free", "tasks_total")} == {
        "worker": "hand",
        "role": "working",
        "places_free": 99,
        "tasks_total": 1,
    }
    assert 0 <= found["heard_ms"] <= found["age_ms"] < 60_000
    assert (task["id"], task["name"], task["attempt"]) == (id, "echo", 1)
    assert 0 < task["lease_ms"] <= 60_000
    assert 0 <= task["running_ms"] < 60_000


def test_what_has_ended_is_not_held(api: Api, worker: HandWorker) -> None:
    api.submit()
    worker.succeed(worker.lease(), 1)
    (found,) = _workers(api)
    assert (found["tasks"], found["tasks_total"]) == ([], 0)


def test_one_that_has_left_is_gone(api: Api, services: Services, worker: HandWorker) -> None:
    worker.live(1)
    assert len(_workers(api)) == 1
    services.store.retire("default", "hand", 0, 0, Departure.STOPPED, forced=True)
    assert _workers(api) == []


def test_a_worker_of_several_queues_is_one(
    api: Api, services: Services, settings: Settings, worker: HandWorker
) -> None:
    api.submit()
    api.submit(queue="vms")
    worker.lease()
    HandWorker(services.store, settings.redis_url, "vms").lease()
    (found,) = _workers(api)
    assert sorted(task["id"].partition("~")[0] for task in found["tasks"]) == ["default", "vms"]
    assert found["tasks_total"] == 2


@pytest.fixture
def public(serve: Callable[[Settings], Services], settings: Settings, client: Client) -> Api:
    """The app outside local mode."""

    def digest(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    keys = (("default", digest("first")), ("acme", digest("second")))
    operators = (("default", digest("operator")),)
    serve(dataclasses.replace(settings, local=False, api_key_hashes=keys, operator_key_hashes=operators))
    return Api(client, {"host": "api.example.com"})


def test_tasks_of_other_tenants_count_and_do_not_show(worker: HandWorker, public: Api) -> None:
    mine = public.submit_raw(b'{"name":"house.keep"}', authorization="Bearer first").json["id"]
    theirs = public.submit_raw(b'{"name":"house.keep"}', authorization="Bearer second").json["id"]
    worker.lease_all()
    seen = {}
    for key in ("first", "second", "operator"):
        (found,) = _workers(public, authorization=f"Bearer {key}")
        assert found["tasks_total"] == 2
        seen[key] = {task["id"] for task in found["tasks"]}
    assert seen == {"first": {mine}, "second": {theirs}, "operator": {mine, theirs}}
