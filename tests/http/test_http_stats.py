"""GET /v1/stats: what all tasks came to."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.exchange import Usage
from bide.settings import Settings
from bide.tally import DAY_MS
from chalice_app.services import Services
from chalice_app.stats import duration_text


def test_a_new_server_has_no_totals(api: Api, services: Services) -> None:
    nothing = {
        "tasks": {"succeeded": 0, "failed": 0, "cancelled": 0, "expired": 0},
        "waited_ms": 0,
        "billed_ms": 0.0,
        "replays": 0,
        "polls": 0,
        "poller_calls": 0,
        "cost_usd": 0.0,
    }
    reply = api.get("/v1/stats")
    assert reply.status == 200
    assert reply.json == {
        **nothing,
        "worker_ms": 0,
        "worker_starts": 0,
        "paid_usd": 0.0,
        "memory_mb": 512,
        "summary": "waited 0 ms, billed 0 ms",
        "queues": [{"queue": queue, **nothing} for queue in sorted(services.queues)],
        "days": [],
    }


def test_totals_sum_the_tasks_of_all_queues(api: Api, services: Services, settings: Settings) -> None:
    for queue in ("default", "vms"):
        worker = HandWorker(services.store, settings.redis_url, queue)
        for _ in range(2):
            api.submit(queue=queue)
            usage = Usage(billed_us=10_250_500, waited_ms=4 * 3_600_000, replays=3, polls=20, calls=1)
            worker.succeed(worker.lease(), usage=usage)
        api.submit(queue=queue)
        worker.fail(worker.lease(), "ERROR", "no")
        api.post(f"{api.submit(queue=queue).headers['location']}/cancel")
        worker.live(1_500)
    stats = api.get("/v1/stats").json
    day = {
        "tasks": {"succeeded": 4, "failed": 2, "cancelled": 2, "expired": 0},
        "waited_ms": 16 * 3_600_000,
        "billed_ms": 41_002.0,
        "worker_ms": 3_000,
        "worker_starts": 1,
        "replays": 12,
        "polls": 80,
        "poller_calls": 4,
        "cost_usd": 0.000341684017,  # 41.002 s of half a GB at 0.0000166667 dollars a GB-second
        "paid_usd": 0.00002520005,  # 3 s of it, and an invocation at 0.20 dollars a million
    }
    queue = {
        "tasks": {"succeeded": 2, "failed": 1, "cancelled": 1, "expired": 0},
        "waited_ms": 8 * 3_600_000,
        "billed_ms": 20_501.0,
        "replays": 6,
        "polls": 40,
        "poller_calls": 2,
        "cost_usd": 0.000170842008,
    }
    (today,) = stats.pop("days")
    assert abs(date.fromisoformat(today.pop("day")) - datetime.now(UTC).date()) <= timedelta(days=1)
    assert today == day
    told = stats.pop("queues")
    assert [part["queue"] for part in told] == sorted(services.queues)
    assert [part for part in told if part["tasks"]["succeeded"]] == [
        {"queue": "default", **queue},
        {"queue": "vms", **queue},
    ]
    assert stats == {**day, "memory_mb": 512, "summary": "waited 16 h, billed 41 s"}


def test_each_of_the_last_31_days_on_which_something_happened_is_told(api: Api, services: Services) -> None:
    api.submit()
    today = services.store.now_ms() // DAY_MS
    key = services.store.keys.slot("default", ("stats",))[0]
    for age in (0, 1, 30, 31):
        packed = msgspec.msgpack.encode({"succeeded": age + 1, "billed_us": 1_000_000})
        services.store.command("HSET", key, f"d{today - age}", packed)
    stats = api.get("/v1/stats").json
    assert [day["tasks"]["succeeded"] for day in stats["days"]] == [1, 2, 31]
    dates = [date.fromisoformat(day["day"]) for day in stats["days"]]
    assert dates == [date(1970, 1, 1) + timedelta(days=today - age) for age in (0, 1, 30)]
    assert stats["tasks"]["succeeded"] == 1 + 2 + 31 + 32
    assert stats["cost_usd"] == 4 * stats["days"][0]["cost_usd"]


def test_dollars_follow_the_prices_and_the_memory_that_are_set(
    api: Api, worker: HandWorker, serve: Callable[..., Services], settings: Settings
) -> None:
    location = api.submit().headers["location"]
    worker.succeed(worker.lease(), usage=Usage(billed_us=2_000_000))
    worker.live(10_000)
    dear = (("lambda_gb_second", 3.0), ("lambda_requests_million", 7_000_000.0))
    serve(dataclasses.replace(settings, prices=dear, memory_mb=256))
    stats = api.get("/v1/stats").json
    assert (stats["memory_mb"], stats["cost_usd"], stats["paid_usd"]) == (256, 1.5, 14.5)
    assert api.get(location).json["cost_usd"] == 1.5


def test_totals_are_the_servers_whoever_asks(
    api: Api,
    worker: HandWorker,
    serve: Callable[..., Services],
    settings: Settings,
    client: Client,
) -> None:
    api.submit()
    worker.succeed(worker.lease())
    digest = hashlib.sha256(b"key").hexdigest()
    serve(dataclasses.replace(settings, local=False, api_key_hashes=(("other", digest),)))
    other = Api(client, {"authorization": "Bearer key"})
    assert other.get("/v1/stats").json["tasks"]["succeeded"] == 1


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (0.0123, "0.012 ms"),
        (0.5, "0.5 ms"),
        (1, "1 ms"),
        (1.25, "1.2 ms"),
        (99.4, "99 ms"),
        (123, "120 ms"),
        (994, "990 ms"),
        (996, "1 s"),
        (1_000, "1 s"),
        (1_480, "1.5 s"),
        (41_280.3, "41 s"),
        (59_400, "59 s"),
        (60_000, "1 min"),
        (90_000, "1.5 min"),
        (3_600_000, "1 h"),
        (57_600_000, "16 h"),
        (86_400_000, "1 d"),
        (36 * 3_600_000, "1.5 d"),
        (123 * 86_400_000, "120 d"),
        (123_456 * 86_400_000, "120000 d"),
    ],
)
def test_a_duration_has_two_digits_in_its_largest_unit(ms: float, text: str) -> None:
    assert duration_text(ms) == text
