"""Retry policies and durations."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Reject, Retry
from bide.errors import TaskTimeout
from bide.retry import parse_seconds

Backoff = Literal["constant", "linear", "exponential"]

backoffs: st.SearchStrategy[Backoff] = st.sampled_from(["constant", "linear", "exponential"])
attempts = st.integers(1, 1000)
delays = st.floats(0, 1e6)
chances = st.floats(0, 1, exclude_max=True)


def policy(backoff: Backoff, delay: float, max_delay: float, *, jitter: bool) -> Retry:
    return Retry(max_attempts=1000, backoff=backoff, delay=delay, max_delay=max_delay, jitter=jitter)


@given(backoffs, delays, delays, attempts, chances, st.booleans())
def test_a_delay_never_exceeds_the_longest_one(
    backoff: Backoff, delay: float, max_delay: float, attempt: int, chance: float, jitter: bool
) -> None:
    retry = policy(backoff, delay, max_delay, jitter=jitter)
    assert 0 <= retry.delay_seconds(attempt, lambda: chance) <= max_delay


@given(backoffs, delays, delays, attempts, chances)
def test_jitter_spreads_a_delay_over_half_of_itself(
    backoff: Backoff, delay: float, max_delay: float, attempt: int, chance: float
) -> None:
    full = policy(backoff, delay, max_delay, jitter=False).delay_seconds(attempt, lambda: chance)
    spread = policy(backoff, delay, max_delay, jitter=True).delay_seconds(attempt, lambda: chance)
    assert full / 2 <= spread <= full


@given(backoffs, delays, delays, st.integers(1, 999))
def test_a_later_attempt_never_waits_less(
    backoff: Backoff, delay: float, max_delay: float, attempt: int
) -> None:
    retry = policy(backoff, delay, max_delay, jitter=False)
    assert retry.delay_seconds(attempt, lambda: 0.0) <= retry.delay_seconds(attempt + 1, lambda: 0.0)


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [("constant", [2, 2, 2, 2]), ("linear", [2, 4, 6, 8]), ("exponential", [2, 4, 8, 16])],
)
def test_delays_grow_as_the_backoff_says(backoff: Backoff, waits: list[float]) -> None:
    retry = policy(backoff, 2, 1000, jitter=False)
    assert [retry.delay_seconds(attempt, lambda: 0.0) for attempt in (1, 2, 3, 4)] == waits


def test_three_attempts_unless_told_otherwise() -> None:
    error = RuntimeError("again")
    assert [Retry().retries(error, attempt) for attempt in (1, 2, 3, 4)] == [True, True, False, False]


def test_a_rejected_task_is_never_tried_again() -> None:
    assert not Retry(retry_on=(Reject, Exception)).retries(Reject("no"), 1)


def test_only_what_retry_on_names_is_tried_again() -> None:
    retry = Retry(retry_on=(OSError,))
    assert retry.retries(ConnectionError(), 1)
    assert not retry.retries(ValueError(), 1)


def test_give_up_on_wins_over_retry_on() -> None:
    retry = Retry(retry_on=(OSError,), give_up_on=(PermissionError,))
    assert retry.retries(FileNotFoundError(), 1)
    assert not retry.retries(PermissionError(), 1)


def test_a_timeout_is_tried_again_by_default() -> None:
    assert Retry().retries(TaskTimeout(), 1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_attempts": 0}, "max_attempts must be from 1 to 1000"),
        ({"max_attempts": 1001}, "max_attempts must be from 1 to 1000"),
        ({"backoff": "fibonacci"}, "backoff must be"),
        ({"delay": "soon"}, "'soon' is no duration"),
        ({"max_delay": -1}, "zero or more seconds"),
        ({"retry_on": OSError}, "retry_on must be a tuple of exception types"),
        ({"give_up_on": [OSError]}, "give_up_on must be a tuple of exception types"),
        ({"give_up_on": (3,)}, "give_up_on must be a tuple of exception types"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_when_it_is_written(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Retry(**options)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0), (1.5, 1.5), ("0", 0), ("3", 3), ("500ms", 0.5), ("30s", 30), ("20m", 1200), ("1.5h", 5400),
        ("7d", 604_800), (timedelta(minutes=2), 120),
    ],
)  # fmt: skip
def test_a_duration_is_a_number_of_seconds(value: Any, seconds: float) -> None:
    assert parse_seconds(value) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "s", "5 s", "5S", "1h30m", "-5s", "1..5s", "1e3s", "∞", "nan", -1, math.nan, math.inf, "1" + "0" * 11,
     timedelta(seconds=-1), None, [], b"5s"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_seconds(value)


@given(st.floats(0, 9e9))
def test_a_number_of_seconds_is_taken_as_it_is(seconds: float) -> None:
    assert parse_seconds(seconds) == seconds
    assert parse_seconds(f"{seconds:.6f}s") == pytest.approx(seconds, abs=1e-6)
