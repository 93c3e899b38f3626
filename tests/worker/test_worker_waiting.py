"""Tasks that wait: kept in a living worker or parked, resumed, ended."""

from __future__ import annotations

import itertools
import signal

import pytest
from stage import SHORT_LEASE, Stage, await_that, is_alive

from bide.errors import Closed
from bide.gate import Gatekeeper
from bide.ids import TaskId
from bide.state import State

PARK = {"hot_wait_seconds": 0.0}
HOT = {"hot_wait_seconds": 60.0}
MANNERS = pytest.mark.parametrize("manner", [PARK, HOT], ids=["parked", "hot"])
_keys = itertools.count()


def send(stage: Stage, id: TaskId, body: str = '"came"') -> None:
    """Send the event `go`, a new one each time."""
    stage.store.send_event(id, "default", "go", body.encode(), key=str(next(_keys)))


# --- hot and parked ---------------------------------------------------------------------------


def test_a_short_wait_stays_in_its_worker_and_replays_nothing(stage: Stage) -> None:
    stage.start_worker(**HOT)
    id = stage.submit("nap", name="n", seconds=0.2)
    run = stage.until(id).run
    assert (run.state, run.replays, len(stage.effects("n:began"))) == (State.SUCCEEDED, 0, 1)
    assert run.waited_ms >= 190


def test_a_long_wait_is_parked_and_goes_on_from_its_journal(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("nap", name="n", seconds=0.5)
    run = stage.until(id, State.WAITING).run
    assert (run.worker, run.attempt) == ("", 1)
    assert run.due_ms > 0
    run = stage.until(id).run
    assert (run.state, run.replays, run.attempt) == (State.SUCCEEDED, 1, 1)
    assert len(stage.effects("n:began")) == 2
    assert stage.effects("n:ran") == [stage.outcome(id)]
    assert run.waited_ms >= 450


def test_a_hot_wait_survives_the_death_of_its_worker(stage: Stage) -> None:
    first = stage.start_worker(**HOT, **SHORT_LEASE)
    id = stage.submit("nap", name="n", seconds=1.0)
    await_that(lambda: stage.effects("n:seen"))
    stage.end(first, signal.SIGKILL)
    stage.start_worker(**HOT, **SHORT_LEASE)
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 2)
    assert stage.effects("n:ran") == [stage.outcome(id)]


def test_a_worker_that_may_leave_exits_while_its_tasks_are_parked_and_another_resumes_them(
    stage: Stage,
) -> None:
    first = stage.start_worker(stays=False, **HOT)
    sleeping = stage.submit("nap", name="n", seconds=3.0)
    waiting = stage.submit("await_event", name="e")
    stage.until(waiting, State.WAITING)
    await_that(lambda: not is_alive(first))
    assert stage.view(sleeping).run.state is State.WAITING
    assert stage.view(sleeping).run.attempt == 1
    stage.start_worker(**HOT)
    send(stage, waiting)
    assert stage.until(waiting).run.state is State.SUCCEEDED
    assert stage.outcome(waiting) == "came"
    assert stage.until(sleeping).run.attempt == 1
    assert stage.effects("n:ran") == [stage.outcome(sleeping)]


def test_a_stopped_worker_parks_what_waits_and_no_attempt_is_spent(stage: Stage) -> None:
    first = stage.start_worker(**HOT)
    id = stage.submit("nap", name="n", seconds=2.0)
    await_that(lambda: stage.effects("n:seen"))
    stage.end(first, signal.SIGTERM)
    run = stage.view(id).run
    assert (run.state, run.attempt, run.resumes) == (State.WAITING, 1, 1)
    stage.start_worker(**HOT)
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 1)


def test_a_full_worker_runs_other_tasks_while_one_waits(stage: Stage) -> None:
    stage.start_worker(concurrency=1, **HOT)
    sleeper = stage.submit("nap", name="n", seconds=30.0)
    await_that(lambda: stage.effects("n:seen"))
    others = [stage.submit("succeed", name=f"o{number}") for number in range(5)]
    for other in others:
        assert stage.until(other).run.state is State.SUCCEEDED
    assert stage.state(sleeper) is State.RUNNING
    stage.store.cancel(sleeper, "default")
    assert stage.until(sleeper).run.state is State.CANCELLED


def test_a_full_worker_lets_a_task_go_on_when_its_wait_is_over(stage: Stage) -> None:
    stage.start_worker(concurrency=1, **HOT)
    sleepers = [stage.submit("nap", name=f"n{number}", seconds=0.3) for number in range(10)]
    others = [stage.submit("doze", name=f"d{number}", seconds=0.05) for number in range(10)]
    for id in (*sleepers, *others):
        assert stage.until(id).run.state is State.SUCCEEDED


def test_a_worker_keeps_its_places_however_many_branches_wait_for_one(stage: Stage) -> None:
    """Two places. Others hold both when the branches' waits end, and give them back one by one."""
    stage.start_worker(concurrency=2, **HOT)
    for round in range(2):
        crowded = stage.submit("crowd", name=f"c{round}")
        await_that(lambda round=round: stage.effects(f"c{round}:began"))  # type: ignore[misc]
        others = [stage.submit("doze", name="d", seconds=seconds) for seconds in (0.7, 0.9)]
        for id in (*others, crowded):
            assert stage.until(id).run.state is State.SUCCEEDED
    both = [stage.submit("doze", name=f"last{number}", seconds=5.0) for number in range(2)]
    await_that(lambda: all(stage.state(id) is State.RUNNING for id in both))


