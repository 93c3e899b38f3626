"""Which events an attempt knows of: what its lease told, and what it reads of the store later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from floor import QuietFloor, lease, settle_of

from bide.context import Context
from bide.definition import task
from bide.exchange import Event, Settlement
from bide.ids import TaskId
from bide.registry import Registry
from bide.worker.attempt import Attempt
from bide.worker.runner import Runner


class Floor(QuietFloor):
    """Tells names of all events, and bodies of those that are asked for, as the store does."""

    def __init__(self, executor: ThreadPoolExecutor, *events: Event) -> None:
        super().__init__(executor)
        self.events = list(events)
        self.asked: list[str] = []

    async def read_events(self, id: TaskId, name: str) -> Sequence[Event]:
        self.asked.append(name)
        return tuple(
            event if event.name == name else Event(event.number, event.name) for event in self.events
        )


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


def attempt_with(floor: Floor, *told: Event, name: str = "echo") -> Attempt:
    """An attempt whose lease told it these."""
    return Attempt(msgspec.structs.replace(lease(name), events=told), floor)


@task
async def read_three(ctx: Context) -> list[int]:
    return [await ctx.event("go"), await ctx.event("other"), await ctx.event("go")]


def test_bodies_that_did_not_come_along_are_read_once_for_all_of_a_name(executor: ThreadPoolExecutor) -> None:
    floor = Floor(executor, Event(1, "go", "1"), Event(2, "other", "2"), Event(3, "go", "3"))
    runner = Runner(Registry({read_three.name: read_three}), executor, lambda: 0.0)

    async def scene() -> None:
        attempt = attempt_with(floor, Event(1, "go"), Event(2, "other"), Event(3, "go"), name=read_three.name)
        settle = await settle_of(attempt, runner)
        assert settle is not None
        assert (settle.verb, settle.body) == (Settlement.SUCCEEDED, b"[1,2,3]")

    asyncio.run(scene())
    assert floor.asked == ["go", "other"]


def test_what_came_along_with_its_body_is_not_asked_for(executor: ThreadPoolExecutor) -> None:
    floor = Floor(executor)
    runner = Runner(Registry({read_three.name: read_three}), executor, lambda: 0.0)
    told = (Event(1, "go", "1"), Event(2, "other", "2"), Event(3, "go", "3"))

    async def scene() -> None:
        settle = await settle_of(attempt_with(floor, *told, name=read_three.name), runner)
        assert settle is not None
        assert settle.body == b"[1,2,3]"

    asyncio.run(scene())
    assert floor.asked == []


def test_an_event_that_a_branch_has_taken_is_not_found_again_before_the_store_knows(
    executor: ThreadPoolExecutor,
) -> None:
    floor = Floor(executor, Event(1, "go", "1"), Event(2, "go", "2"))

    async def scene() -> None:
        attempt = attempt_with(floor, Event(1, "go", "1"))
        first = attempt.find_event("go")
        assert first is not None
        attempt.take_event(first)
        await attempt.read_events("go")
        assert attempt.find_event("go") == Event(2, "go", "2")

    asyncio.run(scene())


def test_an_event_that_a_later_lease_has_read_is_known_no_more(executor: ThreadPoolExecutor) -> None:
    async def scene() -> None:
        attempt = attempt_with(Floor(executor, Event(2, "other", "2")), Event(1, "go"), Event(2, "other"))
        await attempt.read_events("go")
        assert attempt.find_event("go") is None
        assert attempt.find_event("other") == Event(2, "other")

    asyncio.run(scene())
