"""`Prefer: wait`: requests that are held until their task is done."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.errors import StoreUnavailable
from bide.ids import parse_id
from bide.settings import Settings
from bide.store import Store
from chalice_app import waiting
from chalice_app.services import Services


@pytest.fixture
def when_held(services: Services) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Do something as soon as a request is held."""
    threads = []

    def arrange(action: Callable[[], object]) -> None:
        def run() -> None:
            deadline = time.monotonic() + 60
            while not _holds(services) and time.monotonic() < deadline:
                time.sleep(0.002)
            action()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield arrange
    for thread in threads:
        thread.join()


def _holds(services: Services) -> int:
    key = services.store.keys.server(("waits",))[0]
    return int(services.store.command("ZCARD", key))


def test_a_submission_that_waits_is_answered_with_the_result(
    api: Api, worker: HandWorker, services: Services, when_held: Callable[[Callable[[], object]], None]
) -> None:
    when_held(lambda: worker.succeed(worker.lease(), 42))
    reply = api.submit_raw(b'{"name":"echo","args":{"value":42}}', prefer="wait=20")
    assert (reply.status, reply.json["state"], reply.json["result"]) == (200, "succeeded", 42)
    assert reply.headers["preference-applied"] == "wait=20"
    assert reply.headers["location"] == f"/v1/tasks/{reply.json['id']}"
    assert "retry-after" not in reply.headers
    assert _holds(services) == 0


def test_a_poll_that_waits_is_answered_when_the_task_is_done(
    api: Api, worker: HandWorker, services: Services, when_held: Callable[[Callable[[], object]], None]
) -> None:
    path = api.submit().headers["location"]
    lease = worker.lease()
    when_held(lambda: worker.fail(lease, "ERROR", "no"))
    reply = api.get(path, prefer="wait=20")
    assert (reply.status, reply.json["state"]) == (200, "failed")
    assert reply.headers["preference-applied"] == "wait=20"
    assert _holds(services) == 0


def test_a_poll_waits_for_the_end_and_not_for_any_change(
    api: Api, worker: HandWorker, when_held: Callable[[Callable[[], object]], None]
) -> None:
    path = api.submit().headers["location"]
    when_held(lambda: worker.succeed(worker.lease()))
    tag = api.get(path).headers["etag"]
    assert api.get(path, prefer="wait=20", if_none_match=tag).json["state"] == "succeeded"


def test_a_wait_that_is_over_shows_the_task_as_it_is(api: Api, services: Services) -> None:
    began = time.monotonic()
    reply = api.submit_raw(b'{"name":"house.keep"}', prefer="wait=1")
    assert time.monotonic() - began >= 1.0
    assert (reply.status, reply.json["state"]) == (202, "ready")
    assert reply.headers["preference-applied"] == "wait=1"
    assert "retry-after" in reply.headers
    assert _holds(services) == 0


def test_an_unchanged_task_is_304_also_after_a_wait(api: Api) -> None:
    path = api.submit().headers["location"]
    tag = api.get(path).headers["etag"]
    reply = api.get(path, prefer="wait=1", if_none_match=tag)
    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers["preference-applied"] == "wait=1"


