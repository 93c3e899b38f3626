"""Retry-After: when asking again may tell something new."""

from __future__ import annotations

import pytest

from bide.records import Run, Spec, TaskView
from bide.state import State
from chalice_app.predict import retry_after

T = 1_800_000_000_000
"""When the tasks here were submitted."""


def _task(state: State, *, run_at_ms: int = 0, **run: int) -> TaskView:
    spec = Spec("echo", "default", run_at_ms=run_at_ms, args="{}")
    return TaskView("default~x", "default", spec, Run(state, **run), T)


@pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYING])
@pytest.mark.parametrize(
    ("left_ms", "seconds"), [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (3_600_000, 3600), (0, 0), (-3_999, 0)]
)
def test_a_task_that_waits_is_due_when_it_is_due(state: State, left_ms: int, seconds: int) -> None:
    assert retry_after(_task(state, due_ms=T + left_ms), T) == seconds


@pytest.mark.parametrize(
    ("left_ms", "seconds"),
    [(1, 1), (1_000, 1), (1_001, 2), (29_001, 30), (30_001, 30), (3_600_000, 30), (0, 0), (-3_999, 0)],
)
def test_a_parked_task_is_asked_for_when_it_is_due_and_now_and_then_before(
    left_ms: int, seconds: int
) -> None:
    parked = _task(State.WAITING, started_ms=T - 1_000_000, due_ms=T + left_ms)
    assert retry_after(parked, T) == seconds


@pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYING, State.WAITING])
@pytest.mark.parametrize(("over_ms", "seconds"), [(4_000, 1), (59_000, 14), (120_000, 30), (10**9, 30)])
def test_a_task_that_nobody_comes_for_when_it_is_due_is_asked_for_ever_more_rarely(
    state: State, over_ms: int, seconds: int
) -> None:
    overdue = _task(state, started_ms=0 if state is State.SCHEDULED else T - 1_000_000, due_ms=T)
    assert retry_after(overdue, T + over_ms) == seconds


@pytest.mark.parametrize(("age_ms", "seconds"), [(0, 0), (3_999, 0), (8_000, 2), (120_000, 30), (10**9, 30)])
def test_a_task_parked_without_a_time_is_asked_for_ever_more_rarely(age_ms: int, seconds: int) -> None:
    parked = _task(State.WAITING, started_ms=T)
    assert retry_after(parked, T + age_ms) == seconds


@pytest.mark.parametrize(
    ("age_ms", "seconds"),
    [
        (-5, 0),
        (0, 0),
        (999, 0),
        (3_999, 0),
        (4_000, 1),
        (8_000, 2),
        (119_000, 29),
        (120_000, 30),
        (10**9, 30),
    ],
)
def test_a_ready_task_is_asked_for_ever_more_rarely(age_ms: int, seconds: int) -> None:
    assert retry_after(_task(State.READY), T + age_ms) == seconds


def test_the_age_of_a_running_task_counts_from_its_start() -> None:
    assert retry_after(_task(State.RUNNING, started_ms=T + 60_000), T + 61_000) == 0


def test_the_age_of_a_delayed_task_counts_from_when_it_was_due() -> None:
    assert retry_after(_task(State.READY, run_at_ms=T + 60_000), T + 61_000) == 0


def test_a_task_that_is_being_cancelled_ends_very_soon() -> None:
    assert retry_after(_task(State.RUNNING, started_ms=T, cancelling=1), T + 100_000) == 0


@pytest.mark.parametrize("state", [state for state in State if state.done])
def test_a_finished_task_tells_nothing_new(state: State) -> None:
    assert retry_after(_task(state), T + 100_000) == 0
