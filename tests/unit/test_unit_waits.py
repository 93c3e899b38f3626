"""Branches of an attempt: which of them wait, and how groups of them end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from bide.errors import Misuse
from bide.worker.branches import Group, adopt, current, enter, leave, result_of
from bide.worker.journal import Journal, JournalEnd
from bide.worker.waits import Wait, Waits


class Told:
    """An Idler that writes down what it is told. It has room when `admit` says so, or always."""

    def __init__(self, *, full: bool = False) -> None:
        self.said: list[str] = []
        self.returning: list[Callable[[], bool]] = []
        self._full = full

    def on_idle(self) -> None:
        self.said.append("idle")

    def on_busy(self) -> None:
        self.said.append("busy")

    def readmit(self, go_on: Callable[[], bool]) -> None:
        self.said.append("due")
        if self._full:
            self.returning.append(go_on)
        else:
            go_on()

    def admit(self) -> bool:
        """Give the first that returns its place; returns whether it took it."""
        return self.returning.pop(0)()


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        asyncio.get_running_loop().set_task_factory(adopt)
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(bounded())


def soon() -> float:
    return asyncio.get_running_loop().time()


async def turn() -> None:
    """Let everything happen that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


# --- waits ------------------------------------------------------------------------------------


def test_the_only_branch_waits_and_goes_on() -> None:
    async def scene() -> None:
        told = Told()
        waits = Waits(told)
        assert not waits.idle
        await waits.until(Wait(soon()))
        assert told.said == ["idle", "due", "busy"]
        assert not waits.idle
        assert waits.due_at is None

    play(scene)


def test_a_wait_for_an_event_has_no_end_of_its_own() -> None:
    async def scene() -> None:
        told = Told()
        waits = Waits(told)
        waiting = waits.until(Wait(None, "go"))
        assert (waits.idle, waits.due_at, waits.awaits) == (True, None, ("go",))
        waiting.cancel()
        await turn()
        assert (waits.idle, waits.awaits) == (False, ())
        assert told.said == ["idle", "busy"]

    play(scene)


def test_an_attempt_is_idle_only_while_all_its_branches_wait() -> None:
    async def scene() -> None:
        told = Told()
        waits = Waits(told)
        waits.fork(3)
        waits.end_branch()
        first = waits.until(Wait(soon() + 60))
        assert told.said == []
        second = waits.until(Wait(soon() + 30, "go"))
        assert told.said == ["idle"]
        assert waits.due_at is not None
        assert waits.due_at < soon() + 31
        for waiting in (first, second):
            waiting.cancel()
        await turn()
        assert told.said == ["idle", "busy"]

    play(scene)


def test_a_wait_beside_a_branch_at_work_needs_no_room() -> None:
    async def scene() -> None:
        told = Told(full=True)
        waits = Waits(told)
        waits.fork(2)
        await waits.until(Wait(soon()))
        assert told.said == []

    play(scene)


def test_a_wait_that_is_due_goes_on_once_there_is_room() -> None:
    async def scene() -> None:
        told = Told(full=True)
        waits = Waits(told)
        waiting = waits.until(Wait(soon()))
        await asyncio.sleep(0.01)
        assert told.said == ["idle", "due"]
        assert not waiting.done()
        assert told.admit()
        await turn()
        assert waiting.done()
        assert told.said == ["idle", "due", "busy"]

    play(scene)


def test_waits_that_are_due_together_share_one_place() -> None:
    """The second neither goes on without one nor takes another."""

    async def scene() -> None:
        told = Told(full=True)
        waits = Waits(told)
        waits.fork(2)
        both = [waits.until(Wait(soon())), waits.until(Wait(soon() + 0.005))]
        await asyncio.sleep(0.02)
        assert [waiting.done() for waiting in both] == [False, False]
        assert len(told.returning) == 1
        assert told.admit()
        await turn()
        assert [waiting.done() for waiting in both] == [True, True]
        assert told.said == ["idle", "due", "busy"]

    play(scene)


