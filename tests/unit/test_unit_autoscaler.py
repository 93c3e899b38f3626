"""The autoscaler's policy: how many workers start, and which may leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.autoscaler import Decision, Limits, Reason, Seen, decide, has_spare, is_spare, missing, reserve

TEN = Limits(minimum=0, maximum=100, concurrency=10)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    minimum = draw(st.integers(0, 20))
    return Limits(minimum, draw(st.integers(max(1, minimum), 40)), draw(st.integers(1, 200)))


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[int], Seen, Limits]:
    """The loads of the workers awake, what is seen of them, and limits."""
    allowed = draw(limits())
    loads = draw(st.lists(st.integers(0, allowed.concurrency), max_size=30))
    free = len(loads) * allowed.concurrency - sum(loads)
    ready, starting = draw(st.integers(0, 5_000)), draw(st.integers(0, 20))
    return loads, Seen(ready, len(loads), free, starting), allowed


CALM = situations().map(lambda found: (found[0], found[1]._replace(ready=0, starting=0), found[2]))


@pytest.mark.parametrize(
    ("seen", "workers"),
    [
        (Seen(ready=0, awake=0, free=0, starting=0), 0),
        (Seen(ready=1, awake=0, free=0, starting=0), 1),
        (Seen(ready=10, awake=0, free=0, starting=0), 1),
        (Seen(ready=11, awake=0, free=0, starting=0), 2),
        (Seen(ready=3, awake=2, free=3, starting=0), 0),
        (Seen(ready=4, awake=2, free=3, starting=0), 1),
        (Seen(ready=10, awake=0, free=0, starting=1), 0),
        (Seen(ready=14, awake=1, free=3, starting=1), 1),
        (Seen(ready=5_000, awake=40, free=0, starting=10), 50),
        (Seen(ready=5_000, awake=100, free=0, starting=3), 0),
    ],
)
def test_exactly_the_workers_that_ready_tasks_lack_are_started(seen: Seen, workers: int) -> None:
    assert missing(seen, TEN) == workers


@given(situations())
def test_after_a_start_each_ready_task_has_a_place_or_the_maximum_is_reached(
    situation: tuple[list[int], Seen, Limits],
) -> None:
    _, seen, limits = situation
    start = missing(seen, limits)
    workers = seen.awake + seen.starting + start
    places = seen.free + (seen.starting + start) * limits.concurrency
    assert start >= 0
    assert places >= seen.ready or workers >= limits.maximum
    assert start == 0 or workers <= limits.maximum
    assert start == 0 or places - limits.concurrency < seen.ready, "one fewer would have done"


@given(situations())
def test_a_second_look_at_once_starts_nobody(situation: tuple[list[int], Seen, Limits]) -> None:
    _, seen, limits = situation
    start = decide(seen, limits).start
    assert decide(seen._replace(starting=seen.starting + start), limits).start == 0


@given(situations())
def test_the_tick_starts_what_is_missing_and_keeps_the_minimum(
    situation: tuple[list[int], Seen, Limits],
) -> None:
    _, seen, limits = situation
    start = decide(seen, limits).start
    assert start >= missing(seen, limits)
    assert seen.awake + seen.starting + start >= limits.minimum


@pytest.mark.parametrize(
    ("seen", "decision"),
    [
        (Seen(0, 2, 20, 0), Decision(0, Reason.NONE)),
        (Seen(7, 2, 7, 0), Decision(0, Reason.NONE)),
        (Seen(9, 2, 0, 1), Decision(0, Reason.NONE)),
        (Seen(25, 2, 0, 0), Decision(3, Reason.READY)),
        (Seen(0, 1, 10, 0), Decision(1, Reason.MINIMUM)),
        (Seen(5, 0, 0, 0), Decision(2, Reason.MINIMUM)),
        (Seen(99, 3, 0, 0), Decision(2, Reason.MAXIMUM)),
        (Seen(99, 5, 0, 0), Decision(0, Reason.MAXIMUM)),
    ],
)
def test_a_decision_tells_its_reason(seen: Seen, decision: Decision) -> None:
    assert decide(seen, Limits(minimum=2, maximum=5, concurrency=10)) == decision


@given(CALM)
def test_some_worker_is_spare_whenever_there_is_one_too_many(
    situation: tuple[list[int], Seen, Limits],
) -> None:
    loads, seen, limits = situation
    spare = [is_spare(load, seen, limits) for load in loads]
    assert any(spare) == has_spare(seen, limits)
    if loads and has_spare(seen, limits):
        assert spare[loads.index(min(loads))], "the emptiest is always among them"


@given(CALM)
def test_a_spare_workers_tasks_fit_on_the_others_and_leave_a_reserve(
    situation: tuple[list[int], Seen, Limits],
) -> None:
    loads, seen, limits = situation
    for load in loads:
        if is_spare(load, seen, limits):
            free_on_others = seen.free - (limits.concurrency - load)
            assert free_on_others - load >= reserve(limits.concurrency)
            assert seen.awake - 1 >= max(1, limits.minimum)


@given(CALM)
def test_after_a_spare_worker_has_left_nobody_is_started_at_once(
    situation: tuple[list[int], Seen, Limits],
) -> None:
    """Not even if a reserve's worth of tasks arrives meanwhile."""
    loads, seen, limits = situation
    for load in loads:
        if is_spare(load, seen, limits):
            arrived = load + reserve(limits.concurrency)
            after = Seen(arrived, seen.awake - 1, seen.free - (limits.concurrency - load), 0)
            assert decide(after, limits).start == 0


@given(situations(), st.integers(0, 200))
def test_nobody_leaves_while_a_task_waits_or_a_worker_starts(
    situation: tuple[list[int], Seen, Limits], load: int
) -> None:
    _, seen, limits = situation
    assert not is_spare(load, seen._replace(ready=max(1, seen.ready)), limits)
    assert not is_spare(load, seen._replace(starting=max(1, seen.starting)), limits)


@pytest.mark.parametrize(("load", "spare"), [(4, True), (5, True), (6, False)])
def test_a_worker_fuller_than_the_average_leaves_it_to_others(load: int, spare: bool) -> None:
    seen = Seen(ready=0, awake=4, free=20, starting=0)  # 20 tasks: five each on average
    assert is_spare(load, seen, TEN) is spare


@pytest.mark.parametrize(("concurrency", "places"), [(1, 1), (10, 1), (20, 1), (21, 2), (100, 5)])
def test_the_reserve_is_a_share_of_a_workers_places(concurrency: int, places: int) -> None:
    assert reserve(concurrency) == places