def test_a_request_beyond_the_budget_is_answered_at_once(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    services = serve(dataclasses.replace(settings, wait_slots=1))
    api = Api(client)
    assert services.store.hold("somebody", 60_000, 1)
    reply = api.submit_raw(b'{"name":"house.keep"}', prefer="wait=20")
    assert (reply.status, reply.json["state"]) == (202, "ready")
    assert "preference-applied" not in reply.headers
    assert _holds(services) == 1


def test_a_quarter_of_the_api_waits_unless_it_is_said(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    services = serve(dataclasses.replace(settings, api_concurrency=8))
    for holder, is_held in (("one", True), ("two", False)):
        assert services.store.hold(holder, 60_000, 2)
        reply = Api(client).submit_raw(b'{"name":"house.keep"}', prefer="wait=1")
        assert ("preference-applied" in reply.headers) == is_held


def test_without_slots_nothing_is_held(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    serve(dataclasses.replace(settings, wait_slots=0))
    reply = Api(client).submit_raw(b'{"name":"house.keep"}', prefer="wait=20")
    assert "preference-applied" not in reply.headers


def test_a_task_that_is_due_only_later_is_not_waited_for(api: Api) -> None:
    reply = api.submit_raw(b'{"name":"house.keep","delay":30}', prefer="wait=20")
    assert (reply.status, reply.json["state"], reply.headers["retry-after"]) == (202, "scheduled", "30")
    assert "preference-applied" not in reply.headers


def test_a_done_task_needs_no_slot(
    serve: Callable[[Settings], Services], settings: Settings, client: Client
) -> None:
    services = serve(dataclasses.replace(settings, wait_slots=0))
    api, worker = Api(client), HandWorker(services.store, settings.redis_url)
    path = api.submit().headers["location"]
    worker.succeed(worker.lease())
    assert api.get(path, prefer="wait=5").headers["preference-applied"] == "wait=5"


@pytest.mark.parametrize(
    ("preference", "applied"),
    [
        ("wait=5", "wait=5"),
        ("wait=99", "wait=20"),
        ("WAIT = 7", "wait=7"),
        ('wait="3"', "wait=3"),
        ("respond-async, wait=4", "wait=4"),
        ("respond-async; foo=bar, wait=4; x", "wait=4"),
        ("wait=999999999999999999", "wait=20"),
        ("wait=1, wait=9", "wait=1"),
    ],
)
def test_preferences_are_read_as_rfc_7240_spells_them(
    api: Api, worker: HandWorker, preference: str, applied: str
) -> None:
    path = api.submit().headers["location"]
    worker.succeed(worker.lease())
    assert api.get(path, prefer=preference).headers["preference-applied"] == applied


@pytest.mark.parametrize(
    "preference",
    [
        "",
        "wait",
        "wait=",
        "wait=0",
        "wait=-1",
        "wait=1.5",
        "wait=1e9",
        "wait=" + "9" * 5000,
        "await=5",
        "x=wait=5",
        "wait=٣",
        "," * 9000,
        "wait=\x00",
        "return=minimal",
    ],
)
def test_a_preference_that_makes_no_sense_is_ignored(api: Api, worker: HandWorker, preference: str) -> None:
    path = api.submit().headers["location"]
    worker.succeed(worker.lease())
    reply = api.get(path, prefer=preference)
    assert reply.status == 200
    assert "preference-applied" not in reply.headers


def test_a_store_that_fails_during_the_wait_does_not_take_the_202_back(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(Store, "hold", unreachable)
    reply = api.submit_raw(b'{"name":"house.keep"}', prefer="wait=20")
    assert reply.status == 202
    monkeypatch.undo()
    assert api.get(reply.headers["location"]).status == 200


def test_a_store_that_fails_between_two_looks_ends_the_wait(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(services.reads, "task", unreachable)
    reply = api.submit_raw(b'{"name":"house.keep"}', prefer="wait=20")
    assert (reply.status, reply.json["state"]) == (202, "ready")


class _ShortOfTime:
    """Lambda's context when the function's time is nearly over."""

    def __init__(self, ms: float) -> None:
        self._ms = ms

    def get_remaining_time_in_millis(self) -> float:
        return self._ms


def test_a_wait_leaves_time_to_answer_before_the_function_ends(api: Api, services: Services) -> None:
    id = parse_id(api.submit().json["id"])
    assert id
    view = services.reads.task(id, "default")
    began = time.monotonic()
    waited = waiting.wait_until_done(services, view, id, 20, _ShortOfTime(1_100))
    assert waited.honoured
    assert time.monotonic() - began < 10.0
    assert not waiting.wait_until_done(services, view, id, 20, _ShortOfTime(900)).honoured


def test_a_place_is_given_back_when_the_task_vanishes_meanwhile(
    api: Api, worker: HandWorker, services: Services, when_held: Callable[[Callable[[], object]], None]
) -> None:
    path = api.submit().headers["location"]
    specs = services.store.keys.slot("default", ("specs",))[0]
    when_held(lambda: services.store.command("DEL", specs))
    assert api.get(path, prefer="wait=20").code == "TASK_NOT_FOUND"
    assert _holds(services) == 0


def test_looks_grow_rarer_and_never_exceed_the_time(api: Api, services: Services) -> None:
    id = parse_id(api.submit().json["id"])
    assert id
    view = services.reads.task(id, "default")
    pauses: list[float] = []
    waiting.wait_until_done(services, view, id, 5, None, monotonic=lambda: sum(pauses), sleep=pauses.append)
    assert pauses[0] == waiting.FIRST_PAUSE == 0.005
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == waiting.LONGEST_PAUSE == 0.25
    assert sum(pauses) == pytest.approx(5)
    assert len(pauses) < 45


def test_held_requests_do_not_stand_in_each_others_way(api: Api, worker: HandWorker, client: Client) -> None:
    """In threads, as the local server holds them."""
    from app import app
    from local.gateway import Gateway

    gateway = Gateway(app)
    headers = [("host", "localhost"), ("content-type", "application/json"), ("prefer", "wait=20")]
    answers: list[bytes] = []

    def submit(value: int) -> None:
        body = b'{"name":"echo","args":{"value":%d}}' % value
        answers.append(gateway.answer("POST", "/v1/tasks", "", headers, body, "127.0.0.1").body)

    threads = [threading.Thread(target=submit, args=(value,)) for value in range(8)]
    for thread in threads:
        thread.start()
    left = len(threads)
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        for lease in worker.lease_all():
            worker.succeed(lease, {"was": lease.spec.args})
            left -= 1
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    for answer in answers:
        assert b'"state":"succeeded"' in answer
