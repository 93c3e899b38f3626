"""A task whose code a worker lacks is left to others, for as long as an older worker may live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from floor import NOW_MS, QuietFloor, lease, settle_of

from bide import Context, task
from bide.definition import Definition
from bide.exchange import Message, Settlement, Usage
from bide.records import Failure
from bide.registry import Registry
from bide.transition_log import time_of
from bide.worker.attempt import Attempt
from bide.worker.journal import Journal
from bide.worker.runner import PATIENCE_S, Runner

ran: list[str] = []


@task(name="grown")
async def old_code(ctx: Context, width: int) -> None:
    await ctx.step(step_one)


@task(name="grown")
async def new_code(ctx: Context, width: int) -> None:
    await ctx.step(step_two)


@task(name="grown")
async def shorter_code(ctx: Context, width: int) -> None: ...


@task(name="grown")
def plain_code(ctx: Context, width: int) -> None:
    ran.append("plain")


@task(name="grown")
async def code_without_context(width: int) -> None:
    ran.append("without context")


def step_one() -> None:
    ran.append("one")


def step_two() -> None:
    ran.append("two")


@pytest.fixture
def floor() -> Iterator[QuietFloor]:
    ran.clear()
    with ThreadPoolExecutor(1) as threads:
        yield QuietFloor(threads)


@pytest.fixture
def journal(floor: QuietFloor) -> tuple[bytes, ...]:
    """Of a task that `old_code` has done all of, but not ended."""
    asyncio.run(settle_of(Attempt(lease("grown", '{"width": 1}'), floor), runner(old_code)))
    entries = tuple(bytes(message.body) for message in floor.sent if isinstance(message.body, bytes))
    assert len(entries) == len(Journal(entries)) == 1
    floor.sent.clear()
    ran.clear()
    return entries


def runner(definition: Definition, **options: Any) -> Runner:
    return Runner(Registry({definition.name: definition}), lambda: 0.0, **options)


Run = Callable[..., Message]


@pytest.fixture
def run(floor: QuietFloor, journal: tuple[bytes, ...]) -> Run:
    """What becomes of a task with that journal where there is other code: `args`, `name`, `refused_ms`."""

    def run(
        definition: Definition, args: str = '{"width": 1}', *, name: str = "grown", by: Runner | None = None,
        **more: Any,
    ) -> Message:  # fmt: skip
        attempt = Attempt(lease(name, args, journal=journal, **more), floor)
        settle = asyncio.run(settle_of(attempt, by or runner(definition)))
        assert settle is not None
        return settle

    return run


def failure_of(settle: Message) -> Failure:
    return msgspec.json.decode(settle.body, type=Failure)


UNFIT: dict[str, tuple[Definition, dict[str, str], str, str]] = {
    "an unknown name": (old_code, {"name": "other"}, "UNKNOWN_TASK", "'other'"),
    "other arguments": (old_code, {"args": '{"length": 2}'}, "ARGUMENTS_OUTDATED", '{"length": 2}'),
    "another step": (new_code, {}, "CODE_CHANGED", "the code came to step_two#1"),
    "a step that is gone": (shorter_code, {}, "CODE_CHANGED", "the code came to the end"),
    "a plain function": (plain_code, {}, "CODE_CHANGED", "has become grown(width: int)"),
    "code without a context": (code_without_context, {}, "CODE_CHANGED", "has become grown(width: int)"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_task_that_does_not_fit_the_code_here_is_left_to_others(
    floor: QuietFloor, run: Run, what: str
) -> None:
    code, given, error_code, words = UNFIT[what]
    settle = run(code, **given)
    failure = failure_of(settle)
    assert (settle.verb, failure.code) == (Settlement.REFUSED, error_code)
    assert words in failure.message
    until = time_of(NOW_MS / 1000 + PATIENCE_S)
    left = f" Until {until} the task is left to workers with other code; then it fails."
    assert failure.message.endswith(left)
    assert (ran, floor.sent) == ([], [])


@pytest.mark.parametrize("what", UNFIT)
def test_and_fails_once_no_worker_can_be_left_that_it_fits(run: Run, what: str) -> None:
    code, given, error_code, words = UNFIT[what]
    settle = run(code, **given, refused_ms=round(PATIENCE_S * 1000))
    failure = failure_of(settle)
    assert (settle.verb, failure.code) == (Settlement.FAILED, error_code)
    assert words in failure.message
    assert "workers with other code" not in failure.message


def test_a_version_that_is_not_here_is_left_to_others(floor: QuietFloor) -> None:
    @task(name="grown", version=2)
    async def second(ctx: Context) -> None: ...

    journal = Journal()
    journal.begin(1)
    begun = tuple(packed for _, packed, _ in journal.unsaved())
    attempt = Attempt(lease("grown", journal=begun), floor)
    settle = asyncio.run(settle_of(attempt, runner(second)))
    assert settle is not None
    assert (settle.verb, failure_of(settle).code) == (Settlement.REFUSED, "UNKNOWN_TASK")


def test_a_journal_that_says_no_more_than_the_version_fits_a_plain_function(floor: QuietFloor) -> None:
    @task(name="grown", version=1)
    def plain() -> None:
        ran.append("plain")

    journal = Journal()
    journal.begin(1)
    begun = tuple(packed for _, packed, _ in journal.unsaved())
    settle = asyncio.run(settle_of(Attempt(lease("grown", journal=begun), floor), runner(plain)))
    assert settle is not None
    assert (settle.verb, ran) == (Settlement.SUCCEEDED, ["plain"])


def test_each_refusal_puts_off_as_long_as_all_before_it_but_for_a_minute_at_most(run: Run) -> None:
    """A worker with the right code finds it soon, and one without does not spin."""
    delays: list[int] = []
    while (settle := run(new_code, refused_ms=sum(delays))).verb is Settlement.REFUSED:
        delays.append(settle.number)
    assert delays[:8] == [1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000]
    assert set(delays[8:-1]) == {60_000}
    assert sum(delays) == PATIENCE_S * 1000
    assert len(delays) < 25


def test_what_a_refusal_has_cost_is_told(run: Run) -> None:
    settle = run(new_code)
    assert isinstance(settle.extra, bytes)
    assert Usage(*msgspec.msgpack.decode(settle.extra)).replays == 1


def test_a_worker_logs_once_which_code_it_lacks(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    by = runner(new_code)
    with caplog.at_level(logging.WARNING):
        for refused_ms in (0, 0, 5_000):
            run(new_code, by=by, refused_ms=refused_ms)
        run(new_code, name="other", by=by)
        run(old_code, '{"secret": 1}', by=runner(old_code))
    assert [message.partition("the code of ")[2].partition(";")[0] for message in caplog.messages] == [
        "grown (CODE_CHANGED)", "other (UNKNOWN_TASK)", "grown (ARGUMENTS_OUTDATED)",
    ]  # fmt: skip
    assert "secret" not in caplog.text


def test_without_patience_it_fails_at_once(run: Run) -> None:
    assert run(new_code, by=runner(new_code, patience_s=0)).verb is Settlement.FAILED
