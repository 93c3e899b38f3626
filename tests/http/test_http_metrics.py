"""GET /metrics: what Prometheus reads."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker
from prometheus_client.parser import text_string_to_metric_families

from bide.exchange import Usage
from bide.settings import Settings
from bide.state import State
from chalice_app.services import Services

Samples = dict[tuple[str, ...], float]


def scrape(api: Api) -> dict[str, Samples]:
    """Values by metric, and by its labels' values in the order of the labels' names."""
    reply = api.get("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = reply.body.decode()
    assert text.endswith("\n")
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation.endswith(".")
        assert family.type == ("counter" if family.samples[0].name.endswith("_total") else "gauge")
        for sample in family.samples:
            key = tuple(value for _, value in sorted(sample.labels.items()))
            assert key not in found.setdefault(sample.name, {})
            found[sample.name][key] = sample.value
    return found


def test_an_idle_server_tells_zeros_of_every_queue_and_state(api: Api, services: Services) -> None:
    found = scrape(api)
    assert set(found["bide_tasks"]) == {(queue, state) for queue in services.queues for state in State}
    assert {value for samples in found.values() for value in samples.values()} == {0}


def test_tasks_are_told_by_state_and_their_ends_are_counted(api: Api, worker: HandWorker) -> None:
    for _ in range(6):
        api.submit()
    first, second, third, fourth, *_ = worker.lease_all()
    worker.succeed(first, usage=Usage(billed_us=1_500_000, waited_ms=2_500))
    worker.fail(second, "ERROR", "no")
    worker.park(third, delay_ms=60_000)
    worker.retry(fourth, "again", delay_ms=60_000)
    worker.live(4_250)
    api.submit()
    api.submit(delay=100)
    found = scrape(api)
    depths = {state: n for (queue, state), n in found["bide_tasks"].items() if queue == "default"}
    assert depths == dict.fromkeys(State, 0) | {
        "scheduled": 1, "ready": 1, "running": 2, "waiting": 1, "retrying": 1, "succeeded": 1, "failed": 1
    }  # fmt: skip
    ended = {
        state: n for (queue, state), n in found["bide_tasks_finished_total"].items() if queue == "default"
    }
    assert ended == {"succeeded": 1, "failed": 1, "cancelled": 0, "expired": 0}
    assert found["bide_billed_seconds_total"]["default",] == 1.5
    assert found["bide_waited_seconds_total"]["default",] == 2.5
    assert found["bide_worker_seconds_total"] == {(): 4.25}
    assert found["bide_worker_starts_total"] == {(): 1}
    assert found["bide_workers"]["default", "awake"] == 1
    assert found["bide_worker_places_free"]["default",] == 100


def test_the_oldest_ready_task_and_a_pause_are_told(api: Api, services: Services) -> None:
    api.submit()
    services.store.pause("default", True)
    # The least that it can tell is a millisecond.
    assert any(0 < scrape(api)["bide_queue_oldest_ready_seconds"]["default",] < 100 for _ in range(100))
    found = scrape(api)
    assert found["bide_queue_oldest_ready_seconds"]["vms",] == 0
    assert [found["bide_queue_paused"][queue,] for queue in ("default", "vms")] == [1, 0]


def test_large_counters_are_told_to_the_last_digit(api: Api, services: Services) -> None:
    key = services.store.keys.slot("default", ("stats",))[0]
    services.store.command("HSET", key, "succeeded", 123_456_789_012)
    assert scrape(api)["bide_tasks_finished_total"]["default", "succeeded"] == 123_456_789_012


def test_counters_only_grow_whatever_becomes_of_their_tasks(
    api: Api, services: Services, worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[tuple[str, ...], float]] = []

    def look() -> None:
        found = scrape(api)
        told.append(
            {(name, *key): n for name in found if name.endswith("_total") for key, n in found[name].items()}
        )

    ids = [api.submit().json["id"] for _ in range(5)]
    for lease in worker.lease_all():
        worker.fail(lease, "ERROR", "no")
    look()
    api.post(f"/v1/tasks/{ids[0]}/retry")
    worker.succeed(worker.lease(), usage=Usage(billed_us=5))
    look()
    assert api.request("DELETE", f"/v1/tasks/{ids[0]}").status == 204
    look()
    api.post("/v1/queues/default/redrive", {"dry_run": False, "rate": 0.01})
    look()
    api.post(f"/v1/tasks/{ids[1]}/cancel")
    api.post("/v1/queues/default/purge", {"dry_run": False})
    look()
    in_a_year = services.store.now_ms() + 365 * 86_400_000
    monkeypatch.setattr(services.store, "now_ms", lambda: in_a_year)
    while services.store.tick("default", services.store.begin_turn()).pruned:
        pass
    look()
    assert scrape(api)["bide_tasks"]["default", "failed"] == 0
    for before, after in pairwise(told):
        assert before.keys() == after.keys()
        assert all(before[key] <= after[key] for key in before)
    assert told[-1]["bide_tasks_finished_total", "default", "failed"] == 5


@pytest.mark.parametrize(("sent", "status"), [({}, 401), ({"authorization": "Bearer key"}, 200)])
def test_a_key_is_needed_outside_local_mode(
    serve: Callable[..., Services], settings: Settings, client: Client, sent: dict[str, str], status: int
) -> None:
    digest = hashlib.sha256(b"key").hexdigest()
    serve(dataclasses.replace(settings, local=False, api_key_hashes=(("", digest),)))
    assert Api(client, sent).get("/metrics").status == status
