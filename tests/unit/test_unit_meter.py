"""What an attempt is charged: an equal share of its worker's time."""

from __future__ import annotations

import random

import pytest

from bide.worker.meter import Meter


class Stopwatch:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def meter(watch: Stopwatch) -> Meter:
    return Meter(watch)


def test_one_alone_is_charged_all_the_time(meter: Meter, watch: Stopwatch) -> None:
    entered = meter.enter()
    watch.seconds += 3
    assert meter.leave(entered) == pytest.approx(3)


def test_time_in_which_nobody_is_active_is_charged_to_nobody(meter: Meter, watch: Stopwatch) -> None:
    watch.seconds += 50
    entered = meter.enter()
    watch.seconds += 1
    assert meter.leave(entered) == pytest.approx(1)
    watch.seconds += 50
    entered = meter.enter()
    assert meter.leave(entered) == 0


def test_several_share_the_time_in_which_they_are_active_together(meter: Meter, watch: Stopwatch) -> None:
    first = meter.enter()
    watch.seconds += 2
    second = meter.enter()
    assert meter.active == 2
    watch.seconds += 4
    assert meter.leave(first) == pytest.approx(2 + 4 / 2)
    watch.seconds += 1
    assert meter.leave(second) == pytest.approx(4 / 2 + 1)
    assert meter.active == 0


def test_the_charges_add_up_to_the_time_in_which_anybody_was_active(meter: Meter, watch: Stopwatch) -> None:
    chance = random.Random(7)
    active: list[float] = []
    charged = busy = 0.0
    for _ in range(2_000):
        passed = chance.random()
        watch.seconds += passed
        busy += passed if active else 0
        if active and chance.random() < 0.5:
            charged += meter.leave(active.pop(chance.randrange(len(active))))
        else:
            active.append(meter.enter())
    charged += sum(meter.leave(entered) for entered in active)
    assert charged == pytest.approx(busy)
