"""Predicted Retry-After: how often a client asks, and how late it learns of the end."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from statistics import mean
from typing import NamedTuple

import pytest

from bide.records import Run, Spec, TaskView
from bide.state import State
from chalice_app.limits import LONGEST_PREDICTION, LONGEST_RETRY_AFTER
from chalice_app.predict import ENOUGH, retry_after

T = 1_800_000_000_000
"""When the tasks here were submitted."""
HOLD_MS = 2_000
"""For how long a client asks to be held that was told "very soon"."""

Draw = Callable[[random.Random], int]


class Seen(NamedTuple):
    """What a client saw of a task."""

    polls: int
    late_ms: int
    """How long after the end it learned of it."""


def _view(recent: tuple[int, ...], state: State = State.RUNNING, said: str = "", **run: int) -> TaskView:
    return TaskView("default~x", "default", Spec("echo", ""), Run(state, **run), T, said.encode(), recent)


def follow(recent: tuple[int, ...], duration_ms: int, *, delay_ms: int = 5, parked: bool = False) -> Seen:
    """A client that does what Retry-After says, from the submission to the end."""
    started_ms, ends_ms = T + delay_ms, T + delay_ms + duration_ms
    now_ms, polls = T, 0
    while now_ms < ends_ms:
        if now_ms < started_ms:
            view = _view(recent, State.READY)
        elif parked:
            view = _view(recent, State.WAITING, started_ms=started_ms, due_ms=ends_ms - 20)
        else:
            view = _view(recent, started_ms=started_ms)
        seconds = retry_after(view, now_ms)
        polls += 1
        now_ms = now_ms + seconds * 1000 if seconds else min(now_ms + HOLD_MS, ends_ms)
        assert polls < 1_000
    return Seen(polls, now_ms - ends_ms)


def _kind(draw: Draw, seed: int, size: int = 20) -> tuple[tuple[int, ...], list[int]]:
    """Durations of those that have finished, and of those to come."""
    source = random.Random(seed)
    durations = [draw(source) for _ in range(size + 60)]
    return tuple(durations[:size]), durations[size:]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("parked", [False, True])
@pytest.mark.parametrize("ms", [5, 100, 430, 1_000, 1_700, 4_900, 10_000, 10_600, 60_000, 250_000])
def test_two_polls_tell_of_the_end_in_time_where_all_last_alike(ms: int, parked: bool, seed: int) -> None:
    recent, coming = _kind(lambda source: ms + source.randint(0, 20 + ms // 100), seed)
    for duration_ms in coming:
        seen = follow(recent, duration_ms, parked=parked)
        assert seen.polls <= 2, (seen, duration_ms)
        assert seen.late_ms <= max(200, duration_ms // 10), (seen, duration_ms)


@pytest.mark.parametrize("seed", range(3))
def test_three_polls_do_where_some_end_at_once_and_others_late(seed: int) -> None:
    recent, coming = _kind(lambda source: source.choice((150, 40_000)) + source.randint(0, 50), seed, 32)
    for duration_ms in coming:
        seen = follow(recent, duration_ms)
        assert seen.polls <= 3
        assert seen.late_ms <= max(200, duration_ms // 10)


@pytest.mark.parametrize("long_ms", [10_000, 60_000, 250_000])
def test_three_polls_do_where_one_in_five_takes_long(long_ms: int) -> None:
    """Few durations tell, too, if they are alike: half a dozen of thirty."""
    short, long = [100, 105, 110], [long_ms, round(long_ms * 1.01), round(long_ms * 1.02)]
    recent = (*short * 8, *long * 2)
    assert all(follow(recent, duration_ms).polls <= 2 for duration_ms in short)
    for duration_ms in long:
        seen = follow(recent, duration_ms)
        assert seen.polls <= 3
        assert seen.late_ms <= duration_ms // 10


@pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYING, State.WAITING])
def test_a_quick_kind_is_not_asked_for_without_end_where_nobody_comes_for_it(state: State) -> None:
    view = _view((100,) * 20, state, started_ms=0 if state is State.SCHEDULED else T - 5_000, due_ms=T)
    answers = [retry_after(view, T + over_ms) for over_ms in (0, 3_000, 8_000, 60_000, 3_600_000)]
    assert answers == [0, 0, 2, 15, 30]


DRAWS: dict[str, Draw] = {
    "any": lambda source: source.randint(500, 60_000),
    "about ten seconds": lambda source: source.randint(8_000, 12_000),
    "log-normal": lambda source: round(source.lognormvariate(9, 1)),
    "heavy tail": lambda source: round(1_000 * source.paretovariate(1)) % 600_000,
    "three kinds": lambda source: source.choice((200, 5_000, 30_000)) + source.randint(0, 500),
}


def _mean_share(found: list[Seen], durations: list[int]) -> float:
    """Of its duration by which one learns of a task's end late."""
    pairs = zip(found, durations, strict=True)
    return mean(seen.late_ms / max(duration_ms, HOLD_MS) for seen, duration_ms in pairs)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", DRAWS)
