"""The queues over HTTP: their depths, and pausing and resuming them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.settings import Settings
from bide.wake import NoWake
from chalice_app.services import Services

NONE = dict.fromkeys(
    [
        "scheduled",
        "ready",
        "running",
        "waiting",
        "retrying",
        "succeeded",
        "failed",
        "cancelled",
        "expired",
    ],
    0,
)


def _queue(api: Api, name: str = "default") -> dict[str, object]:
    reply = api.get(f"/v1/queues/{name}")
    assert reply.status == 200
    found: dict[str, object] = reply.json
    return found


def _tasks(api: Api, name: str = "default") -> dict[str, int]:
    """The states that have tasks."""
    return {state: count for state, count in _queue(api, name)["tasks"].items() if count}


def test_every_queue_that_may_be_submitted_to_is_listed(api: Api) -> None:
    reply = api.get("/v1/queues")
    assert reply.status == 200
    assert [queue["queue"] for queue in reply.json["queues"]] == ["default", "orders", "vms"]
    assert reply.json["queues"][0] == {
        "queue": "default",
        "paused": False,
        "tasks": NONE,
        "oldest_ready_ms": None,
    }
    assert reply.json["queues"][0] == _queue(api)


def test_a_queue_that_has_tasks_of_an_earlier_version_is_listed_too(api: Api, services: Services) -> None:
    services.store.register("former")
    assert "former" in [queue["queue"] for queue in api.get("/v1/queues").json["queues"]]
    assert _queue(api, "former")["tasks"] == NONE


def test_a_task_counts_in_the_state_it_is_in(api: Api, worker: HandWorker) -> None:
    for _ in range(7):
        api.submit()
    api.submit(delay=60)
    assert _tasks(api) == {"ready": 7, "scheduled": 1}
    succeeded, failed, parked, retried, cancelled, _ = (worker.lease() for _ in range(6))
    assert _tasks(api) == {"ready": 1, "scheduled": 1, "running": 6}
    worker.succeed(succeeded, 1)
    worker.fail(failed, "X", "no")
    worker.park(parked, awaits="go")
    worker.retry(retried, "again", 60_000)
    worker.cancel(cancelled)
    assert _tasks(api) == {
        "ready": 1,
        "scheduled": 1,
        "running": 1,
        "waiting": 1,
        "retrying": 1,
        "succeeded": 1,
        "failed": 1,
        "cancelled": 1,
    }


def test_the_oldest_ready_task_tells_for_how_long_it_has_waited(api: Api, worker: HandWorker) -> None:
    api.submit()
    waited_ms = _queue(api)["oldest_ready_ms"]
    assert isinstance(waited_ms, int)
    assert 0 <= waited_ms < 60_000
    worker.lease()
    assert _queue(api)["oldest_ready_ms"] is None


@pytest.mark.parametrize("path", ["/nosuch", "/nosuch/pause", "/nosuch/resume", "/%20", "/DEFAULT"])
def test_an_unknown_queue_is_not_found(api: Api, path: str) -> None:
    method = "POST" if path.endswith(("pause", "resume")) else "GET"
    reply = api.request(method, f"/v1/queues{path}")
    assert (reply.status, reply.code) == (404, "QUEUE_NOT_FOUND")
    assert "/v1/queues" in reply.json["detail"]


# --- pausing --------------------------------------------------------------------------------


def test_a_paused_queue_accepts_and_leases_nothing(api: Api, worker: HandWorker) -> None:
    api.submit()
    reply = api.post("/v1/queues/default/pause")
    assert reply.status == 200
    assert reply.json["paused"]
    assert reply.json == _queue(api) | {"oldest_ready_ms": reply.json["oldest_ready_ms"]}
    assert api.submit().status == 202
    assert worker.lease_all() == ()
    assert _tasks(api) == {"ready": 2}


def test_a_resumed_one_leases_what_has_come(api: Api, worker: HandWorker) -> None:
    api.post("/v1/queues/default/pause")
    api.submit()
    reply = api.post("/v1/queues/default/resume")
    assert (reply.status, reply.json["paused"]) == (200, False)
    assert len(worker.lease_all()) == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_twice_is_once(api: Api, verb: str) -> None:
    first = api.post(f"/v1/queues/default/{verb}").json
    assert api.post(f"/v1/queues/default/{verb}").json == first


def test_a_queue_that_was_never_used_can_be_paused(api: Api, services: Services, settings: Settings) -> None:
    assert api.post("/v1/queues/vms/pause").status == 200
    api.submit(queue="vms")
    assert HandWorker(services.store, settings.redis_url, "vms").lease_all() == ()


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_body_that_says_something_is_refused(api: Api, verb: str) -> None:
    assert api.post(f"/v1/queues/default/{verb}", {}).status == 200
    assert api.post(f"/v1/queues/default/{verb}", {"reason": "x"}).status == 422


class _Recorder(NoWake):
    def __init__(self) -> None:
        self.started: list[int] = []

    def start(self, count: int) -> None:
        self.started.append(count)


def test_resuming_starts_the_workers_that_are_needed(
    serve: Callable[..., Services], settings: Settings, client: Client
) -> None:
    recorder = _Recorder()
    serve(settings, recorder)
    api = Api(client)
    api.post("/v1/queues/default/pause")
    api.submit()
    assert recorder.started == []
    api.post("/v1/queues/default/resume")
    assert recorder.started == [1]


def test_a_waking_that_fails_does_not_fail_the_resumption(
    serve: Callable[..., Services],
    settings: Settings,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(NoWake):
        def start(self, count: int) -> None:
            raise ConnectionResetError("the queue is gone")

    serve(settings, Broken())
    api = Api(client)
    api.post("/v1/queues/default/pause")
    api.submit()
    assert api.post("/v1/queues/default/resume").json["paused"] is False
    assert "Nobody could be woken for queue default" in caplog.text


def test_one_round_trip_shows_a_queue(api: Api, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    api.submit()
    _queue(api)  # the store knows the script from now on
    asked: list[int] = []
    ask = services.store.client._ask

    def counting(commands: Any) -> Any:
        asked.append(len(commands))
        return ask(commands)

    monkeypatch.setattr(services.store.client, "_ask", counting)
    _queue(api)
    assert asked == [1]
