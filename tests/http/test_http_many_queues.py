"""However many queues there are: what asks all of them asks all at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client

from bide.settings import Settings
from chalice_app.services import Services

Serve = Callable[..., Services]

READS = (
    "/v1/tasks", "/v1/tasks?state=failed", "/v1/server", "/v1/queues", "/v1/stats", "/v1/stats/series",
    "/v1/workers", "/v1/scaling", "/v1/operations", "/metrics",
)  # fmt: skip


class Counted:
    """The round trips of a store's client."""

    def __init__(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ask = services.store.client._ask
        self.made = 0
        monkeypatch.setattr(services.store.client, "_ask", self._counted)

    def of(self, api: Api, path: str) -> int:
        """How many a GET takes, once the store knows the scripts."""
        assert api.get(path).status == 200
        before = self.made
        assert api.get(path).status == 200
        return self.made - before

    def _counted(self, commands: Any) -> Any:
        self.made += 1
        return self._ask(commands)


def _used_queues(serve: Serve, settings: Settings, client: Client, number: int) -> tuple[Services, Api]:
    """A server with so many queues more than the tasks name, each with a task."""
    extra = tuple(f"q{n}" for n in range(number))
    services, api = serve(dataclasses.replace(settings, queues=extra)), Api(client)
    for queue in services.queues:
        assert api.submit(queue=queue).status == 202
    return services, api


@pytest.mark.parametrize("path", READS)
def test_round_trips_do_not_grow_with_the_queues(
    serve: Serve, settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    found = []
    for number in (0, 20):
        services, api = _used_queues(serve, settings, client, number)
        found.append(Counted(services, monkeypatch).of(api, path))
    assert found[0] == found[1] <= 5


def test_what_is_asked_at_once_is_told_of_each_queue(
    serve: Serve, settings: Settings, client: Client
) -> None:
    services, api = _used_queues(serve, settings, client, 20)
    api.submit(queue="q7")
    ready = {each["queue"]: each["tasks"]["ready"] for each in api.get("/v1/queues").json["queues"]}
    assert ready == dict.fromkeys(sorted(services.queues), 1) | {"q7": 2}
    seen = {each["queue"]: each["ready"] for each in api.get("/v1/scaling").json["queues"]}
    assert seen == ready
    assert len(api.get("/v1/tasks?page_size=100").json["tasks"]) == len(services.queues) + 1


def test_a_store_that_has_forgotten_its_scripts_is_told_them_again(
    serve: Serve, settings: Settings, client: Client
) -> None:
    services, api = _used_queues(serve, settings, client, 3)
    before = api.get("/v1/queues").json["queues"]
    services.store.command("SCRIPT", "FLUSH")
    assert [each["tasks"] for each in api.get("/v1/queues").json["queues"]] == [
        each["tasks"] for each in before
    ]


def test_a_batch_may_be_the_first_that_a_dozen_queues_hear_of(
    serve: Serve, settings: Settings, client: Client
) -> None:
    extra = tuple(f"q{n}" for n in range(12))
    services, api = serve(dataclasses.replace(settings, queues=extra)), Api(client)
    items = [{"name": "add", "args": {"a": n}, "queue": extra[n % 12]} for n in range(24)]
    services.store.command("SCRIPT", "FLUSH")
    answered = api.post("/v1/batches", {"items": items}).json["items"]
    assert [(each["task"]["queue"], each["task"]["args"]) for each in answered] == [
        (item["queue"], item["args"]) for item in items
    ]
    assert services.store.slots() == tuple(sorted(extra))
