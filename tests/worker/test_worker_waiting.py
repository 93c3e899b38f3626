"""Tasks that wait: kept in a living worker or parked, resumed, ended, replayed."""

from __future__ import annotations

import itertools
import json
import signal
from typing import Any

import pytest
from stage import Stage, await_that, is_alive

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


def progress(stage: Stage, id: TaskId) -> Any:
    said = stage.view(id).progress
    return json.loads(said) if said else None


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
    first = stage.start_worker(**HOT)
    id = stage.submit("nap", name="n", seconds=1.0)
    await_that(lambda: stage.effects("n:seen"))
    stage.end(first, signal.SIGKILL)
    stage.start_worker(**HOT)
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
    both = [stage.submit("doze", name=f"last{number}", seconds=1.0) for number in range(2)]
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
def test_the_deadline_ends_a_task_whatever_it_does(
    stage: Stage, task: str, manner: dict[str, float]
) -> None:
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


# --- replays ----------------------------------------------------------------------------------


def test_a_wait_that_timed_out_fails_the_task(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("give_up_waiting", caught=False)
    stage.until(id)
    error = stage.outcome(id)
    assert error["code"] == "WAIT_TIMEOUT"
    assert "event.go#1 did not come within 0.05 s" in error["message"]


def test_a_wait_that_timed_out_can_be_caught_and_a_replay_meets_it_again(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("give_up_waiting", caught=True)
    run = stage.until(id).run
    assert run.state is State.SUCCEEDED, stage.outcome(id)
    assert run.replays >= 2
    assert stage.outcome(id) == "event.go#1 did not come within 0.05 s."


@MANNERS
def test_a_poll_asks_until_its_timeout_and_once_more(stage: Stage, manner: dict[str, float]) -> None:
    stage.start_worker(**manner)
    id = stage.submit("give_up_polling")
    run = stage.until(id).run
    code, message = stage.outcome(id)
    assert code == "WAIT_TIMEOUT"
    assert f"asked {run.polls} times" in message
    assert run.polls >= 2


def test_a_failure_that_was_caught_is_raised_again_by_a_replay_without_its_step(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("catch_failure", name="c")
    stage.until(id, State.WAITING)
    await_that(lambda: stage.view(id).run.due_ms == 0 and stage.state(id) is State.WAITING)
    send(stage, id)
    stage.until(id)
    assert stage.outcome(id) == ["Refusal", 7, "not today", "came"]
    assert len(stage.effects("c:ran")) == 1
    assert stage.effects("c:caught") == ["Refusal:7:not_today"] * 3


def test_progress_is_shown_and_not_repeated_by_replays(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("report")
    stage.until(id, State.WAITING)
    assert progress(stage, id) == {"fraction": 0.25, "message": "a quarter"}
    send(stage, id)
    await_that(lambda: progress(stage, id) == {"fraction": 0.75, "message": "three quarters"})
    stage.until(id, State.WAITING)
    send(stage, id)
    assert stage.until(id).run.replays == 2
    assert progress(stage, id) == {"fraction": 0.75, "message": "three quarters"}


def test_time_chance_tokens_and_patches_are_the_same_in_every_replay(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("remember", name="r")
    await_that(lambda: stage.view(id).run.replays >= 1 and stage.state(id) is State.WAITING)
    send(stage, id)
    stage.until(id)
    seen = stage.effects("r")
    assert len(seen) == 3
    assert len(set(seen)) == 1
    now, first, token, patched, second = stage.outcome(id)
    assert patched is True
    assert first != second
    assert len(token) == 32
    assert now.endswith("+00:00")


def test_a_task_in_flight_goes_on_in_its_version_beside_those_of_the_next(stage: Stage) -> None:
    old = stage.start_worker(**PARK)
    begun = stage.submit("editions")
    stage.until(begun, State.WAITING)
    stage.end(old)
    stage.start_worker(wish={"tasks": ["program_tasks", "second_edition"]}, **PARK)
    new = stage.submit("editions")
    stage.until(new, State.WAITING)
    for id in (begun, new):
        send(stage, id)
        stage.until(id)
    assert (stage.outcome(begun), stage.outcome(new)) == ("first", "second")


def test_changed_code_is_told_with_what_the_journal_holds_and_what_it_came_to(stage: Stage) -> None:
    old = stage.start_worker(**PARK)
    id = stage.submit("change", name="c")
    stage.until(id, State.WAITING)
    stage.end(old)
    stage.start_worker(wish={"environ": {"NEW": "1"}}, **PARK)
    send(stage, id)
    run = stage.until(id).run
    error = stage.outcome(id)
    assert (run.state, run.attempt, error["code"]) == (State.FAILED, 1, "CODE_CHANGED")
    assert "the journal holds acted_in_thread#1" in error["message"]
    assert "the code came to acted#1" in error["message"]
    assert len(stage.effects("c:ran")) == 1


def test_guarded_changes_are_left_out_by_tasks_in_flight_and_run_by_new_ones(stage: Stage) -> None:
    old = stage.start_worker(**PARK)
    begun = stage.submit("patch", name="old")
    stage.until(begun, State.WAITING)
    stage.end(old)
    stage.start_worker(wish={"environ": {"NEW": "1"}}, **PARK)
    new = stage.submit("patch", name="new")
    stage.until(new, State.WAITING)
    for id in (begun, new):
        send(stage, id)
        assert stage.until(id).run.state is State.SUCCEEDED, stage.outcome(id)
    assert stage.effects("old/added:ran") == []
    assert len(stage.effects("new/added:ran")) == 1


# --- limits and misuse --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("entries", ["random#1001 would be entry 1,001", "holds 1,000"]),
        ("bytes", ["With _letters#5 the journal would hold", "262,144"]),
        ("entry", ["_letters#1 gave 70,002 bytes of JSON", "65,536"]),
    ],
)
def test_a_full_journal_fails_the_task_and_names_the_step(
    stage: Stage, what: str, words: list[str]
) -> None:
    stage.start_worker()
    id = stage.submit("overflow", what=what)
    run, error = stage.until(id).run, stage.outcome(id)
    assert (error["code"], run.attempt) == ("JOURNAL_FULL", 1)
    for word in words:
        assert word in error["message"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("not json", ["_object#1 gave a object, which JSON cannot hold"]),
        ("foreign step", ["was called in an asyncio task", "ctx.gather"]),
        ("foreign wait", ["ctx.sleep was called in an asyncio task", "ctx.gather"]),
        ("wait_for", ["was called in an asyncio task", "ctx.gather"]),
        ("parked beside foreign", ["event.go#1 would be parked", "ctx.gather"]),
        ("event name", ["'No Name' is no event name"]),
    ],
)
def test_misuse_fails_the_task_at_once_and_says_what_to_do(stage: Stage, what: str, words: list[str]) -> None:
    stage.start_worker()
    id = stage.submit("misuse", what=what)
    run, error = stage.until(id).run, stage.outcome(id)
    assert (error["code"], run.attempt) == ("MISUSE", 1)
    for word in words:
        assert word in error["message"]


def test_a_plain_function_runs_in_a_thread_and_blocks_no_neighbour(stage: Stage) -> None:
    stage.start_worker()
    ids = [stage.submit("plain", seconds=0.2) for _ in range(3)] + [stage.submit("nap", name="n", seconds=0.01)]
    for id in ids:
        assert stage.until(id).run.state is State.SUCCEEDED
    assert progress(stage, ids[0]) == {"fraction": 1.0, "message": ""}


def test_a_plain_function_that_waits_is_told_to_become_async(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("plain_waits")
    stage.until(id)
    error = stage.outcome(id)
    assert error["code"] == "MISUSE"
    assert "async def" in error["message"]


# --- groups -----------------------------------------------------------------------------------


@MANNERS
def test_gather_fails_fast_and_cancels_the_others(stage: Stage, manner: dict[str, float]) -> None:
    """The branch that is cancelled would have waited for a minute."""
    stage.start_worker(**manner)
    id = stage.submit("gather_fails", name="g")
    stage.until(id, State.WAITING)
    await_that(lambda: stage.view(id).run.awaits == "go")
    send(stage, id)
    stage.until(id)
    assert stage.outcome(id) == "a branch fails"
    assert stage.effects("g:cancelled")


@MANNERS
def test_first_gives_the_winner_again_and_cancels_the_others(stage: Stage, manner: dict[str, float]) -> None:
    stage.start_worker(**manner)
    id = stage.submit("first_wins", name="f")
    await_that(lambda: stage.view(id).run.awaits == "go")
    send(stage, id)
    stage.until(id)
    assert stage.outcome(id) == [1, stage.effects("f:ran")[0]]
    assert len(stage.effects("f:ran")) == 1
    assert len(stage.effects("f:cancelled")) == 1
