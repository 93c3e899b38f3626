"""The store's time, as a process knows it from samples."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.clock import EXPIRY_S, SLOW_S, Clock, boot_time

EPOCH_S = 1_764_000_000


class World:
    """A store's clock and a local one that both follow true time; messages take their time between them."""

    def __init__(self, local_s: float = 1000.0) -> None:
        self.passed_s = 0.0
        self._local_s = local_s
        self.clock = Clock(lambda: self._local_s + self.passed_s)

    def store_ms(self) -> float:
        return (EPOCH_S + self.passed_s) * 1000

    def sample(self, there_s: float = 0.0, back_s: float = 0.0) -> None:
        """Ask the store for its time; the question takes `there_s` to arrive, the answer `back_s`."""
        sent = self.clock.local()
        self.passed_s += there_s
        now_s = EPOCH_S + self.passed_s
        reply = (int(now_s), int(now_s % 1 * 1e6))
        self.passed_s += back_s
        self.clock.record(reply, sent)


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, EXPIRY_S - 1))
def test_a_reading_never_runs_ahead_of_the_store(there_s: float, back_s: float, later_s: float) -> None:
    world = World()
    world.sample(there_s, back_s)
    world.passed_s += later_s
    now_ms = world.clock.now_ms()
    assert now_ms is not None
    assert world.store_ms() - back_s * 1000 - 3 <= now_ms <= world.store_ms() + 0.001


def test_without_a_sample_nobody_knows_the_time() -> None:
    assert World().clock.now_ms() is None


def test_a_reading_moves_on_with_local_time() -> None:
    world = World()
    world.sample()
    world.passed_s += 1.25
    assert world.clock.now_ms() == EPOCH_S * 1000 + 1250


def test_a_reply_that_took_too_long_is_no_sample() -> None:
    world = World()
    world.sample(there_s=SLOW_S, back_s=0.25)
    assert world.clock.now_ms() is None


def test_a_slow_reply_leaves_the_earlier_sample_in_place() -> None:
    world = World()
    world.sample()
    world.sample(back_s=5)
    assert world.clock.now_ms() == EPOCH_S * 1000 + 5000


def test_an_old_sample_is_worthless() -> None:
    world = World()
    world.sample()
    world.passed_s = EXPIRY_S
    assert world.clock.now_ms() is not None
    world.passed_s += 0.001
    assert world.clock.now_ms() is None


def test_a_thaw_discards_the_sample() -> None:
    world = World()
    world.sample()
    world.clock.discard()
    assert world.clock.now_ms() is None


def test_a_local_clock_that_went_back_discards_the_sample() -> None:
    world = World()
    world.sample()
    world.passed_s = -1
    assert world.clock.now_ms() is None


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no boot-time clock")
def test_local_time_goes_on_while_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= boot_time() <= time.clock_gettime(time.CLOCK_BOOTTIME)