def test_waits_that_are_due_at_the_same_moment_share_one_place() -> None:
    async def scene() -> None:
        told = Told()
        waits = Waits(told)
        waits.fork(3)
        moment = soon()
        all_three = [waits.until(Wait(moment)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert all(waiting.done() for waiting in all_three)
        assert told.said == ["idle", "due", "busy"]

    play(scene)


def test_a_wait_that_was_cancelled_takes_no_place() -> None:
    async def scene() -> None:
        told = Told(full=True)
        waits = Waits(told)
        waiting = waits.until(Wait(soon()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await turn()
        assert not told.admit()

    play(scene)


# --- groups -----------------------------------------------------------------------------------


async def run_group(
    waits: Waits, *coroutines: Coroutine[Any, Any, Any], needs_all: bool
) -> tuple[int, list[asyncio.Task[Any]]]:
    journal = Journal()
    enter(journal)
    try:
        return await Group(journal, waits, "group#1", needs_all=needs_all).run(coroutines)
    finally:
        leave()


async def give(value: Any, waits: Waits | None = None, seconds: float = 0) -> Any:
    if waits is not None:
        await waits.until(Wait(soon() + seconds))
    return value


async def fail(waits: Waits | None = None) -> None:
    await give(None, waits)
    raise ValueError("no")


async def come_to_the_end() -> None:
    raise JournalEnd


def test_a_group_that_needs_all_ends_with_the_last() -> None:
    async def scene() -> None:
        told = Told()
        waits = Waits(told)
        decisive, tasks = await run_group(
            waits, give(1, waits, 0.02), give(2), give(3, waits), needs_all=True
        )
        assert [task.result() for task in tasks] == [1, 2, 3]
        assert decisive == 0
        assert told.said[-1] == "busy"
        assert not waits.idle

    play(scene)


def test_a_group_that_needs_all_ends_with_the_first_failure() -> None:
    async def scene() -> None:
        waits = Waits(Told())
        decisive, tasks = await run_group(waits, give(1, waits, 60), fail(waits), needs_all=True)
        assert decisive == 1
        assert tasks[0].cancelled()
        with pytest.raises(ValueError, match="no"):
            result_of(tasks, decisive)

    play(scene)


def test_a_group_that_needs_one_ends_with_the_first() -> None:
    async def scene() -> None:
        waits = Waits(Told())
        decisive, tasks = await run_group(waits, give(1, waits, 60), give(2, waits), needs_all=False)
        assert (decisive, result_of(tasks, decisive)) == (1, 2)
        assert tasks[0].cancelled()
        assert waits.due_at is None
        await waits.until(Wait(soon()))  # it counts its branches right: this wait is the only one

    play(scene)


def test_after_every_group_the_number_of_branches_at_work_is_what_it_was() -> None:
    async def scene() -> None:
        for needs_all in (True, False):
            for number in range(1, 4):
                told = Told()
                waits = Waits(told)
                others = [give(n, waits, 0.001 * n) for n in range(number)]
                await run_group(waits, *others, fail(waits), give(0), needs_all=needs_all)
                await turn()
                told.said.clear()
                await waits.until(Wait(soon()))
                assert told.said == ["idle", "due", "busy"]

    play(scene)


def test_a_group_that_is_cancelled_ends_all_its_branches() -> None:
    async def scene() -> None:
        told = Told()
        waits = Waits(told)
        running = asyncio.create_task(
            run_group(waits, give(1, waits, 60), give(2, waits, 60), needs_all=True)
        )
        await turn()
        assert told.said == ["idle"]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert waits.due_at is None
        assert told.said == ["idle", "busy"]

    play(scene)


def test_a_branch_at_the_end_of_its_journal_brings_the_group_there() -> None:
    async def scene() -> None:
        decisive, tasks = await run_group(Waits(Told()), come_to_the_end(), give(1), needs_all=True)
        with pytest.raises(JournalEnd):
            result_of(tasks, decisive)

    play(scene)


def test_each_branch_has_a_path_of_its_own() -> None:
    async def where() -> str:
        return current("step").cursor.meet("step", "")[0]

    async def scene() -> None:
        _, tasks = await run_group(Waits(Told()), where(), where(), needs_all=True)
        assert [task.result() for task in tasks] == ["group#1.0/step#1", "group#1.1/step#1"]

    play(scene)


def test_an_asyncio_task_of_the_codes_own_belongs_to_no_branch() -> None:
    async def ask() -> None:
        current("step")

    async def scene() -> None:
        speaker = SimpleNamespace(foreign=())
        enter(Journal(), speaker)  # type: ignore[arg-type]
        current("step")
        task = asyncio.create_task(ask())
        assert speaker.foreign == (task,)
        with pytest.raises(Misuse, match=r"ctx\.step was called in an asyncio task .* ctx\.gather"):
            await task
        await turn()
        assert speaker.foreign == ()
        leave()
        with pytest.raises(Misuse):
            current("step")

    play(scene)


def test_outside_of_every_task_there_is_no_branch() -> None:
    with pytest.raises(Misuse):
        asyncio.run(_ask_outside())


async def _ask_outside() -> None:
    current("sleep")
