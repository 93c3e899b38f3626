"""GET /v1/scaling: what the autoscaler sees of each queue, and what was decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.autoscaler import Departure, Limits
from bide.settings import Settings
from chalice_app.services import Services

LIMITS = {"min": 0, "max": 7, "concurrency": 3}


@pytest.fixture
def scaled(serve: Callable[..., Services], settings: Settings, client: Client) -> Api:
    """The app, with limits of its own for one queue."""
    serve(
        replace(
            settings, workers_min=0, workers_max=7, concurrency=3, queue_limits=(("vms", Limits(1, 2, 0)),)
        )
    )
    return Api(client)


def fleet(api: Api, queue: str = "default") -> dict[str, object]:
    reply = api.get("/v1/scaling")
    assert reply.status == 200
    (found,) = (each for each in reply.json["queues"] if each["queue"] == queue)
    return found


def test_every_queue_is_there_with_its_limits(scaled: Api) -> None:
    queues = [each["queue"] for each in scaled.get("/v1/scaling").json["queues"]]
    assert queues == ["default", "orders", "vms"]
    nothing = {"ready": 0, "awake": 0, "free": 0, "starting": 0, "decisions": []}
    assert fleet(scaled) == {"queue": "default", "limits": LIMITS, **nothing}
    assert fleet(scaled, "vms")["limits"] == {"min": 1, "max": 2, "concurrency": 3}


def test_submissions_show_as_workers_that_start(scaled: Api) -> None:
    for _ in range(4):
        scaled.submit("house.keep")
    found = fleet(scaled)
    assert (found["ready"], found["starting"]) == (4, 2)
    latest, first = found["decisions"]
    assert (first["reason"], first["workers"], first["ready"]) == ("submitted", 1, 1)
    assert (latest["reason"], latest["workers"], latest["starting"]) == ("submitted", 1, 1)
    assert first["at"].endswith("Z")


def test_a_worker_shows_with_its_places_until_it_leaves(
    scaled: Api, services: Services, worker: HandWorker
) -> None:
    scaled.submit("house.keep")
    worker.lease()
    assert (fleet(scaled)["awake"], fleet(scaled)["free"]) == (1, 99)
    services.store.retire("default", "hand", 0, 0, Departure.STOPPED, forced=True)
    found = fleet(scaled)
    assert (found["awake"], found["free"]) == (0, 0)
    assert (found["decisions"][0]["reason"], found["decisions"][0]["workers"]) == ("stopped", -1)
