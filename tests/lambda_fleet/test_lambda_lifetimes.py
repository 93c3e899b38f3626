"""Workers that live for a second: nothing is killed, all goes on, however long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from running_fleet import DRAIN, RunningFleet


@pytest.fixture(scope="module")
def fleet(found_fleet: Callable[..., RunningFleet]) -> RunningFleet:
    return found_fleet(
        BIDE_WORKER_SECONDS="1", BIDE_GRACE_SECONDS="0.5", BIDE_IDLE_SECONDS="0.5", BIDE_TICK_SECONDS="5",
        BIDE_WORKERS_MAX="4",
    )  # fmt: skip


def test_steps_go_on_in_one_worker_after_another(fleet: RunningFleet, runner: asyncio.Runner) -> None:
    async def play() -> None:
        before = fleet.figures
        id = await fleet.submit("stepping", file=str(fleet.marks), steps=24, seconds=0.4)
        task = await fleet.done(id)
        assert (task["state"], task["result"]) == ("succeeded", 24)
        assert task["attempt"] == 1, "no attempt was spent"
        assert fleet.figures.invocations - before.invocations >= 3
        assert fleet.figures.timeouts == fleet.figures.errors == 0
        steps = [line for line in fleet.lines() if line.startswith("step ")]
        assert set(steps) == {f"step {number}" for number in range(24)}
        again = len(steps) - 24
        assert again <= fleet.figures.invocations, "at most the step under way runs again"
        assert {"successor", "lifetime"} <= set(await fleet.scaling())
        await fleet.asleep()

    runner.run(play())


def test_polls_go_on_in_one_worker_after_another(fleet: RunningFleet, runner: asyncio.Runner) -> None:
    async def play() -> None:
        ids = [await fleet.submit("polling", seconds=8, every=0.5) for _ in range(20)]
        for id in ids:
            task = await fleet.done(id)
            assert (task["state"], task["attempt"]) == ("succeeded", 1)
        assert fleet.figures.timeouts == fleet.figures.errors == 0
        await fleet.asleep()

    runner.run(play())


def test_a_plain_function_that_outlives_its_workers_fails_clearly_and_ends_their_processes(
    fleet: RunningFleet, runner: asyncio.Runner
) -> None:
    async def play() -> None:
        before = fleet.figures
        id = await fleet.submit("stubborn", file=str(fleet.marks), seconds=60)
        task = await fleet.done(id)
        assert (task["state"], task["attempt"]) == ("failed", 3)
        assert task["error"]["code"] == "LIFETIME_EXCEEDED"
        assert fleet.lines().count("stubborn") == 3
        await fleet.asleep()
        assert fleet.figures.errors - before.errors == 3, "each process ended, and its thread with it"
        assert fleet.figures.timeouts == 0

    runner.run(play())


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "cut off"])
def test_a_long_chain_of_workers_goes_on_or_is_taken_up_by_the_tick(
    fleet: RunningFleet, runner: asyncio.Runner, allowed: bool
) -> None:
    """AWS stops a chain of calls after sixteen, unless told otherwise."""

    async def play() -> None:
        await fleet.asleep()
        fleet.drain.recursion_allowed = allowed
        before = fleet.figures
        id = await fleet.submit("stepping", file=str(fleet.marks), steps=70, seconds=0.4)
        task = await fleet.done(id)
        fleet.drain.recursion_allowed = True
        after = fleet.figures
        assert (task["state"], task["attempt"]) == ("succeeded", 1)
        assert after.invocations - before.invocations >= 17
        assert (after.recursions_stopped > before.recursions_stopped) is not allowed
        await fleet.asleep()

    runner.run(play())


def test_every_function_of_the_loop_is_allowed_to_recurse_as_deployed(fleet: RunningFleet) -> None:
    assert fleet.drain.function.name == DRAIN
    assert fleet.drain.recursion_allowed
