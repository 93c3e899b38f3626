"""The alarm clock, on a loop whose time passes only when it waits."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from local.alarm import AlarmClock

STEP = 0.005


class JumpingSelector(selectors.DefaultSelector):
    """Never waits; counts the seconds that it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.waited += max(0.0, timeout or 0.0)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at 0 and jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.waited


def rings_of(act: Callable[[AlarmClock], Coroutine[Any, Any, None]]) -> list[float]:
    """When the clock rang while `act` ran, in seconds from its begin."""
    rings: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        await act(AlarmClock(lambda: rings.append(loop.time())))

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(run())
    return rings


def about(rings: list[float]) -> list[float]:
    return [round(ring, 2) for ring in rings]


def test_it_rings_at_its_time_and_once() -> None:
    async def act(clock: AlarmClock) -> None:
        clock.set(2000)
        await asyncio.sleep(10)

    assert about(rings_of(act)) == [2.0]


def test_an_alarm_of_the_past_rings_at_once() -> None:
    async def act(clock: AlarmClock) -> None:
        await asyncio.sleep(1)
        clock.set(-5000)
        await asyncio.sleep(10)

    assert about(rings_of(act)) == [1.0]


def test_an_earlier_alarm_rings_in_addition() -> None:
    async def act(clock: AlarmClock) -> None:
        clock.set(3000)
        clock.set(1000)
        await asyncio.sleep(10)

    assert about(rings_of(act)) == [1.0, 3.0]


def test_a_later_alarm_does_not_move_an_earlier_one() -> None:
    async def act(clock: AlarmClock) -> None:
        clock.set(1000)
        await asyncio.sleep(0.5)
        clock.set(1000)
        await asyncio.sleep(10)

    assert about(rings_of(act)) == [1.0, 1.5]


def test_alarms_for_nearly_the_same_time_ring_once() -> None:
    async def act(clock: AlarmClock) -> None:
        for delay_ms in (1001, 1002, 1003, 1004, 1004, 1001):
            clock.set(delay_ms)
        assert len(clock) == 1
        await asyncio.sleep(10)

    assert len(rings_of(act)) == 1


def test_no_alarm_rings_early_and_none_much_later() -> None:
    delays_ms = [random.Random(7).randrange(10_000) for _ in range(300)]

    async def act(clock: AlarmClock) -> None:
        for delay_ms in delays_ms:
            clock.set(delay_ms)
        await asyncio.sleep(20)

    rings = rings_of(act)
    for delay_ms in delays_ms:
        due = delay_ms / 1000
        assert any(due <= ring <= due + 2 * STEP for ring in rings)
    assert len(rings) <= len(delays_ms)


def test_the_earliest_are_kept_when_there_are_too_many() -> None:
    async def act(clock: AlarmClock) -> None:
        for delay_ms in range(30_000, 0, -10):
            clock.set(delay_ms)
        assert len(clock) == 1000
        await asyncio.sleep(60)

    rings = rings_of(act)
    assert len(rings) == 1000
    assert about([rings[0], rings[-1]]) == [0.01, 10.0]


def test_one_may_be_set_while_it_rings() -> None:
    rings: list[float] = []

    async def act(_: AlarmClock) -> None:
        loop = asyncio.get_running_loop()

        def ring() -> None:
            rings.append(loop.time())
            if len(rings) < 3:
                clock.set(1000)

        clock = AlarmClock(ring)
        clock.set(1000)
        await asyncio.sleep(10)

    rings_of(act)
    assert about(rings) == [1.0, 2.0, 3.0]


def test_a_stopped_clock_rings_no_more() -> None:
    async def act(clock: AlarmClock) -> None:
        clock.set(1000)
        clock.set(2000)
        await asyncio.sleep(1.5)
        clock.stop()
        clock.set(100)
        await asyncio.sleep(10)

    assert about(rings_of(act)) == [1.0]