def test_waits_beyond_what_a_worker_keeps_are_parked(stage: Stage) -> None:
    stage.start_worker(hot_waits=2, **HOT)
    ids = [stage.submit("nap", name=f"n{number}", seconds=30.0) for number in range(5)]
    await_that(lambda: sorted(stage.state(id) for id in ids).count(State.WAITING) == 3)
    assert sorted(stage.state(id) for id in ids).count(State.RUNNING) == 2


def test_an_event_that_came_before_the_task_asks_is_kept_for_it(stage: Stage) -> None:
    id = stage.submit("await_event", name="e")
    send(stage, id, '{"early":true}')
    stage.start_worker(**HOT)
    assert stage.until(id).run.state is State.SUCCEEDED
    assert stage.outcome(id) == {"early": True}


def test_closing_the_server_leaves_parked_tasks_going(stage: Stage) -> None:
    stage.start_worker(**PARK)
    sleeping = stage.submit("nap", name="n", seconds=0.3)
    waiting = stage.submit("await_event", name="e")
    stage.until(waiting, State.WAITING)
    Gatekeeper(stage.store).close("for the test")
    with pytest.raises(Closed):
        stage.submit("nap", name="refused", seconds=0.1)
    send(stage, waiting)
    assert stage.until(sleeping).run.state is State.SUCCEEDED
    assert stage.until(waiting).run.state is State.SUCCEEDED


# --- its end ----------------------------------------------------------------------------------


def test_a_parked_task_can_be_cancelled_and_does_what_it_asked_for_at_its_end(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("await_event", name="e")
    stage.until(id, State.WAITING)
    assert not stage.effects("e:exit")
    stage.store.cancel(id, "default")
    assert stage.until(id).run.state is State.CANCELLED
    await_that(lambda: stage.effects("e:exit"))
    assert len(stage.effects("e:exit")) == 1


def test_a_cancelled_task_does_what_every_branch_asked_for_however_its_waits_have_gone(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("clean_up_from_groups", name="e")
    await_that(lambda: sorted(stage.view(id).run.awaits.split()) == ["go", "go", "never"])
    await_that(lambda: stage.view(id).run.due_ms == 0)
    stage.store.cancel(id, "default")
    assert stage.until(id).run.state is State.CANCELLED
    exits = sorted(name for name, _ in stage.lines() if ":exit/" in name)
    assert exits == ["e:exit/0", "e:exit/1", "e:exit/late0", "e:exit/late1", "e:exit/outer"]
    assert stage.effects("e:exit/0") == stage.effects("e/0:ran")


def test_a_parked_task_with_nothing_to_do_at_its_end_is_cancelled_without_a_worker(stage: Stage) -> None:
    worker = stage.start_worker(**PARK)
    id = stage.submit("nap", name="n", seconds=60.0)
    stage.until(id, State.WAITING)
    stage.end(worker)
    stage.store.cancel(id, "default")
    assert stage.state(id) is State.CANCELLED


def test_a_task_that_waits_hot_is_cancelled_at_once(stage: Stage) -> None:
    stage.start_worker(**HOT)
    id = stage.submit("nap", name="n", seconds=50.0)
    await_that(lambda: stage.effects("n:seen"))
    stage.store.cancel(id, "default")
    assert stage.until(id).run.state is State.CANCELLED


@MANNERS
def test_on_exit_is_called_at_the_real_end_only(stage: Stage, manner: dict[str, float]) -> None:
    """Two failed attempts and a few parks come before it."""
    stage.start_worker(**manner)
    id = stage.submit("fail_twice", name="f")
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 3)
    assert len(stage.effects("f:exit")) == 1
    assert stage.effects("f:ran") == [stage.outcome(id)], "a step ran again in another attempt"
    assert stage.lines()[-1][0] == "f:exit"


@MANNERS
def test_the_timeout_leaves_waits_out(stage: Stage, manner: dict[str, float]) -> None:
    """It is 300 ms."""
    stage.start_worker(**manner)
    id = stage.submit("nap_beyond_timeout", seconds=1.0)
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 1), stage.outcome(id)


@MANNERS
def test_the_timeout_counts_all_that_an_attempt_does_between_its_waits(
    stage: Stage, manner: dict[str, float]
) -> None:
    stage.start_worker(**manner)
    id = stage.submit("work_beyond_timeout")
    stage.until(id)
    assert stage.outcome(id)["code"] == "TIMEOUT"


@MANNERS
@pytest.mark.parametrize("task", ["nap_beyond_deadline", "work_beyond_deadline"])
def test_the_deadline_ends_a_task_whatever_it_does(stage: Stage, task: str, manner: dict[str, float]) -> None:
    stage.start_worker(**manner)
    id = stage.submit(task)
    assert stage.until(id).run.state is State.FAILED
    assert stage.outcome(id)["code"] == "DEADLINE_EXCEEDED"


def test_a_task_that_nobody_starts_in_time_expires_and_never_runs(stage: Stage) -> None:
    id = stage.submit("expire", name="x")
    due_ms = stage.view(id).run.expires_ms
    await_that(lambda: stage.store.clock.estimate_ms() > due_ms)
    stage.start_worker()
    assert stage.until(id).run.state is State.EXPIRED
    assert stage.effects("x") == []
