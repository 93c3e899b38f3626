"""What a task meets again when it is replayed, and what it may not do because of that."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from stage import Stage, await_that

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
    stage.start_worker(wish={"environ": {"NEW": "1"}, "patience_s": 0}, **PARK)
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
def test_a_full_journal_fails_the_task_and_names_the_step(stage: Stage, what: str, words: list[str]) -> None:
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
    ids = [stage.submit("plain", seconds=0.2) for _ in range(3)] + [
        stage.submit("nap", name="n", seconds=0.01)
    ]
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
