"""Attempts whose own types raise where nobody expects it: each settles all the same.

An attempt that does not settle is renewed by the heartbeat for as long as its worker lives.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from floor import QuietFloor, lease, settle_of
from msgspec import Struct

from bide import Retry, task
from bide.definition import Definition
from bide.errors import TaskControl
from bide.exchange import Settlement
from bide.registry import Registry
from bide.worker.attempt import Attempt
from bide.worker.runner import Runner

Fail = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def fail(executor: ThreadPoolExecutor) -> Fail:
    """Runs one attempt, which must fail within 5 s; returns its Failure."""

    def run(definition: Definition, args: str = "{}") -> dict[str, str]:
        runner = Runner(Registry({definition.name: definition}))
        attempt = Attempt(lease(definition.name, args), QuietFloor(executor))
        settle = asyncio.run(asyncio.wait_for(settle_of(attempt, runner), 5))
        assert settle is not None
        assert settle.verb is Settlement.FAILED
        failure: dict[str, str] = json.loads(settle.body)
        return failure

    return run


class Parcel(Struct):
    weight: int


def unset() -> Parcel:
    """A Struct whose field has no value any more."""
    parcel = Parcel(1)
    del parcel.weight
    return parcel


class Nowhere(dt.tzinfo):
    """A time zone without a map."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        raise KeyError("map")


@pytest.mark.parametrize("result", [unset, lambda: dt.datetime(2026, 1, 1, tzinfo=Nowhere())])
def test_a_result_whose_conversion_raises_fails_the_task_for_good(
    fail: Fail, result: Callable[[], Any]
) -> None:
    @task(retry=Retry(max_attempts=9))
    def give() -> Any:
        return result()

    assert fail(give)["code"] == "RESULT_NOT_JSON"


class Picky(Struct):
    value: int

    def __post_init__(self) -> None:
        raise KeyError("taste")


def test_an_argument_type_that_raises_fails_the_attempt(fail: Fail) -> None:
    @task(retry=Retry(max_attempts=1))
    def take(picky: Picky) -> None: ...

    failure = fail(take, '{"picky": {"value": 1}}')
    assert (failure["code"], failure["message"]) == ("TASK_FAILED", "KeyError: 'taste'")


class Nameless(TaskControl):
    """The author forgot to call the base class."""

    def __init__(self) -> None:
        pass


def test_a_control_error_that_was_built_by_halves_fails_the_attempt(fail: Fail) -> None:
    @task(retry=Retry(max_attempts=1))
    def raise_it() -> None:
        raise Nameless

    assert fail(raise_it)["code"] == "TASK_CONTROL"
