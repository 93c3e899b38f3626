"""Workers among workers: who hands over to whom, who may lease, who is called."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
from stage import Stage, await_that, is_alive

from bide.autoscaler import Limits
from bide.records import Decided
from bide.state import State
from bide.worker.lane import REFRESH_S

HOT = {"hot_wait_seconds": 60.0}


def decisions(stage: Stage) -> list[tuple[str, int]]:
    """Reason and count of each, in order."""
    key = stage.store.keys.slot("default", ("decisions",))[0]
    kept: Any = stage.store.command("LRANGE", key, 0, -1)
    found = (msgspec.msgpack.decode(packed, type=Decided) for packed in reversed(kept))
    return [(decided.reason, decided.workers) for decided in found]


def departures(stage: Stage) -> list[str]:
    return [reason for reason, workers in decisions(stage) if workers < 0]


def exchanges(stage: Stage) -> list[int]:
    """How many each worker has made."""
    ledgers = stage.store.fields(stage.store.keys.slot("default", ("ledgers",))[0])
    return [msgspec.msgpack.decode(packed)[1] for packed in ledgers.values()]


def first_exchange(stage: Stage, workers: int) -> None:
    """Wait until so many have made themselves known."""
    rows = stage.store.keys.slot("default", ("workers",))[0]
    await_that(lambda: stage.store.command("ZCARD", rows) == workers)


# --- handing over -------------------------------------------------------------------------


def test_a_worker_whose_time_is_up_calls_its_successor_and_hands_over(stage: Stage) -> None:
    old = stage.start_worker(wish={"lives_s": 1.0}, **HOT)
    waiting = stage.submit("nap", name="n", seconds=6.0)
    await_that(lambda: stage.wakes("start"))
    assert stage.state(waiting) is State.RUNNING
    stage.start_worker(**HOT)
    await_that(lambda: not is_alive(old))
    assert stage.wakes("start") == [1]
    run = stage.view(waiting).run
    assert (run.state, run.attempt, run.resumes) == (State.WAITING, 1, 1)
    assert decisions(stage)[-2:] == [("successor", 1), ("lifetime", -1)]
    run = stage.until(waiting).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 1)
    assert len(stage.effects("n:ran")) == 1, "the step before the hand-over ran once"


def test_the_successor_is_called_before_the_old_worker_parks_or_ends_anything(stage: Stage) -> None:
    stage.start_worker(wish={"lives_s": 0.6}, grace_seconds=5.0, **HOT)
    slow = stage.submit("doze", name="d", seconds=2.0)
    waits = stage.submit("nap", name="n", seconds=20.0)
    await_that(lambda: stage.wakes("start"))
    assert stage.state(slow) is State.RUNNING
    assert stage.state(waits) is State.RUNNING, "nobody could resume it yet"
    heir = stage.submit("succeed", name="s")
    time.sleep(0.3)
    assert stage.state(heir) is State.READY, "the old worker leases nothing more"
    stage.start_worker(**HOT)
    assert stage.until(heir).run.state is State.SUCCEEDED
    run = stage.until(slow).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 1), "it had time to finish"
    assert stage.until(waits, State.WAITING).run.attempt == 1


def test_a_worker_that_has_nothing_to_hand_over_calls_nobody(stage: Stage) -> None:
    old = stage.start_worker(wish={"lives_s": 0.4})
    await_that(lambda: not is_alive(old))
    assert stage.wakes("start") == []
    assert departures(stage) == ["lifetime"]


def test_an_async_task_that_does_not_end_in_time_goes_back_without_an_attempt_spent(stage: Stage) -> None:
    old = stage.start_worker(wish={"lives_s": 0.4}, grace_seconds=0.1)
    id = stage.submit("doze", name="d", seconds=30.0)
    await_that(lambda: not is_alive(old))
    run = stage.view(id).run
    assert (run.state, run.attempt) == (State.READY, 0)
    assert stage.wakes("unclean") == []


def test_a_plain_function_that_outlives_its_worker_fails_and_is_tried_again(stage: Stage) -> None:
    first = stage.start_worker(wish={"lives_s": 0.4}, grace_seconds=0.1)
    id = stage.submit("deaf", name="d", seconds=30.0)
    await_that(lambda: not is_alive(first))
    assert stage.wakes("unclean") == [1], "the process has to end with the thread"
    second = stage.start_worker(wish={"lives_s": 0.4}, grace_seconds=0.1)
    await_that(lambda: not is_alive(second))
    view = stage.view(id)
    assert (view.run.state, view.run.attempt) == (State.FAILED, 2)
    error = json.loads(view.run.outcome)
    assert error["code"] == "LIFETIME_EXCEEDED"
    assert "async" in error["message"]


def test_a_worker_that_is_stopped_hands_a_plain_function_back(stage: Stage) -> None:
    worker = stage.start_worker(grace_seconds=0.1)
    id = stage.submit("deaf", name="d", seconds=3.0)
    await_that(lambda: stage.effects("d"))
    stage.end(worker)
    run = stage.view(id).run
    assert (run.state, run.attempt) == (State.READY, 0)


# --- leaving ------------------------------------------------------------------------------


def test_a_worker_leaves_at_once_when_only_waits_are_left_and_lingers_when_nothing_is(stage: Stage) -> None:
    patient = {"stays": False, "idle_seconds": 60.0, **HOT}
    waits = stage.start_worker(**patient)
    nap = stage.submit("nap", name="n", seconds=30.0)
    await_that(lambda: not is_alive(waits))
    assert departures(stage) == ["parked"]
    stage.store.cancel(nap, "default")
    lingers = stage.start_worker(**patient)
    stage.until(stage.submit("succeed", name="s"))
    time.sleep(0.5)
    assert is_alive(lingers)


def test_of_two_workers_with_only_waits_one_hands_its_tasks_to_the_other(stage: Stage) -> None:
    """Waits that end soon keep a worker, but not two of them."""
    settings = {"stays": False, "idle_seconds": 60.0, "concurrency": 10, **HOT}
    workers = [stage.start_worker(**settings) for _ in range(2)]
    first_exchange(stage, 2)
    ids = [stage.submit("ticking", name=f"t{number}", times=12, seconds=0.5) for number in range(6)]
    await_that(lambda: sum(map(is_alive, workers)) == 1)
    assert departures(stage) == ["spare"]
    for id in ids:
        run = stage.until(id).run
        assert (run.state, run.attempt) == (State.SUCCEEDED, 1)


def test_the_minimum_stays_though_there_is_nothing_to_do(stage: Stage) -> None:
    workers = [stage.start_worker(stays=False, idle_seconds=0.1, workers_min=1) for _ in range(2)]
    await_that(lambda: sum(map(is_alive, workers)) == 1)
    time.sleep(0.5)
    assert sum(map(is_alive, workers)) == 1


# --- never more than may be ---------------------------------------------------------------


def test_a_worker_too_many_leases_nothing_and_leaves(stage: Stage) -> None:
    first = stage.start_worker(workers_max=1, concurrency=1)
    busy = stage.submit("doze", name="d", seconds=30.0)
    await_that(lambda: stage.effects("d"))
    second = stage.start_worker(workers_max=1, stays=False)
    ready = stage.submit("succeed", name="s")
    await_that(lambda: not is_alive(second))
    assert is_alive(first)
    assert stage.state(ready) is State.READY
    assert departures(stage) == ["excess"]
    stage.store.cancel(busy, "default")
    assert stage.until(ready).run.state is State.SUCCEEDED


def test_a_worker_too_many_goes_on_when_another_leaves(stage: Stage) -> None:
    first = stage.start_worker(workers_max=1)
    first_exchange(stage, 1)
    stage.start_worker(workers_max=1)
    first_exchange(stage, 2)
    time.sleep(1)
    assert max(exchanges(stage)) < 20, "it asks again now and then"
    stage.end(first)
    assert stage.until(stage.submit("succeed", name="s")).run.state is State.SUCCEEDED


def test_a_worker_that_is_let_in_while_there_is_nothing_to_do_hears_the_bell(stage: Stage) -> None:
    first = stage.start_worker(workers_max=1)
    first_exchange(stage, 1)
    stage.start_worker(workers_max=1)
    first_exchange(stage, 2)
    stage.end(first)
    listeners = stage.store.keys.slot("default", ("listeners",))[0]
    await_that(lambda: stage.store.command("ZCARD", listeners) == 1, seconds=REFRESH_S / 2)


# --- calling for others -------------------------------------------------------------------


def test_a_worker_that_cannot_do_it_all_calls_for_others(stage: Stage) -> None:
    stage.store.limits = lambda _: Limits(0, 1_000, 2)
    for number in range(7):
        stage.submit("doze", delay_ms=1, name=f"d{number}", seconds=1.0)
    # All are due by the worker's clock, too, which may lag: else its first look sees only some of them.
    due_ms = stage.store.now_ms() + 500
    await_that(lambda: stage.store.now_ms() > due_ms)
    stage.start_worker(concurrency=2)
    await_that(lambda: stage.wakes("start"))
    assert stage.wakes("start") == [3], "five tasks lack a place"


def test_a_queue_with_places_of_its_own_takes_none_from_others(stage: Stage) -> None:
    stage.start_worker(concurrency=1, queue_limits=[["other", [0, 10, 2]]])
    stage.submit("doze", name="here", seconds=30.0)
    await_that(lambda: stage.effects("here"))
    there = [stage.submit("doze", queue="other", name=f"t{number}", seconds=0.5) for number in range(3)]
    await_that(lambda: sum(bool(stage.effects(f"t{number}")) for number in range(3)) == 2)
    assert [stage.state(id) for id in there].count(State.RUNNING) <= 2
    for id in there:
        assert stage.until(id).run.state is State.SUCCEEDED
