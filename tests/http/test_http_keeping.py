"""What is kept: health and the API's description for a second in each process; of answers, nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from api_client import Api, Reply
from chalice.test import Client
from proxy_events import proxy_event

from app import app
from bide.errors import StoreUnavailable
from bide.reads import Reads
from bide.settings import Settings
from chalice_app import meta, openapi
from chalice_app.kept import KEPT_SECONDS, Kept
from chalice_app.services import Services

NOBODY = {"host": "example.com"}


class Seconds:
    """A clock that a test turns."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


# --- for a second -------------------------------------------------------------------------------


def test_something_is_made_once_a_second_and_for_each_that_it_is_made_of() -> None:
    clock = Seconds()
    kept = Kept[int](monotonic=clock)
    made = iter(range(10))
    assert [kept.get("a", lambda: next(made)) for _ in range(3)] == [0, 0, 0]
    clock.now += KEPT_SECONDS - 0.01
    assert kept.get("a", lambda: next(made)) == 0
    clock.now += 0.02
    assert kept.get("a", lambda: next(made)) == 1
    assert kept.get("b", lambda: next(made)) == 2


def test_a_store_that_is_away_is_asked_once_a_second_too() -> None:
    clock = Seconds()
    kept = Kept[int](monotonic=clock)
    asked = []

    def fail() -> int:
        asked.append(1)
        raise StoreUnavailable("gone")

    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="gone"):
            kept.get("a", fail)
    assert len(asked) == 1
    clock.now += KEPT_SECONDS
    assert kept.get("a", lambda: 7) == 7


def test_those_who_come_meanwhile_wait_for_the_one_that_is_made() -> None:
    kept = Kept[int]()
    asked, started, may_end = [], threading.Event(), threading.Event()

    def make() -> int:
        asked.append(1)
        started.set()
        assert may_end.wait(60)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(kept.get("a", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert started.wait(60)
    may_end.set()
    for thread in threads:
        thread.join()
    assert (found, len(asked)) == ([7] * 4, 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    """What health and the description are kept by."""
    clock = Seconds()
    for kept in ("_HEALTH", "_OPENAPI"):
        monkeypatch.setattr(meta, kept, Kept[Any](monotonic=clock))
    return clock


def test_health_asks_the_store_once_a_second(
    api: Api, clock: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ask = Reads.health
    monkeypatch.setattr(Reads, "health", lambda reads: (asked.append(1), ask(reads))[1])
    bodies = {api.get("/healthz").body for _ in range(5)}
    assert (len(asked), len(bodies)) == (1, 1)
    clock.now += KEPT_SECONDS
    assert api.get("/healthz").status == 200
    assert len(asked) == 2


def test_the_description_is_made_once_a_second(
    api: Api, clock: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = openapi.document
    monkeypatch.setattr(openapi, "document", lambda *given: (made.append(1), make(*given))[1])
    assert len({api.get("/openapi.json").body for _ in range(5)}) == 1
    assert len(made) == 1
    clock.now += KEPT_SECONDS
    assert api.get("/openapi.json").status == 200
    assert len(made) == 2


def test_the_description_is_sent_once(api: Api) -> None:
    first = api.get("/openapi.json")
    again = api.get("/openapi.json", if_none_match=first.headers["etag"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert api.get("/openapi.json", if_none_match='"another"').body == first.body


# --- details are for keys -----------------------------------------------------------------------


@pytest.fixture
def public(serve: Callable[[Settings], Services], settings: Settings, client: Client) -> Api:
    """A server that has keys, asked by a stranger."""

    def hashed(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    serve(
        dataclasses.replace(
            settings,
            local=False,
            api_key_hashes=(("acme", hashed("mine")),),
            operator_key_hashes=(("ops", hashed("operator")),),
        )
    )
    return Api(client, NOBODY)


@pytest.mark.parametrize("authorization", [None, "Bearer another", "Basic bWluZQ==", "Bearer", ""])
def test_strangers_are_told_that_it_works_and_no_more(public: Api, authorization: str | None) -> None:
    reply = public.get("/healthz", authorization=authorization)
    assert (reply.status, reply.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("key", ["mine", "operator"])
def test_with_a_key_health_says_what_the_store_would_survive(public: Api, key: str) -> None:
    health = public.get("/healthz", authorization=f"Bearer {key}").json
    assert health["store"]["durability"] in ("aof", "rdb", "none")
    assert health["tasks"]["registered"] > 0


def test_without_keys_the_owner_is_told_all(api: Api) -> None:
    assert api.get("/healthz").json.keys() == {"status", "store", "tasks"}


# --- headers of every answer --------------------------------------------------------------------


def _expect_safe(headers: dict[str, str], caching: str = "no-store") -> None:
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower["x-content-type-options"] == "nosniff"
    assert lower["cache-control"] == caching


@pytest.mark.usefixtures("public")
def test_no_answer_is_to_be_kept_or_guessed_at() -> None:
    """By strangers: each route, with each method that it has or has not."""
    for path, views in app.routes.items():
        for method in views:
            event = proxy_event(
                method, path, path, pathParameters={"id": "x", "name": "x", "queue": "x", "proxy": "x"}
            )
            answered = app(event, None)
            kept = path == "/openapi.json" and method in ("GET", "HEAD")
            _expect_safe(answered["headers"], "no-cache" if kept else "no-store")


def test_successes_problems_and_what_has_not_changed_say_it_too(api: Api) -> None:
    submitted = api.submit()
    shown = api.get(submitted.headers["location"])
    unchanged = api.get(submitted.headers["location"], if_none_match=shown.headers["etag"])
    cancelled = api.post(f"{submitted.headers['location']}/cancel")
    erased = api.request("DELETE", submitted.headers["location"])
    replies: list[Reply] = [submitted, shown, unchanged, cancelled, erased]
    assert [reply.status for reply in replies] == [202, 200, 304, 200, 204]
    refused = [api.submit_raw(b"{"), api.get("/nowhere"), api.get("/healthz", host="elsewhere.example")]
    assert [reply.status for reply in refused] == [400, 404, 403]
    for reply in (*replies, *refused):
        _expect_safe(reply.headers)


def test_what_chalice_itself_answers_says_it_too() -> None:
    answered = app(proxy_event("BREW", "/v1/tasks", "/v1/tasks"), None)
    assert (answered["statusCode"], json.loads(answered["body"])["code"]) == (405, "METHOD_NOT_ALLOWED")
    _expect_safe(answered["headers"])
