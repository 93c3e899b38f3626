"""What a task has asked to be run at its end is run, however it ends."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from stage import SHORT_LEASE, Stage, await_that

from bide.state import State

PARK = {"hot_wait_seconds": 0.0}


def test_a_cancel_finds_a_task_at_any_moment_and_what_it_asked_for_is_run(stage: Stage) -> None:
    """Before its first step, between two, in a wait, in a replay, between two leases."""
    stage.start_worker(**PARK)
    stage.start_worker(hot_wait_seconds=60.0)
    moments = random.Random(7)
    ids = []
    for number in range(120):
        id = stage.submit("begin_in_haste", name=f"h{number}")
        time.sleep(moments.uniform(0, 0.04))
        stage.store.cancel(id, "default")
        ids.append(id)
    for id in ids:
        assert stage.until(id).run.state is State.CANCELLED
    asked = [f"h{number}" for number in range(120) if stage.effects(f"h{number}:asked")]
    assert len(asked) > 10, "they were cancelled too early to tell"
    for name in asked:
        assert stage.effects(f"{name}:exit") == stage.effects(f"{name}:ran")


def test_it_is_run_also_where_workers_die_while_tasks_are_cancelled(stage: Stage) -> None:
    """Two of three workers are killed, whatever they are at."""
    manner = {"lease_seconds": 2.0, "hot_wait_seconds": 0.0}
    workers = [stage.start_worker(**manner) for _ in range(3)]
    moments = random.Random(11)
    ids = []
    for number in range(60):
        ids.append(stage.submit("begin_in_haste", name=f"k{number}"))
        time.sleep(moments.uniform(0, 0.02))
        if number in (20, 40):
            os.kill(workers.pop(), signal.SIGKILL)
        if number >= 10:
            stage.store.cancel(ids[number - 10], "default")
    for id in ids[-10:]:
        stage.store.cancel(id, "default")
    for id in ids:
        assert stage.until(id).run.state is State.CANCELLED
    asked = [f"k{number}" for number in range(60) if stage.effects(f"k{number}:asked")]
    assert len(asked) > 10, "they were cancelled too early to tell"
    assert [name for name in asked if not stage.effects(f"{name}:exit")] == []


def test_a_cancel_that_its_worker_does_not_live_to_settle_runs_it(stage: Stage) -> None:
    worker = stage.start_worker(**SHORT_LEASE)
    id = stage.submit("ask_and_work", name="w")
    await_that(lambda: stage.effects("w:seen"))
    os.kill(worker, signal.SIGSTOP)
    assert not stage.store.cancel(id, "default").now
    stage.end(worker, signal.SIGKILL)
    assert not stage.effects("w:exit")
    stage.start_worker()
    assert stage.until(id).run.state is State.CANCELLED
    assert len(stage.effects("w:exit")) == 1
    assert len(stage.effects("w:ran")) == 1, "a replay runs no step again"


def test_a_cancel_between_two_attempts_runs_it(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("ask_and_fail", name="f")
    stage.until(id, State.RETRYING)
    assert not stage.store.cancel(id, "default").now
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.CANCELLED, 1)
    assert len(stage.effects("f:exit")) == len(stage.effects("f:ran")) == 1


def test_a_cancel_that_the_code_answers_with_an_exception_runs_it(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("ask_and_answer", name="a")
    await_that(lambda: stage.effects("a:seen"))
    stage.store.cancel(id, "default")
    assert stage.until(id).run.state is State.CANCELLED
    assert len(stage.effects("a:exit")) == len(stage.effects("a:seen")) == 1


def test_a_deadline_that_passes_while_the_task_is_parked_runs_it(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("ask_and_wait", name="d")
    assert stage.until(id).run.state is State.FAILED
    assert stage.outcome(id)["code"] == "DEADLINE_EXCEEDED"
    assert len(stage.effects("d:exit")) == 1


def test_the_loss_of_the_last_worker_runs_it(stage: Stage) -> None:
    stage.start_worker(**SHORT_LEASE)
    id = stage.submit("ask_and_die", name="l")
    await_that(lambda: stage.effects("l:seen"))
    stage.start_worker()
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.FAILED, 1)
    assert stage.outcome(id)["code"] == "WORKER_LOST"
    assert len(stage.effects("l:exit")) == 1
    assert len(stage.effects("l:ran")) == 1


def test_code_that_does_not_unwind_has_it_run_all_the_same(stage: Stage) -> None:
    stage.start_worker(**PARK)
    id = stage.submit("ask_and_stay", name="s")
    assert stage.until(id).run.state is State.FAILED
    assert stage.outcome(id)["code"] == "MISUSE"
    assert len(stage.effects("s:exit")) == 1


def test_what_it_raises_ends_neither_the_worker_nor_what_follows(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("ask_for_the_impossible", name="i")
    assert stage.until(id).run.state is State.SUCCEEDED
    assert len(stage.effects("i:exit")) == 1
    assert stage.until(stage.submit("succeed", name="after")).run.attempt == 1


def test_a_plain_function_cannot_be_replayed_so_it_is_cancelled_at_once_between_two_attempts(
    stage: Stage,
) -> None:
    stage.start_worker()
    id = stage.submit("ask_in_thread", name="t")
    stage.until(id, State.RETRYING)
    assert stage.store.cancel(id, "default").now
    assert not stage.effects("t:exit")


@pytest.mark.parametrize("state", [State.READY, State.RETRYING])
def test_a_task_that_asked_for_nothing_is_cancelled_without_a_worker(stage: Stage, state: State) -> None:
    if state is State.RETRYING:
        worker = stage.start_worker()
        id = stage.submit("retrying.cancel", name="n")
        stage.until(id, state)
        stage.end(worker)
    else:
        id = stage.submit("ready.cancel", name="n")
    assert stage.store.cancel(id, "default").now
