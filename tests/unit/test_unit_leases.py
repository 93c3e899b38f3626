"""Nothing begins under a lease that may have run out, until the store has said who has the task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from floor import KEY, QuietFloor, lease, settle_of

from bide import Context, Pending, poller, task
from bide.exchange import Message, Settlement, Verb
from bide.ids import TaskId
from bide.poller import Poller, Watcher, read_watcher, token
from bide.registry import Registry
from bide.worker.attempt import Attempt
from bide.worker.polling import Rounds
from bide.worker.runner import Runner

LEASE_S = 20.0
Say = Callable[[Attempt], object]
began: list[str] = []
"""What a task has begun after its lease ran out."""


@pytest.fixture(autouse=True)
def _nothing_has_begun() -> None:
    began.clear()


@pytest.fixture
def floor() -> Iterator[QuietFloor]:
    """Two threads, so that an effect in one need not wait for the other."""
    with ThreadPoolExecutor(2) as threads:
        yield QuietFloor(threads)


def renew(attempt: Attempt) -> None:
    attempt.held_until += 2 * LEASE_S


async def act() -> str:
    began.append("async")
    return "done"


def act_in_thread() -> str:
    began.append("plain")
    return "done"


@poller
def asked_together(keys: list[str]) -> dict[str, object]:
    began.append("round")
    return dict.fromkeys(keys, Pending)


@poller
async def asked_together_async(keys: list[str]) -> dict[str, object]:
    return asked_together.function(keys)  # type: ignore[no-any-return]


async def branch(ctx: Context) -> None:
    await ctx.step(act)


OPERATIONS: dict[str, Callable[[Context], Coroutine[Any, Any, Any]]] = {
    "step": lambda ctx: ctx.step(act),
    "plain step": lambda ctx: ctx.step(act_in_thread),
    "poll": lambda ctx: ctx.poll(act),
    "plain poll": lambda ctx: ctx.poll(act_in_thread, retry_on=(Exception,)),
    "gather": lambda ctx: ctx.gather(ctx.step(act), ctx.step(act_in_thread), branch(ctx)),
    "first": lambda ctx: ctx.first(ctx.step(act), ctx.event("never")),
}


def run(floor: QuietFloor, operation: Callable[[Context], Coroutine[Any, Any, Any]]) -> Message | None:
    """The settle of a task that comes to an operation when its lease has just run out."""

    @task
    async def thawed(ctx: Context) -> None:
        floor.clock_s += LEASE_S
        await operation(ctx)

    runner = Runner(Registry({"thawed": thawed}))
    return asyncio.run(settle_of(Attempt(lease("thawed", expires_at=LEASE_S), floor), runner))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_task_that_another_worker_has_begins_nothing(floor: QuietFloor, name: str) -> None:
    assert run(floor, OPERATIONS[name]) is None
    assert began == []
    assert {message.verb for message in floor.sent} <= {Verb.JOURNAL}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_task_that_nobody_else_has_goes_on_when_its_lease_is_renewed(floor: QuietFloor, name: str) -> None:
    floor.answer = renew
    settle = run(floor, OPERATIONS[name])
    assert settle is not None
    assert settle.verb is Settlement.SUCCEEDED
    assert began
    assert floor.asked >= 1


def test_a_lease_that_has_run_out_by_the_time_it_is_renewed_is_asked_for_again(floor: QuietFloor) -> None:
    answers: Iterator[Say] = iter([lambda attempt: None, renew])
    floor.answer = lambda attempt: next(answers)(attempt)
    settle = run(floor, OPERATIONS["step"])
    assert settle is not None
    assert (settle.verb, floor.asked, began) == (Settlement.SUCCEEDED, 2, ["async"])


def test_nobody_is_asked_while_a_lease_lasts(floor: QuietFloor) -> None:
    async def operate(ctx: Context) -> None:
        floor.clock_s = LEASE_S - 0.001
        for operation in OPERATIONS.values():
            await operation(ctx)

    settle = run(floor, operate)
    assert settle is not None
    assert (settle.verb, floor.asked) == (Settlement.SUCCEEDED, 0)


def test_a_step_that_waits_for_a_thread_looks_when_it_has_one(floor: QuietFloor) -> None:
    """The whole process may have been frozen in the step before it."""

    def freeze() -> None:
        floor.clock_s += LEASE_S

    async def crowd(ctx: Context) -> None:
        floor.clock_s = 0.0
        floor.executor = lonely
        await ctx.gather(ctx.step(freeze), ctx.step(act_in_thread), ctx.step(act_in_thread))

    with ThreadPoolExecutor(1) as lonely:
        assert run(floor, crowd) is None
    assert began == []


def test_a_plain_function_that_waits_for_a_thread_until_its_lease_has_run_out_is_handed_back(
    floor: QuietFloor,
) -> None:
    plain = task(name="plain")(act_in_thread)
    free = threading.Event()

    async def scenario(lonely: ThreadPoolExecutor) -> Message | None:
        floor.executor = lonely
        lonely.submit(free.wait)
        attempt = Attempt(lease("plain", expires_at=LEASE_S), floor)
        ending = asyncio.ensure_future(settle_of(attempt, Runner(Registry({"plain": plain}))))
        while not attempt.threads:
            await asyncio.sleep(0)
        floor.clock_s = LEASE_S
        free.set()
        return await ending

    with ThreadPoolExecutor(1) as lonely:
        settle = asyncio.run(scenario(lonely))
    assert settle is not None
    assert (settle.verb, began) == (Settlement.HANDED_BACK, [])


@pytest.mark.parametrize("answer", [Attempt.lose, renew])
def test_what_a_task_has_left_for_its_end_is_for_whoever_has_it_then(floor: QuietFloor, answer: Say) -> None:
    def freeze() -> None:
        floor.clock_s += LEASE_S

    async def leave(ctx: Context) -> None:
        floor.clock_s = 0.0
        ctx.on_exit(act)
        ctx.on_exit(act_in_thread)
        ctx.on_exit(freeze)  # the latest comes first

    floor.answer = answer
    run(floor, leave)
    assert began == ([] if answer is Attempt.lose else ["plain", "async"])


class OneWatcher:
    """What a poller's round finds: one task waits, and the lease has just run out."""

    def __init__(self, floor: QuietFloor) -> None:
        self._floor = floor

    def send(self, slot: str, message: Message) -> None: ...

    async def tell(self, slot: str, messages: Sequence[Message]) -> None: ...

    async def watchers(self, poller: Poller) -> list[Watcher]:
        self._floor.clock_s += LEASE_S
        member = poller.member("key", str(TaskId("default", KEY)), token("poll#1", "", 1))
        return [read_watcher(member.encode() + b"\0" + b"0")]

    async def awaiting(self, slot: str, waits: Sequence[tuple[bytes, int]]) -> str:
        return "1" * len(waits)


@pytest.mark.parametrize("asking", [asked_together, asked_together_async], ids=lambda asking: asking.name)
@pytest.mark.parametrize("answer", [Attempt.lose, renew])
def test_a_poller_that_another_worker_has_asks_nobody(floor: QuietFloor, asking: Poller, answer: Say) -> None:
    floor.answer = answer
    registry = Registry({}, pollers={asking.name: asking})
    attempt = Attempt(lease(f"~{asking.name}", expires_at=LEASE_S), floor)
    runner = Runner(registry, rounds=Rounds(OneWatcher(floor)))

    async def scenario() -> Message | None:
        attempt.start(runner.run_poller(attempt))
        assert attempt.work is not None
        return await attempt.work

    settle = asyncio.run(scenario())
    assert began == ([] if answer is Attempt.lose else ["round"])
    assert (settle is None) == (answer is Attempt.lose)
