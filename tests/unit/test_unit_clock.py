"""The sampled clock: it may lag behind the store, never run ahead of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.clock import EXPIRY_S, SLOW_S, Clock, boot_time


class Hands:
    """A local clock that a test turns."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def clock(hands: Hands) -> Clock:
    return Clock(hands)


def test_a_clock_without_a_sample_tells_no_time(clock: Clock) -> None:
    assert clock.now_ms() is None


def test_time_passes_as_it_does_locally(clock: Clock, hands: Hands) -> None:
    clock.record((1_700_000_000, 123_999), sent=hands.at)
    assert clock.now_ms() == 1_700_000_000_123
    hands.at += 2.5
    assert clock.now_ms() == 1_700_000_002_623


@given(
    store_us=st.integers(1, 2**51),
    there_s=st.floats(0, 0.5),
    back_s=st.floats(0, 0.5),
    later_s=st.floats(0, EXPIRY_S),
)
def test_a_reading_is_never_ahead_of_the_store_and_behind_by_no_more_than_the_reply_took(
    store_us: int, there_s: float, back_s: float, later_s: float
) -> None:
    hands = Hands(0.0)
    clock = Clock(hands)
    hands.at = there_s + back_s
    clock.record((store_us // 1_000_000, store_us % 1_000_000), sent=0.0)
    hands.at += later_s
    told = clock.now_ms()
    if told is not None:
        true_ms = store_us / 1000 + (back_s + later_s) * 1000
        assert true_ms - back_s * 1000 - 2 <= told <= true_ms + 1e-3


def test_a_reply_that_took_too_long_is_no_sample(clock: Clock, hands: Hands) -> None:
    sent = hands.at
    hands.at += SLOW_S + 0.1
    clock.record((1_700_000_000, 0), sent)
    assert clock.now_ms() is None


def test_a_slow_reply_does_not_displace_the_sample_before_it(clock: Clock, hands: Hands) -> None:
    clock.record((1_700_000_000, 0), sent=hands.at)
    sent = hands.at
    hands.at += SLOW_S + 1
    clock.record((9_999_999_999, 0), sent)
    assert clock.now_ms() == 1_700_000_002_000


def test_an_old_sample_is_worthless(clock: Clock, hands: Hands) -> None:
    clock.record((1_700_000_000, 0), sent=hands.at)
    hands.at += EXPIRY_S
    assert clock.now_ms() == 1_700_000_030_000
    hands.at += 0.1
    assert clock.now_ms() is None


def test_a_local_clock_that_went_back_tells_nothing(clock: Clock, hands: Hands) -> None:
    clock.record((1_700_000_000, 0), sent=hands.at)
    hands.at -= 1
    assert clock.now_ms() is None


def test_a_reading_is_behind_by_no_more_than_its_sample_took(clock: Clock, hands: Hands) -> None:
    assert clock.lag_s == float("inf")
    asked = hands.at
    hands.at += 0.25
    clock.record((1_700_000_000, 0), sent=asked)
    assert clock.lag_s == 0.25


def test_the_local_clock_never_goes_back() -> None:
    readings = [boot_time() for _ in range(100)]
    assert readings == sorted(readings)
