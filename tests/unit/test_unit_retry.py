"""The retry policy: which failures come again, and after how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Reject, Retry, RetryAfter
from bide.retry import parse_seconds

POLICIES = st.builds(
    Retry,
    max_attempts=st.integers(1, 1000),
    backoff=st.sampled_from(["constant", "linear", "exponential"]),
    delay=st.floats(0, 1e6),
    max_delay=st.floats(0, 1e6),
    jitter=st.booleans(),
)
ATTEMPTS = st.integers(1, 1000)
UNIFORM = st.floats(0, 1, exclude_max=True)


def delays(policy: Retry, count: int) -> list[float]:
    return [policy.delay_seconds(attempt, lambda: 0.0) for attempt in range(1, count + 1)]


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("500ms", 0.5), ("30s", 30), ("20m", 1200), ("1h", 3600), ("7d", 604_800), ("1.5m", 90), ("12", 12),
        (0, 0), (2.5, 2.5), (timedelta(minutes=1, milliseconds=1), 60.001),
    ],
)  # fmt: skip
def test_a_duration_reads_as_seconds(duration: str | float | timedelta, seconds: float) -> None:
    assert parse_seconds(duration) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        "", "s", "soon", "10 s", "-1s", "1.2.3s", "1w", "1S", "1e3", "nan", "inf", "٣s", "9" * 400,
        -0.001, float("nan"), float("inf"), 1e10, 10**400, timedelta(seconds=-1), None, [], b"1s",
    ],
)  # fmt: skip
def test_what_is_no_duration_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_seconds(value)


@given(st.integers(0, 10**6), st.sampled_from([("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]))
def test_every_count_of_every_unit_reads_exactly_to_the_millisecond(
    count: int, unit: tuple[str, int]
) -> None:
    assert round(parse_seconds(f"{count}{unit[0]}") * 1000) == count * unit[1]


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [("constant", [2, 2, 2, 2]), ("linear", [2, 4, 6, 7]), ("exponential", [2, 4, 7, 7])],
)
def test_a_delay_grows_as_its_backoff_says_up_to_the_longest(backoff: Any, expected: list[float]) -> None:
    assert delays(Retry(backoff=backoff, delay=2, max_delay=7, jitter=False), 4) == expected


@given(POLICIES, ATTEMPTS, UNIFORM)
def test_no_delay_is_longer_than_the_longest_or_negative(policy: Retry, attempt: int, uniform: float) -> None:
    assert 0 <= policy.delay_seconds(attempt, lambda: uniform) <= parse_seconds(policy.max_delay)


@given(POLICIES, ATTEMPTS, UNIFORM)
def test_jitter_keeps_between_half_of_a_delay_and_all_of_it(
    policy: Retry, attempt: int, uniform: float
) -> None:
    bare = Retry(backoff=policy.backoff, delay=policy.delay, max_delay=policy.max_delay, jitter=False)
    spread = Retry(backoff=policy.backoff, delay=policy.delay, max_delay=policy.max_delay, jitter=True)
    full = bare.delay_seconds(attempt, lambda: uniform)
    assert full / 2 <= spread.delay_seconds(attempt, lambda: uniform) <= full


@given(POLICIES, ATTEMPTS)
def test_without_jitter_no_delay_is_shorter_than_the_one_before(policy: Retry, attempt: int) -> None:
    bare = Retry(backoff=policy.backoff, delay=policy.delay, max_delay=policy.max_delay, jitter=False)
    assert bare.delay_seconds(attempt, lambda: 0) <= bare.delay_seconds(attempt + 1, lambda: 0)


def test_failures_that_come_together_are_spread_apart() -> None:
    policy = Retry(delay=10)
    assert policy.delay_seconds(1, lambda: 0.0) == 5
    assert policy.delay_seconds(1, lambda: 0.5) == 7.5


@given(st.integers(1, 1000), ATTEMPTS)
def test_an_attempt_is_followed_by_another_until_all_are_used(max_attempts: int, attempt: int) -> None:
    assert Retry(max_attempts=max_attempts).retries(OSError(), attempt) is (attempt < max_attempts)


def test_only_what_retry_on_lists_is_retried() -> None:
    policy = Retry(retry_on=(OSError,))
    assert policy.retries(ConnectionResetError(), 1)
    assert not policy.retries(ValueError(), 1)


def test_give_up_on_wins_over_retry_on() -> None:
    policy = Retry(retry_on=(OSError,), give_up_on=(FileNotFoundError,))
    assert policy.retries(PermissionError(), 1)
    assert not policy.retries(FileNotFoundError(), 1)


def test_a_reject_is_never_retried() -> None:
    assert not Retry(retry_on=(Reject,)).retries(Reject("no"), 1)


def test_an_exit_is_not_retried_unless_listed() -> None:
    assert not Retry().retries(SystemExit(), 1)
    assert Retry(retry_on=(SystemExit,)).retries(SystemExit(), 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0}, {"max_attempts": 1001}, {"backoff": "fibonacci"},
        {"delay": "soon"}, {"delay": -1}, {"max_delay": "1y"},
        {"retry_on": OSError}, {"give_up_on": [OSError]}, {"give_up_on": (3,)},
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused_where_it_is_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|duration"):
        Retry(**wrong)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 366 * 86_400])
def test_retry_after_takes_up_to_a_year(seconds: float) -> None:
    assert RetryAfter(365 * 86_400).seconds == 31_536_000
    with pytest.raises(ValueError, match="365 days"):
        RetryAfter(seconds)
