"""Wakes that get lost, come twice or are throttled: nothing is lost, and little is paid."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from running_fleet import RunningFleet

TICK_S = 4.0
COUNTED_ON_S = 10.0
"""How long a start is counted on before the tick makes up for it."""
THROTTLED_S = 60.0
IDLE_S = 0.5


@pytest.fixture(scope="module")
def fleet(found_fleet: Callable[..., RunningFleet]) -> RunningFleet:
    return found_fleet(BIDE_TICK_SECONDS=f"{TICK_S:g}", BIDE_IDLE_SECONDS=f"{IDLE_S:g}", BIDE_WORKERS_MAX="4")


def test_a_submission_starts_a_worker_and_gets_its_result(
    fleet: RunningFleet, runner: asyncio.Runner
) -> None:
    async def play() -> None:
        id = await fleet.submit("quick", file=str(fleet.marks), name="first")
        assert (await fleet.done(id))["result"] == "first"
        await fleet.asleep()

    runner.run(play())


def test_the_tick_makes_up_for_every_wake_that_was_dropped(
    fleet: RunningFleet, runner: asyncio.Runner
) -> None:
    async def play() -> None:
        await fleet.asleep()
        fleet.drain.events.chaos.drop_every = 1
        ids = [await fleet.submit("quick", file=str(fleet.marks), name=f"lost {n}") for n in range(3)]
        await fleet.until(lambda: fleet.figures.events_lost > 0)
        fleet.drain.events.chaos.drop_every = 0
        began = time.monotonic()
        for id in ids:
            assert (await fleet.done(id))["state"] == "succeeded"
        assert time.monotonic() - began < COUNTED_ON_S + TICK_S + 30
        assert "ready" in await fleet.scaling(), "it was the tick"

    runner.run(play())


def test_a_wake_that_comes_twice_costs_no_more_than_an_idle_exit(
    fleet: RunningFleet, runner: asyncio.Runner
) -> None:
    async def play() -> None:
        await fleet.asleep()
        await one(fleet, "single")
        once = fleet.figures
        await one(fleet, "again")
        single = fleet.figures
        fleet.drain.events.chaos.duplicate_every = 1
        await one(fleet, "doubled")
        fleet.drain.events.chaos.duplicate_every = 0
        doubled = fleet.figures
        assert doubled.events_doubled == 1
        assert doubled.invocations - single.invocations == 2
        extra_ms = (doubled.billed_ms - single.billed_ms) - (single.billed_ms - once.billed_ms)
        start_ms = doubled.init_ms / doubled.cold_starts
        assert extra_ms < start_ms + IDLE_S * 1000 + 5_000, "a start, and at most the time to linger"
        assert fleet.lines().count("doubled") == 1, "the task ran once"

    runner.run(play())


async def one(fleet: RunningFleet, name: str) -> None:
    """Run one task, from no worker to none."""
    await fleet.done(await fleet.submit("quick", file=str(fleet.marks), name=name))
    await fleet.asleep()


def test_nothing_is_lost_while_workers_are_throttled_for_a_minute(
    fleet: RunningFleet, runner: asyncio.Runner
) -> None:
    async def play() -> None:
        await fleet.asleep()
        fleet.throttle()
        ends_at, ids = time.monotonic() + THROTTLED_S, []
        while time.monotonic() < ends_at:
            ids.append(await fleet.submit("quick", file=str(fleet.marks), name=f"late {len(ids)}"))
            await asyncio.sleep(2)
        assert fleet.figures.throttles > 0
        assert {(await fleet.show(id))["state"] for id in ids} == {"ready"}
        fleet.throttle(off=True)
        for id in ids:
            assert (await fleet.done(id))["state"] == "succeeded"
        assert sorted(line for line in fleet.lines() if line.startswith("late")) == sorted(
            f"late {number}" for number in range(len(ids))
        )

    runner.run(play())
