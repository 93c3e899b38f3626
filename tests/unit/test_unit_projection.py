"""What a workload would cost: checked by hand, by the provider's own example, and by what was measured."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.dollars import dollars
from bide.prices import LISTED, prices
from bide.projection import (
    DURABLE,
    SLEEPING,
    STEPS,
    Item,
    Load,
    Projection,
    model,
    per_million,
    project,
    total,
)
from bide.workload import Overheads, Site, Workload

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8").split())
PLAIN = Site()
NO_TASK = Workload(tasks=1, wait_s=0, polls=1, active_ms=0, client_polls=0, spread_s=0)


def projected(workload: Workload, site: Site = PLAIN, load: Load | None = None, **set_: float) -> Projection:
    return project(workload, prices(set_.items()), Overheads(), site, load)


def usd(items: tuple[Item, ...]) -> dict[str, float]:
    return {item.name: round(item.usd, 9) for item in items}


def test_a_request_costs_the_gateway_the_invocation_and_its_time() -> None:
    workload = replace(NO_TASK, tasks=1_000_000, client_polls=2, memory_mb=1_024)
    assert usd(projected(workload).requests) == {
        "API Gateway": 10.5,  # three million at 3.50
        "API functions": 0.6 + round(6_000 * LISTED["lambda_gb_second"], 9),  # 2 ms each
    }


def test_work_is_what_the_workers_live_are_started_and_ask_of_the_store() -> None:
    load = Load(worker_ms=3_600_000, starts=1_000, commands=1_000_000)
    workload = replace(NO_TASK, tasks=1_000, memory_mb=1_024, wait_s=36_000, retention_s=36_000)
    assert usd(projected(workload, load=load).work) == {
        "workers' time": 0.06000012,
        "workers' starts": 0.0002,
        "wakes and alarms": 0.0002 + 0.000833335 + 0.0012,  # invocations, 50 s of them, three requests each
        "store's commands": round(1_007_000 * 0.0023 / 1_000_000, 9),
        "store's memory": 0.00084,  # half a MB for 20 hours
    }


def test_a_store_of_nodes_costs_by_the_month_alone() -> None:
    found = projected(NO_TASK, Site(serverless=False, nodes=3))
    assert not {"store's commands", "store's memory"} & usd(found.work).keys()
    assert usd(found.floor)["store's nodes"] == 28.032
    assert "store's least" not in usd(found.floor)


def test_the_floor_stands_without_a_task() -> None:
    site = Site(endpoints=3, zones=2, nats=1, shards=2)
    assert usd(projected(NO_TASK, site).floor) == {
        "tick": round(0.0438 + 0.00876 + 2_190 / 2 * LISTED["lambda_gb_second"], 9),
        "wake queue, asked while idle": 0.2628,
        "store's least": 6.132,
        "endpoints": 43.8,
        "stream's shards": 21.9,
        "NAT gateways": 32.85,
    }


def test_without_a_wake_queue_nothing_is_asked_of_it() -> None:
    with_queue, without = (projected(NO_TASK, Site(queue=queue)) for queue in (True, False))
    assert "wake queue, asked while idle" not in usd(without.floor)
    assert total(without.work) < total(with_queue.work)


def test_a_stream_costs_a_record_for_each_start() -> None:
    load = Load(0, 1_000_000, 0)
    plain, streamed = (projected(NO_TASK, Site(shards=shards), load).work for shards in (0, 1))
    assert math.isclose(total(streamed) - total(plain), 0.014, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("wait_s", "invocations"), [(0.0, 1), (899.0, 1), (900.0, 2), (1_800.0, 3), (28_800.0, 33)]
)
def test_a_sleeping_function_is_paid_all_night_and_begun_anew_each_quarter_of_an_hour(
    wait_s: float, invocations: int
) -> None:
    workload = replace(NO_TASK, wait_s=wait_s, active_ms=1_000, rival_memory_mb=1_024)
    time, count = projected(workload).rivals[SLEEPING]
    assert (time.quantity, count.quantity) == (wait_s + 1, invocations)
    assert time.usd == pytest.approx((wait_s + 1) * LISTED["lambda_gb_second"], rel=1e-12)


def test_a_workflow_pays_for_each_transition() -> None:
    workload = replace(NO_TASK, tasks=1_000, polls=12)
    transitions, time, invocations = projected(workload).rivals[STEPS]
    assert (transitions.quantity, invocations.quantity) == (37_000, 13_000)
    assert transitions.usd == pytest.approx(0.925)
    assert time.quantity == 13  # a millisecond each, at least


def test_a_durable_function_costs_what_the_provider_reckons() -> None:
    """The example of AWS Lambda Pricing: a million claims, 8 and three times 32 KB each, 7 days of wait."""
    claims = Workload(
        tasks=1_000_000, wait_s=7 * 86_400, polls=1, active_ms=32_000, rival_memory_mb=1_024, payload_kb=26
    )
    found = {item.name: item for item in projected(claims, lambda_gb_second=0.0000133334).rivals[DURABLE]}
    assert found["operations"].usd == 32.0
    assert found["written"].usd == pytest.approx(26.0)
    assert found["functions' time"].usd == pytest.approx(32_000_000 * 0.0000133334)
    assert found["invocations"].quantity == 2_000_000
    kept_14_days = found["kept"].usd * (7 + 14) / (7 + 1)  # it keeps them longer than it has to
    assert kept_14_days == pytest.approx(10.92)


# --- the model ----------------------------------------------------------------------------


def test_one_task_alone_costs_a_life_for_its_start_and_for_each_wait() -> None:
    alone = Workload(tasks=1, wait_s=3_600, polls=3, active_ms=40, spread_s=0)
    found = model(alone, Overheads(life_ms=500, resume_ms=1, commands_alone=70, commands_shared=2))
    assert found.worker_ms == 4 * 500 + 4 * 1 + 40
    assert found.starts == pytest.approx(4, rel=1e-3)
    assert found.commands == 4 * 70 + 4 * 2


def test_tasks_submitted_at_once_share_their_workers_lives() -> None:
    one, many = (
        model(Workload(tasks=n, wait_s=3_600, polls=3, active_ms=0, spread_s=0), Overheads(resume_ms=0))
        for n in (1, 10_000)
    )
    assert many.worker_ms == one.worker_ms


def test_no_more_is_awake_than_time_passes() -> None:
    busy = Workload(tasks=10**6, wait_s=3_600, polls=60, active_ms=0, spread_s=3_600)
    found = model(busy, Overheads(resume_ms=0))
    assert found.worker_ms == pytest.approx(7_200_000, rel=1e-3)
    assert found.starts == pytest.approx(1 + 7_200 / 840, rel=1e-2)


def test_tasks_far_apart_cost_a_life_each() -> None:
    rare = Workload(tasks=100, wait_s=1e8, polls=1, active_ms=0, spread_s=1e7)
    found = model(rare, Overheads(resume_ms=0))
    assert found.starts == pytest.approx(200, rel=0.02)
    assert found.worker_ms == pytest.approx(200 * 778, rel=0.02)


@pytest.mark.parametrize(
    ("workload", "measured_ms", "measured_starts"),
    [
        (Workload(tasks=2_000, wait_s=60, polls=12, active_ms=0, spread_s=0), 8_832, 13),
        (Workload(tasks=20, wait_s=60, polls=12, active_ms=0, spread_s=600), 108_055, 139),
    ],
    ids=["dense", "sparse"],
)
def test_the_model_is_dear_but_not_by_much(
    workload: Workload, measured_ms: float, measured_starts: int
) -> None:
    """Against what `make bench` found on 2026-11-24, as docs/cost.md tells it."""
    found = model(workload, Overheads())
    assert f"{found.worker_ms / 1000:.0f} s" in PAGE
    assert f"(measured: {measured_ms / 1000:.3g} s)" in PAGE
    assert 1 <= found.worker_ms / measured_ms <= 2.2
    assert 1 <= found.starts / measured_starts <= 1.5


WORKLOADS = st.builds(
    Workload,
    tasks=st.integers(1, 10**9),
    wait_s=st.floats(0, 1e7),
    polls=st.integers(1, 10_000),
    active_ms=st.floats(0, 1e6),
    client_polls=st.integers(0, 1_000),
    spread_s=st.floats(0, 1e7),
    memory_mb=st.integers(128, 10_240),
)


@given(WORKLOADS)
def test_every_workload_has_finite_costs_and_no_negative_one(workload: Workload) -> None:
    found = projected(workload)
    for items in (found.requests, found.work, found.floor, *found.rivals.values()):
        assert all(0 <= item.usd < math.inf and 0 <= item.quantity < math.inf for item in items)
    load = model(workload, Overheads())
    assert load.starts <= workload.resumes + workload.polls + 1 + load.worker_ms / 840_000
    assert load.worker_ms >= workload.tasks * workload.active_ms


@given(WORKLOADS, st.integers(2, 10))
def test_more_tasks_at_once_never_cost_less_and_never_more_each(workload: Workload, times: int) -> None:
    one, more = (model(replace(workload, tasks=workload.tasks * n), Overheads()) for n in (1, times))
    assert one.worker_ms <= more.worker_ms * (1 + 1e-9)
    assert more.worker_ms <= times * one.worker_ms * (1 + 1e-9)


# --- per million --------------------------------------------------------------------------


def test_dollars_per_million_are_those_of_the_work_alone() -> None:
    workload = Workload(tasks=20, wait_s=60, polls=12, active_ms=1, spread_s=600)
    load = Load(100_000, 100, 0)
    found = per_million(workload, prices(), load)
    assert list(found) == ["Bide", SLEEPING, STEPS, DURABLE]
    assert found["Bide"] == pytest.approx(total(projected(workload, load=load).work) * 50_000)
    assert found[SLEEPING] == pytest.approx(60.001 / 8 * LISTED["lambda_gb_second"] * 1e6 + 0.2)


def test_the_benchmarks_lines_say_bide_first_and_how_many_times_as_much_the_others_cost() -> None:
    workload = Workload(tasks=20, wait_s=60, polls=12, active_ms=1, spread_s=600)
    lines = list(dollars("sparse", workload, Load(100_000, 100, 0)))
    assert [line.name for line in lines] == [
        "dollars per 1,000,000 tasks",
        "the same in a sleeping Lambda",
        "the same with Step Functions",
        "the same with durable functions",
    ]
    assert {(line.benchmark, line.unit, line.goal) for line in lines} == {("sparse", "$", None)}
    assert "100.0 s of 512 MB in 100 starts for 20 tasks" in lines[0].note
    assert f"{lines[1].value / lines[0].value:,.1f} times as much" in lines[1].note
