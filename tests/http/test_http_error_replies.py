"""Whatever error the store answers, a request is answered 503 with Retry-After, or as if nothing were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client
from refusals import FAULTS, REFUSALS
from store_proxy import RefusingProxy

from bide import connection
from bide.settings import Settings
from bide.store import Store
from chalice_app.services import Services

pytestmark = pytest.mark.plain_tcp

ECHO = {"name": "echo", "args": {"value": 1}}
ROUTES = (
    ("POST", "/v1/tasks", json.dumps(ECHO)),
    ("POST", "/v1/batches", json.dumps({"items": [ECHO, ECHO | {"queue": "vms"}]})),
    ("GET", "/v1/tasks", ""),
    ("GET", "/v1/tasks/{id}", ""),
    ("GET", "/v1/tasks/{id}/attempts", ""),
    ("POST", "/v1/tasks/{id}/events/go", "1"),
    ("POST", "/v1/tasks/{id}/retry", ""),
    ("POST", "/v1/tasks/{id}/cancel", ""),
    ("DELETE", "/v1/tasks/{id}", ""),
    ("GET", "/v1/queues", ""),
    ("POST", "/v1/queues/default/pause", ""),
    ("POST", "/v1/queues/default/redrive", "{}"),
    ("GET", "/v1/server", ""),
    ("POST", "/v1/server/close", '{"reason": "test"}'),
    ("GET", "/v1/workers", ""),
    ("GET", "/v1/stats", ""),
    ("GET", "/v1/stats/series", ""),
    ("GET", "/v1/scaling", ""),
    ("GET", "/metrics", ""),
    ("GET", "/healthz", ""),
)


@pytest.fixture
def proxy(store_url: str) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy(store_url)
    yield proxy
    proxy.close()


@pytest.fixture
def behind(
    proxy: RefusingProxy,
    settings: Settings,
    serve: Callable[[Settings], Services],
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> Api:
    """The app, its store behind the proxy."""
    monkeypatch.setattr(connection, "PAUSES_S", (0.0, 0.0))
    serve(replace(settings, redis_url=proxy.url))
    return Api(client)


@pytest.mark.parametrize(
    ("commands", "refusals"),
    [((), tuple(REFUSALS)), (("EVALSHA", "EVAL"), ("BUSY it is", "OOM", "NOSCRIPT", "TRYAGAIN", "NEW"))],
    ids=["every command", "scripts alone"],
)
def test_every_route_bears_every_error_of_the_store(
    behind: Api, proxy: RefusingProxy, commands: tuple[str, ...], refusals: tuple[str, ...]
) -> None:
    id = behind.submit().json["id"]
    met = 0
    for said in refusals:
        proxy.refuse(said, *commands)
        for method, path, body in ROUTES:
            reply = behind.request(method, path.replace("{id}", id), body.encode())
            assert reply.status != 500, f"{method} {path}: {said}"
            if reply.status == 503:
                met += 1
                assert reply.headers["retry-after"], f"{method} {path}: {said}"
        submitted = behind.submit()
        assert (submitted.status, submitted.code) == (503, "STORE_UNAVAILABLE"), said
        proxy.lift()
    assert met > len(refusals) * len(ROUTES) / 2
    assert behind.submit().status == 202


@pytest.mark.parametrize("said", ["BUSY it is", "NOSCRIPT", FAULTS[0]])
def test_a_request_that_waits_is_answered_with_what_is_known(
    behind: Api, proxy: RefusingProxy, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is accepted: that answer may not get lost."""
    hold = Store.hold

    def refused(store: Store, *args: Any) -> bool:
        proxy.refuse(said)
        return hold(store, *args)

    monkeypatch.setattr(Store, "hold", refused)
    reply = behind.submit_raw(json.dumps(ECHO).encode(), prefer="wait=1")
    assert (reply.status, proxy.refused > 0) == (202, True)
