"""GET /v1/tasks/{id}/log."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from api_client import Api
from hand_worker import HandWorker

from bide.line import Kind, Line
from bide.settings import Settings
from chalice_app.services import Services

AT = 1_764_000_000_123


def said(number: int) -> Line:
    return Line(AT, Kind.LOG, 1, "INFO", "vms", f"line {number}")


@pytest.fixture
def path(api: Api) -> str:
    location: str = api.submit().headers["location"]
    return f"{location}/log"


def test_the_lines_of_a_running_task_are_shown(api: Api, worker: HandWorker, path: str) -> None:
    lease = worker.lease()
    worker.say(lease, said(1), Line(AT, Kind.PROGRESS, 1, message="half", fraction=0.5))
    worker.say(lease, Line(AT, Kind.PROGRESS, 1, fraction=1.0))
    reply = api.get(path)
    assert (reply.status, reply.headers["retry-after"]) == (200, "1")
    nothing: dict[str, Any] = {"level": None, "logger": None, "message": None, "fraction": None}
    common = {"at": "2025-11-24T16:00:00.123Z", "attempt": 1, **nothing}
    assert reply.json == {
        "lines": [
            {**common, "number": 1, "kind": "log", "level": "INFO", "logger": "vms", "message": "line 1"},
            {**common, "number": 2, "kind": "progress", "message": "half", "fraction": 0.5},
            {**common, "number": 3, "kind": "progress", "fraction": 1.0},
        ],
        "next": 3,
        "dropped": 0,
        "done": False,
    }


def test_an_event_is_a_line_and_has_no_attempt_before_the_first(api: Api, path: str) -> None:
    api.post(path.removesuffix("log") + "events/approved", {})
    (line,) = api.get(path).json["lines"]
    assert (line["kind"], line["message"], line["attempt"], line["logger"]) == (
        "event",
        "approved",
        None,
        None,
    )


def test_a_cursor_and_a_page_size_lead_through(api: Api, worker: HandWorker, path: str) -> None:
    lease = worker.lease()
    worker.say(lease, *map(said, range(1, 31)))
    first = api.get(f"{path}?page_size=20").json
    second = api.get(f"{path}?after={first['next']}&page_size=20").json
    third = api.get(f"{path}?after={second['next']}").json
    numbers = [line["number"] for page in (first, second, third) for line in page["lines"]]
    assert numbers == list(range(1, 31))
    assert (first["next"], second["next"], third["next"]) == (20, 30, 30)


def test_when_the_task_is_done_nobody_needs_to_ask_again(api: Api, worker: HandWorker, path: str) -> None:
    lease = worker.lease()
    worker.say(lease, said(1))
    worker.succeed(lease)
    reply = api.get(path)
    assert reply.json["done"] is True
    assert len(reply.json["lines"]) == 1
    assert "retry-after" not in reply.headers


def test_what_was_overwritten_is_counted(api: Api, worker: HandWorker, path: str) -> None:
    lease = worker.lease()
    for _ in range(11):
        worker.say(lease, *map(said, range(50)))
    page = api.get(f"{path}?after=10&page_size=1").json
    assert (page["lines"][0]["number"], page["dropped"], page["next"]) == (51, 40, 51)


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", "after=1.5", "after=4294967296", "page_size=0", "page_size=101", "after=²"],
)
def test_a_parameter_that_makes_no_sense_is_refused(api: Api, path: str, query: str) -> None:
    reply = api.get(f"{path}?{query}")
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert query.partition("=")[0] in reply.json["detail"]


def test_there_is_no_log_of_no_task(api: Api) -> None:
    for id in ("nonsense", "default~" + "0" * 26):
        assert api.get(f"/v1/tasks/{id}/log").code == "TASK_NOT_FOUND"


def test_a_log_is_for_operators_of_its_tenant(
    client: Any, serve: Callable[[Settings], Services], settings: Settings
) -> None:
    def of(key: str) -> tuple[tuple[str, str], ...]:
        return ((key, hashlib.sha256(key.encode()).hexdigest()),)

    keys, operators = of("acme") + of("default"), of("default")
    operators += (("acme", hashlib.sha256(b"boss").hexdigest()),)
    serve(dataclasses.replace(settings, local=False, api_key_hashes=keys, operator_key_hashes=operators))
    public = Api(client, {"Host": "bide.example"})
    location = public.submit_raw(b'{"name":"echo","args":{"value":1}}', authorization="Bearer acme").headers
    path = f"{location['location']}/log"
    statuses = {
        key: public.get(path, authorization=f"Bearer {key}").status for key in ("acme", "boss", "default")
    }
    assert statuses == {"acme": 403, "boss": 200, "default": 404}
    assert public.get(path).status == 401
