"""One attempt: which settle follows what the task did. No store is needed."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from floor import FENCE, KEY, NEVER, QuietFloor, lease, settle_of

from bide import Context, Reject, Retry, RetryAfter, task
from bide.context import StopReason
from bide.definition import Definition
from bide.errors import TaskControl, TaskTimeout
from bide.exchange import Message, Settlement
from bide.ids import TaskId
from bide.registry import Registry
from bide.worker.attempt import Attempt
from bide.worker.runner import MAX_RESULT_BYTES, Runner

RETRY = Retry(max_attempts=3, delay="2s", jitter=False)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    executor = ThreadPoolExecutor(4)
    yield executor
    executor.shutdown()


Run = Callable[..., Message | None]


@pytest.fixture
def run(threads: ThreadPoolExecutor) -> Run:
    """Runs one attempt of a function: `attempt`, `args`, `stop` (before its start), `expires_at`."""

    def run(
        definition: Definition,
        args: str = "{}",
        *,
        attempt: int = 1,
        stop: StopReason | None = None,
        expires_at: float = NEVER,
        name: str | None = None,
    ) -> Message | None:
        attempt_ = Attempt(lease(name or definition.name, args, attempt, expires_at), QuietFloor(threads))
        if stop:
            attempt_.stop(stop)
        return asyncio.run(settle_of(attempt_, runner(definition)))

    return run


def runner(definition: Definition) -> Runner:
    return Runner(Registry({definition.name: definition}), lambda: 0.0)


def settled(settle: Message | None) -> tuple[str, Any]:
    """The state that a settle brings and its outcome, decoded."""
    assert settle is not None
    assert (settle.key, settle.fence) == (KEY, FENCE)
    return str(settle.verb), json.loads(settle.body) if settle.body else None


def failing(error: BaseException, **options: Any) -> list[Definition]:
    """An async task and a plain one that raise `error`."""

    @task(name="fails", **options)
    async def on_the_loop() -> None:
        raise error

    @task(name="fails", **options)
    def in_a_thread() -> None:
        raise error

    return [on_the_loop, in_a_thread]


# --- results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, "ü", [1, {"a": None}], 1.5, "\0", 2**63])
def test_what_a_task_returns_is_its_result(run: Run, value: Any) -> None:
    @task
    async def on_the_loop() -> Any:
        return value

    @task
    def in_a_thread() -> Any:
        return value

    for definition in (on_the_loop, in_a_thread):
        assert settled(run(definition)) == ("succeeded", value)


def test_a_plain_function_runs_in_another_thread(run: Run) -> None:
    @task
    def where() -> int:
        return threading.get_ident()

    assert settled(run(where))[1] != threading.get_ident()


def test_arguments_reach_the_task_by_name_and_as_their_types(run: Run) -> None:
    @task
    async def later(ctx: Context, when: datetime, *, days: int = 2) -> list[Any]:
        return [ctx.attempt, ctx.task_id, when.year, days]

    settle = run(later, '{"when": "2026-11-23T21:00:00Z"}', attempt=2)
    assert settled(settle) == ("succeeded", [2, str(TaskId("default", KEY)), 2026, 2])


@pytest.mark.parametrize("value", [object(), {1, print}, "\ud800", {"a": "\udfff"}, {(1, 2): 3}])
def test_a_result_that_json_cannot_hold_fails_the_task_for_good(run: Run, value: Any) -> None:
    @task(retry=RETRY)
    async def odd() -> Any:
        return value

    state, failure = settled(run(odd))
    assert (state, failure["code"]) == ("failed", "RESULT_NOT_JSON")
    assert type(value).__name__ in failure["message"]


def test_a_result_nested_without_end_fails_the_task_for_good(run: Run) -> None:
    @task
    async def endless() -> Any:
        value: list[Any] = []
        value.append(value)
        return value

    state, failure = settled(run(endless))
    assert (state, failure["code"]) == ("failed", "RESULT_NOT_JSON")


def test_a_result_may_be_as_large_as_the_limit(run: Run) -> None:
    @task
    async def large(count: int) -> str:
        return "x" * (count - 2)

    state, result = settled(run(large, f'{{"count": {MAX_RESULT_BYTES}}}'))
    assert (state, len(result)) == ("succeeded", MAX_RESULT_BYTES - 2)
    state, failure = settled(run(large, f'{{"count": {MAX_RESULT_BYTES + 1}}}'))
    assert (state, failure["code"]) == ("failed", "RESULT_TOO_LARGE")
    assert "262,145 bytes" in failure["message"]


# --- failures ---------------------------------------------------------------------------------


def test_a_failure_is_retried_after_the_policys_delay(run: Run) -> None:
    for definition in failing(ValueError("no such page"), retry=RETRY):
        for attempt, delay_ms in ((1, 2000), (2, 4000)):
            settle = run(definition, attempt=attempt)
            state, failure = settled(settle)
            assert (state, settle and settle.number) == ("retrying", delay_ms)
            assert (failure["code"], failure["message"]) == ("TASK_FAILED", "ValueError: no such page")
            assert "raise error" in failure["traceback"]


def test_the_last_attempts_failure_is_the_tasks(run: Run) -> None:
    for definition in failing(ValueError("no"), retry=RETRY):
        assert settled(run(definition, attempt=3))[0] == "failed"


def test_an_error_to_give_up_on_ends_the_first_attempt_for_good(run: Run) -> None:
    for definition in failing(ValueError("no"), retry=Retry(give_up_on=(ValueError,))):
        assert settled(run(definition))[0] == "failed"


def test_a_reject_is_final_at_the_first_attempt_and_without_a_traceback(run: Run) -> None:
    for definition in failing(Reject("no such region"), retry=RETRY):
        assert settled(run(definition)) == ("failed", {"code": "REJECTED", "message": "no such region"})


def test_retry_after_sets_the_delay_itself(run: Run) -> None:
    for definition in failing(RetryAfter(0.25, "rate limited"), retry=Retry(retry_on=(OSError,))):
        settle = run(definition)
        assert settled(settle) == ("retrying", {"code": "RETRY_AFTER", "message": "rate limited"})
        assert settle is not None
        assert settle.number == 250


def test_retry_after_does_not_outlive_the_last_attempt(run: Run) -> None:
    for definition in failing(RetryAfter(1), retry=RETRY):
        state, failure = settled(run(definition, attempt=3))
        assert (state, failure["code"]) == ("failed", "RETRY_AFTER")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]
)
def test_what_would_end_a_process_ends_the_attempt_alone(run: Run, error: BaseException) -> None:
    for definition in failing(error, retry=RETRY):
        state, failure = settled(run(definition))
        assert state == "retrying"
        assert type(error).__name__ in failure["message"]


def test_a_stop_iteration_fails_the_attempt_like_any_other_error(run: Run) -> None:
    for definition in failing(StopIteration(), retry=RETRY, timeout=20):
        state, failure = settled(run(definition))
        assert (state, failure["code"]) == ("retrying", "TASK_FAILED")
        assert "StopIteration" in failure["message"]


@pytest.mark.parametrize("kind", [Reject, ValueError, SystemExit])
def test_a_message_that_json_cannot_hold_is_shown_as_far_as_it_can(
    run: Run, kind: type[BaseException]
) -> None:
    for definition in failing(kind("caf\ud800é")):
        assert "caf?é" in settled(run(definition))[1]["message"]


@pytest.mark.parametrize("kind", [Reject, ValueError])
def test_a_message_without_end_is_cut(run: Run, kind: type[BaseException]) -> None:
    for definition in failing(kind("x" * 1_000_000)):
        settle = run(definition)
        assert settle is not None
        assert len(settle.body) < 20_000
        assert len(settled(settle)[1]["message"]) < 2_100


def test_a_reject_may_be_given_anything(run: Run) -> None:
    for definition in failing(Reject(ValueError("no such region"))):  # type: ignore[arg-type]
        assert settled(run(definition)) == ("failed", {"code": "REJECTED", "message": "no such region"})


def test_an_error_that_cannot_be_shown_still_fails_the_attempt(run: Run) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    for definition in failing(Mute()):
        state, failure = settled(run(definition))
        assert (state, failure["code"]) == ("retrying", "TASK_FAILED")
        assert "Mute" in failure["message"]


def test_endless_recursion_fails_the_attempt(run: Run) -> None:
    @task
    def deep() -> None:
        deep()

    limit = sys.getrecursionlimit()
    state, failure = settled(run(deep))
    assert state == "retrying"
    assert failure["message"].startswith("RecursionError")
    assert sys.getrecursionlimit() == limit


# --- timeouts ---------------------------------------------------------------------------------


def test_an_async_task_beyond_its_timeout_is_interrupted_and_retried(run: Run) -> None:
    unwound = []

    @task(timeout="20ms", retry=RETRY)
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            unwound.append(True)

    settle = run(hangs)
    assert settled(settle) == (
        "retrying",
        {"code": "TIMEOUT", "message": "The attempt ran longer than its timeout of 0.02 s."},
    )
    assert unwound


def test_a_plain_function_beyond_its_timeout_is_settled_at_once_and_told_at_its_next_check(run: Run) -> None:
    told: list[type[BaseException]] = []
    settled_already, ended = threading.Event(), threading.Event()

    @task(timeout="20ms", retry=Retry(max_attempts=1))
    def hangs(ctx: Context) -> None:
        settled_already.wait(20)
        try:
            ctx.check()
        except TaskControl as error:
            told.append(type(error))
            raise
        finally:
            ended.set()

    state, failure = settled(run(hangs))
    assert (state, failure["code"]) == ("failed", "TIMEOUT")
    settled_already.set()
    assert ended.wait(20)
    assert told == [TaskTimeout]


@pytest.mark.parametrize("reason", [StopReason.CANCEL, StopReason.SHUTDOWN])
def test_a_rejection_counts_even_while_the_attempt_is_asked_to_end(
    threads: ThreadPoolExecutor, reason: StopReason
) -> None:
    @task(retry=RETRY)
    def rejects(ctx: Context) -> None:
        attempt.stop(reason)
        raise Reject("no")

    attempt = Attempt(lease("rejects"), QuietFloor(threads))
    settle = asyncio.run(settle_of(attempt, runner(rejects)))
    assert settled(settle) == ("failed", {"code": "REJECTED", "message": "no"})


def test_a_timeout_within_a_task_is_an_error_of_its_own(run: Run) -> None:
    for definition in failing(TimeoutError("the page hangs")):
        failure = settled(run(definition))[1]
        assert (failure["code"], failure["message"]) == ("TASK_FAILED", "TimeoutError: the page hangs")


# --- stops ------------------------------------------------------------------------------------

STOPS = [
    (StopReason.CANCEL, Settlement.CANCELLED),
    (StopReason.SHUTDOWN, Settlement.HANDED_BACK),
    (StopReason.LOST, None),
]


@pytest.mark.parametrize(("reason", "settlement"), STOPS)
def test_an_attempt_stopped_before_it_began_never_begins(
    run: Run, reason: StopReason, settlement: Settlement | None
) -> None:
    begun = []

    @task(name="one")
    async def on_the_loop() -> None:
        begun.append(1)

    @task(name="one")
    def in_a_thread() -> None:
        begun.append(1)

    for definition in (on_the_loop, in_a_thread):
        settle = run(definition, stop=reason)
        assert (settle and settle.verb) == settlement
    assert begun == []


@pytest.mark.parametrize(("reason", "settlement"), STOPS)
def test_a_running_async_task_is_stopped_at_its_await(
    threads: ThreadPoolExecutor, reason: StopReason, settlement: Settlement | None
) -> None:
    async def scenario() -> Message | None:
        started = asyncio.Event()

        @task
        async def waits() -> None:
            started.set()
            await asyncio.Event().wait()

        attempt = Attempt(lease("waits"), QuietFloor(threads))
        work = asyncio.create_task(settle_of(attempt, runner(waits)))
        await started.wait()
        attempt.stop(reason)
        return await work

    settle = asyncio.run(scenario())
    assert (settle and settle.verb) == settlement


@pytest.mark.parametrize(("reason", "settlement"), STOPS)
def test_a_running_plain_function_is_stopped_at_its_check(
    threads: ThreadPoolExecutor, reason: StopReason, settlement: Settlement | None
) -> None:
    async def scenario() -> Message | None:
        loop = asyncio.get_running_loop()
        started, stopped = asyncio.Event(), threading.Event()

        @task
        def waits(ctx: Context) -> None:
            loop.call_soon_threadsafe(started.set)
            assert stopped.wait(20)
            ctx.check()

        attempt = Attempt(lease("waits"), QuietFloor(threads))
        work = asyncio.create_task(settle_of(attempt, runner(waits)))
        await started.wait()
        attempt.stop(reason)
        stopped.set()
        return await work

    settle = asyncio.run(scenario())
    assert (settle and settle.verb) == settlement


def test_the_first_reason_to_stop_counts(threads: ThreadPoolExecutor) -> None:
    attempt = Attempt(lease("any"), QuietFloor(threads))
    attempt.stop(StopReason.CANCEL)
    attempt.stop(StopReason.SHUTDOWN)
    assert attempt.context.stopping is StopReason.CANCEL


def test_a_task_that_finishes_in_spite_of_a_cancel_has_succeeded(threads: ThreadPoolExecutor) -> None:
    async def scenario() -> Message | None:
        started = asyncio.Event()

        @task
        async def stubborn() -> str:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "done all the same"
            raise AssertionError

        attempt = Attempt(lease("stubborn"), QuietFloor(threads))
        work = asyncio.create_task(settle_of(attempt, runner(stubborn)))
        await started.wait()
        attempt.stop(StopReason.CANCEL)
        return await work

    assert settled(asyncio.run(scenario())) == ("succeeded", "done all the same")


# --- leases that cannot be worked on ----------------------------------------------------------


def test_a_lease_that_ran_out_before_the_start_is_handed_back_unbegun(run: Run) -> None:
    @task
    async def late() -> None:
        raise AssertionError("it must not run")

    assert settled(run(late, expires_at=0.0)) == ("ready", None)


@pytest.mark.parametrize("reason", [StopReason.CANCEL, StopReason.SHUTDOWN, StopReason.LOST])
def test_what_has_come_to_its_end_is_not_stopped_while_it_runs_what_it_left_for_then(
    threads: ThreadPoolExecutor, reason: StopReason
) -> None:
    """Its outcome is known: lost with the rest, the task would have to run again."""
    exited: list[str] = []

    @task
    async def tidy(ctx: Context) -> str:
        ctx.on_exit(leave)
        return "done"

    async def leave() -> None:
        attempt.stop(reason)
        await asyncio.sleep(0)
        exited.append("left")

    attempt = Attempt(lease("tidy"), QuietFloor(threads))
    settled = asyncio.run(settle_of(attempt, runner(tidy)))
    assert settled is not None
    assert (settled.verb, settled.body, exited) == (Settlement.SUCCEEDED, b'"done"', ["left"])