def test_durations_that_vary_are_hardly_hurt(name: str, seed: int) -> None:
    """Neither in polls nor in lateness, measured against the rule for a kind that nobody knows."""
    recent, coming = _kind(DRAWS[name], seed, 32)
    known = [follow(recent, duration_ms) for duration_ms in coming]
    unknown = [follow((), duration_ms) for duration_ms in coming]
    assert mean(seen.polls for seen in known) <= mean(seen.polls for seen in unknown) + 2
    assert _mean_share(known, coming) <= _mean_share(unknown, coming) + 0.05


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["about ten seconds", "three kinds"])
def test_durations_that_vary_a_little_cost_fewer_polls_and_less_time(name: str, seed: int) -> None:
    recent, coming = _kind(DRAWS[name], seed, 32)
    known = [follow(recent, duration_ms) for duration_ms in coming]
    unknown = [follow((), duration_ms) for duration_ms in coming]
    assert mean(seen.polls for seen in known) < 0.9 * mean(seen.polls for seen in unknown)
    assert _mean_share(known, coming) < _mean_share(unknown, coming)


def test_a_straggler_is_asked_for_ever_more_rarely() -> None:
    recent = (10_000,) * 20
    for duration_ms in (11_000, 15_000, 30_000, 120_000, 3_600_000):
        seen, plain = follow(recent, duration_ms), follow((), duration_ms)
        assert seen.late_ms <= max(duration_ms // 4, HOLD_MS)
        assert seen.late_ms <= LONGEST_RETRY_AFTER * 1000
        assert seen.polls <= plain.polls + 3


def test_one_quick_task_in_twenty_is_no_reason_to_ask() -> None:
    assert retry_after(_view((50,) + (60_000,) * 19, started_ms=T), T) == 60


def test_few_durations_tell_nothing() -> None:
    view = _view((60_000,) * (ENOUGH - 1), started_ms=T)
    assert retry_after(view, T + 8_000) == 2
    assert retry_after(_view((60_000,) * ENOUGH, started_ms=T), T + 8_000) == 52


def test_a_long_task_is_asked_for_now_and_then() -> None:
    """It may fail early, and the durations are of those that did not."""
    view = _view((6 * 3_600_000,) * 20, started_ms=T)
    assert retry_after(view, T) == LONGEST_PREDICTION


def test_a_scheduled_task_is_asked_for_when_it_has_ended() -> None:
    view = _view((5_000,) * 20, State.SCHEDULED, due_ms=T + 3_600_000)
    assert retry_after(view, T) == 3_605


def test_a_retrying_task_is_asked_for_not_before_it_is_due() -> None:
    for due_ms in (1_000, 20_000, 60_000):
        view = _view((10_000,) * 20, State.RETRYING, started_ms=T - 3_000, due_ms=T + due_ms)
        assert retry_after(view, T) * 1000 >= due_ms


def test_a_sleep_longer_than_usual_is_waited_out() -> None:
    view = _view((10_000,) * 20, State.WAITING, started_ms=T, due_ms=T + 25_000)
    assert retry_after(view, T + 1_000) == 24


def test_a_task_in_a_long_line_is_not_asked_for_as_if_it_ran() -> None:
    assert retry_after(_view((100,) * 20, State.READY), T + 60_000) == 15


def test_a_known_kind_that_awaits_an_event_ends_when_its_kind_does() -> None:
    awaiting = Run(State.WAITING, started_ms=T, due_ms=T + 3_600_000, awaits="go")
    view = TaskView("x", "default", Spec("echo", ""), awaiting, T, recent=(20_000,) * 20)
    assert retry_after(view, T) == 20


@pytest.mark.parametrize(
    ("fraction", "seconds"), [(0.0, 25), (0.01, 30), (0.5, 30), (0.8, 12), (0.9, 12), (1.0, 12)]
)
def test_progress_tells_where_nothing_is_known(fraction: float, seconds: int) -> None:
    said = json.dumps({"fraction": fraction, "message": ""})
    assert retry_after(_view((), said=said, started_ms=T), T + 100_000) == seconds


def test_progress_without_a_fraction_tells_nothing() -> None:
    assert retry_after(_view((), said='{"fraction":null,"message":"x"}', started_ms=T), T + 8_000) == 2


def test_progress_at_the_end_does_not_make_a_client_ask_without_end() -> None:
    said = json.dumps({"fraction": 1.0, "message": "cleaning up"})
    answers = [retry_after(_view((), said=said, started_ms=T), T + s * 1000) for s in (4, 16, 64, 600)]
    assert answers == [0, 2, 8, 30]
