"""One attempt, from a lease to its settle, without a store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from bide import Reject, Retry, RetryAfter, registry, task
from bide.errors import BideError, TaskControl
from bide.exchange import Lease, Settle, Settlement
from bide.ids import TaskId
from bide.records import Spec
from bide.registry import Definition
from bide.runner import Attempt, Runner

NOW = 1000.0
ONCE = Retry(max_attempts=1)


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


Run = Callable[..., Settle | None]


@pytest.fixture
def run(executor: ThreadPoolExecutor) -> Run:
    """Runs one attempt of a definition; at most 5 s, as an attempt that never settles is a bug too."""

    def attempt(
        definition: Definition, args: str = "{}", *, number: int = 1, expires_at: float = NOW + 10
    ) -> Settle | None:
        known = registry.Registry({definition.name: definition})
        lease = Lease(
            TaskId("default", b"\x01" * 16), 7, number, Spec(definition.name, args, "", 0, ""), False, expires_at
        )
        runner = Runner(known, executor, lambda: NOW, lambda: 0.0)
        return asyncio.run(asyncio.wait_for(runner.run(Attempt(lease)), 5))

    return attempt


def failure(settle: Settle | None) -> dict[str, str]:
    assert settle is not None
    assert settle.settlement is Settlement.FAILED
    error: dict[str, str] = json.loads(settle.outcome)
    return error


def test_a_lease_that_has_run_out_before_the_start_is_handed_back_unstarted(run: Run) -> None:
    """As after a thaw, or when the store was away for longer than a lease lasts."""
    started: list[int] = []

    @task
    async def start() -> None:
        started.append(1)

    settle = run(start, expires_at=NOW)
    assert settle is not None
    assert settle.settlement is Settlement.HANDED_BACK
    assert settle.fence == 7
    assert started == []


def test_a_lease_that_lasts_is_worked_on(run: Run) -> None:
    @task
    async def start() -> str:
        return "started"

    settle = run(start, expires_at=NOW + 0.001)
    assert settle == Settle(b"\x01" * 16, 7, Settlement.SUCCEEDED, 0, b'"started"')


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise KeyError("no words")


class Nameless(TaskControl):
    """A control error whose author forgot to call the base class."""

    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StopIteration("empty"), "TASK_FAILED"),
        (Unspeakable(), "TASK_FAILED"),
        (ValueError("\udc80 \ud800"), "TASK_FAILED"),
        (Reject("\udc80"), "REJECTED"),
        (Reject({"not": "text"}), "REJECTED"),  # type: ignore[arg-type]
        (RetryAfter(1, "\ud800"), "RETRY_AFTER"),
        (Nameless(), "TASK_CONTROL"),
        (SystemExit("\udc80"), "ERROR"),
        (KeyboardInterrupt(), "ERROR"),
        (asyncio.CancelledError(), "ERROR"),
        (GeneratorExit(), "ERROR"),
        (ExceptionGroup("many", [ValueError("\udc80"), Unspeakable()]), "TASK_FAILED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
@pytest.mark.parametrize("kind", ["async", "plain"])
def test_whatever_a_task_raises_it_settles(run: Run, error: BaseException, code: str, kind: str) -> None:
    @task(retry=ONCE)
    async def later() -> None:
        raise error

    @task(retry=ONCE)
    def plain() -> None:
        raise error

    reported = failure(run(later if kind == "async" else plain))
    assert reported["code"] == code
    assert type(error).__name__ in reported["message"] or isinstance(error, BideError)


def test_a_traceback_shows_the_line_of_the_task(run: Run) -> None:
    @task(retry=ONCE)
    def divide() -> float:
        return 1 / 0

    reported = failure(run(divide))
    assert reported["message"] == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in reported["traceback"]


def test_messages_and_tracebacks_are_cut_to_size(run: Run) -> None:
    @task(retry=ONCE)
    def shout() -> None:
        raise ValueError("x" * 1_000_000)

    reported = failure(run(shout))
    assert len(reported["message"]) < 2_100
    assert len(reported["traceback"]) <= 8_000


class Peculiar:
    """Converts to JSON in ways of its own, or not at all."""

    __slots__ = ()


class Unfinished(Struct):
    value: int


def unset() -> Unfinished:
    """A Struct whose field has no value any more."""
    unfinished = Unfinished(1)
    del unfinished.value
    return unfinished


def deep() -> Any:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    "result",
    [Peculiar, unset, deep, lambda: "\ud800", lambda: {("a", 1): 2}, lambda: {1, object()}],
    ids=["object", "unset field", "too deep", "lone surrogate", "tuple as key", "set"],
)
def test_a_result_that_json_cannot_hold_fails_the_task_for_good(run: Run, result: Callable[[], Any]) -> None:
    @task
    def give() -> Any:
        return result()

    reported = failure(run(give))
    assert reported["code"] == "RESULT_NOT_JSON"
    assert reported["message"].startswith("The task returned a ")


def test_a_result_that_is_too_large_fails_the_task_for_good(run: Run) -> None:
    @task
    def give() -> str:
        return "x" * 300_000

    assert failure(run(give))["code"] == "RESULT_TOO_LARGE"


class Picky(Struct):
    value: int

    def __post_init__(self) -> None:
        {}["missing"]


def test_an_argument_type_that_raises_fails_the_task(run: Run) -> None:
    @task(retry=ONCE)
    def take(picky: Picky) -> None: ...

    assert failure(run(take, '{"picky": {"value": 1}}'))["message"] == "KeyError: 'missing'"


def test_arguments_that_no_longer_fit_are_shown_beside_what_is_taken_now(run: Run) -> None:
    @task
    def fetch(url: str) -> None: ...

    reported = failure(run(fetch, '{"address": "x"}'))
    assert reported["code"] == "ARGUMENTS_OUTDATED"
    assert '{"address": "x"}' in reported["message"]
    assert "fetch(url: " in reported["message"]


@pytest.mark.parametrize(("number", "expected"), [(1, "retrying"), (2, "retrying"), (3, "failed")])
def test_a_failure_is_tried_again_until_the_last_attempt(run: Run, number: int, expected: str) -> None:
    @task(retry=Retry(max_attempts=3, backoff="linear", delay=2, jitter=False))
    def fail() -> None:
        raise OSError("again")

    settle = run(fail, number=number)
    assert settle is not None
    assert (settle.settlement, settle.delay_ms) == (expected, 2000 * number if expected == "retrying" else 0)
    assert msgspec.json.decode(settle.outcome)["message"] == "OSError: again"


@pytest.mark.parametrize(("number", "expected"), [(1, "retrying"), (2, "failed")])
def test_retry_after_chooses_the_delay_while_attempts_are_left(run: Run, number: int, expected: str) -> None:
    @task(retry=Retry(max_attempts=2, retry_on=()))
    async def fail() -> None:
        raise RetryAfter(1.5)

    settle = run(fail, number=number)
    assert settle is not None
    assert (settle.settlement, settle.delay_ms) == (expected, 1500 if number == 1 else 0)
