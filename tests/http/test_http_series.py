"""GET /v1/stats/series: throughput, start delay and run time of the last minutes."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest
from api_client import Api
from hand_worker import HandWorker

from bide.exchange import Usage
from bide.histogram import bucket
from bide.series import MINUTE_MS
from chalice_app.services import Services

PATH = "/v1/stats/series"
NOTHING = {"succeeded": 0, "failed": 0, "cancelled": 0, "expired": 0, "start_delay_ms": None, "run_ms": None}


def test_without_tasks_each_queue_has_an_empty_series(api: Api, services: Services) -> None:
    reply = api.get(PATH)
    assert reply.status == 200
    empty = [
        {"queue": q, "name": None, "per_minute": 0, **NOTHING, "buckets": []} for q in sorted(services.queues)
    ]
    assert reply.json == {"minutes": 60, "bucket_minutes": 1, "omitted": 0, "series": empty}


def _record(services: Services, queue: str, age: int, by_name: dict[str, list[object]]) -> None:
    """A minute that was so many minutes ago, as the scripts store it."""
    minute = services.store.now_ms() // MINUTE_MS - age
    key = services.store.keys.slot(queue, ("series",))[0]
    services.store.command("HSET", key, f"m{minute}", msgspec.msgpack.encode(by_name))


def test_the_minutes_of_a_queue_and_of_its_tasks_are_told(api: Api, services: Services) -> None:
    a = [4, 1, 0, 0, {bucket(0): 5}, {bucket(1_000): 5}]
    b = [0, 0, 1, 2, {}, {bucket(7): 1}]
    _record(services, "default", 3, {"a": a})
    _record(services, "default", 2, {"a": a, "b": b})
    reply = api.get(f"{PATH}?minutes=10&queue=default")
    assert reply.status == 200
    assert reply.json["minutes"] == 10
    everything, of_a, of_b = reply.json["series"]
    zero, second = {"p50": 0, "p95": 0, "p99": 0}, {"p50": 939, "p95": 939, "p99": 939}
    at = [point.pop("at") for point in everything["buckets"]]
    assert everything == {
        "queue": "default", "name": None, "succeeded": 8, "failed": 2, "cancelled": 1, "expired": 2,
        "per_minute": 1.3, "start_delay_ms": zero, "run_ms": second,
        "buckets": [
            {**NOTHING, "succeeded": 4, "failed": 1, "start_delay_ms": zero, "run_ms": second},
            {
                "succeeded": 4, "failed": 1, "cancelled": 1, "expired": 2, "start_delay_ms": zero,
                "run_ms": second,
            },
        ],
    }  # fmt: skip
    first, last = map(datetime.fromisoformat, at)
    assert (last - first).total_seconds() == 60
    assert (first.second, first.microsecond) == (0, 0)
    assert (of_a["name"], of_a["per_minute"], len(of_a["buckets"])) == ("a", 1.0, 2)
    assert (of_b["name"], of_b["start_delay_ms"], of_b["run_ms"]["p99"]) == ("b", None, 7)
    (alone,) = api.get(f"{PATH}?minutes=10&name=b").json["series"]
    assert alone == of_b


def test_real_tasks_show_up(api: Api, worker: HandWorker) -> None:
    for _ in range(2):
        api.submit()
        worker.succeed(worker.lease(), usage=Usage(name="echo"))
    everything, echo = api.get(f"{PATH}?queue=default").json["series"]
    for series in (everything, echo):
        assert series["succeeded"] == 2
        assert series["run_ms"]["p50"] <= series["run_ms"]["p99"]
        assert series["start_delay_ms"] is not None


def test_a_queue_that_does_not_exist_is_not_found(api: Api) -> None:
    reply = api.get(f"{PATH}?queue=nosuch")
    assert (reply.status, reply.code) == (404, "QUEUE_NOT_FOUND")


@pytest.mark.parametrize("minutes", ["0", "1441", "-1", "1.5", "ten", "", "%C2%B2", "9" * 30])
def test_minutes_out_of_range_are_refused_with_the_range(api: Api, minutes: str) -> None:
    reply = api.get(f"{PATH}?minutes={minutes}")
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert "minutes" in reply.json["detail"]


@pytest.mark.parametrize("parameter", ["queue", "name"])
def test_names_that_cannot_be_are_refused(api: Api, parameter: str) -> None:
    reply = api.get(f"{PATH}?{parameter}={'x' * 129}")
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert parameter in reply.json["detail"]


@pytest.mark.parametrize(("query", "minutes"), [("?minutes=1", 1), ("?minutes=1440", 1_440), ("", 60)])
def test_minutes_may_be_one_a_day_or_left_out(api: Api, query: str, minutes: int) -> None:
    assert api.get(PATH + query).json["minutes"] == minutes


def test_a_parameter_that_is_not_known_is_refused_with_those_that_are(api: Api) -> None:
    reply = api.get(f"{PATH}?minuts=5")
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert "minutes, queue, name" in reply.json["detail"]
