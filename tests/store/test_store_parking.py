"""Parking: a waiting task leaves its worker, and resumes the attempt that it was in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, deliver, park, settle
from slot_contents import Look
from submissions import Submit

from bide.exchange import Usage
from bide.ids import TaskId
from bide.records import Run
from bide.replies import Cancelled, Need
from bide.state import State
from bide.store import Store


def test_a_parked_task_stands_in_due_until_its_time(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = submit()
    lease = worker.lease_one()
    assert worker.exchange(park(lease, delay_ms=500)).lost == ()
    slot = look()
    assert slot.places(id.key) == ["due"]
    assert slot.due == {id.key: START_MS + 500}
    assert slot.runs[id.key] == Run(
        State.WAITING, 1, 3, lease.fence, "", 60_000, started_ms=START_MS, due_ms=START_MS + 500,
        parked_ms=START_MS, resumes=1, since_ms=START_MS, began_ms=START_MS,
    )  # fmt: skip
    clock.pass_ms(500)
    worker.exchange()
    assert look().places(id.key) == ["ready"]


def test_a_task_parked_for_an_event_alone_stands_in_no_index(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = submit()
    worker.exchange(park(worker.lease_one(), "go stop"))
    clock.pass_ms(10**9)
    worker.exchange()
    slot = look()
    assert slot.places(id.key) == []
    assert (slot.runs[id.key].state, slot.runs[id.key].awaits) == (State.WAITING, "go stop")


def test_a_thousand_parks_and_resumes_stay_in_attempt_one(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = submit(max_attempts=2)
    lease = worker.lease_one()
    for _ in range(1_000):
        clock.pass_ms(1)
        (lease,) = worker.exchange(park(lease, delay_ms=0), capacity=1).leases
    assert lease.attempt == 1
    worker.exchange(settle(lease, "succeeded", b"1"))
    assert (look().runs[id.key].state, look().runs[id.key].attempt) == (State.SUCCEEDED, 1)


def test_a_resumed_lease_has_a_newer_fence(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    lease = worker.lease_one()
    (again,) = worker.exchange(park(lease, delay_ms=0), capacity=1).leases
    assert again.fence > lease.fence
    assert worker.exchange(settle(lease, "succeeded")).lost == (0,)


def test_a_resumed_task_that_is_reaped_begins_a_new_attempt(
    submit: Submit, hire: Hire, clock: HandClock
) -> None:
    submit()
    worker = hire("dies")
    worker.exchange(park(worker.lease_one(), delay_ms=0, usage=Usage(active_ms=700)))
    resumed = worker.lease_one()
    assert (resumed.attempt, resumed.run.active_ms) == (1, 700)
    clock.pass_ms(LEASE_MS)
    heir = hire("heir").lease_one()
    assert (heir.attempt, heir.run.active_ms) == (2, 0)


def test_a_resumed_task_that_is_handed_back_keeps_its_attempt(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    worker.exchange(park(worker.lease_one(), delay_ms=0))
    (again,) = worker.exchange(settle(worker.lease_one(), "ready"), capacity=1).leases
    assert again.attempt == 1


def test_a_task_that_resumes_its_last_attempt_after_a_crash_is_isolated(
    submit: Submit, worker: ScriptedWorker, hire: Hire, look: Look, clock: HandClock
) -> None:
    """Its next crash would be its last."""
    id = submit(max_attempts=2)
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    worker.exchange(park(worker.lease_one(), delay_ms=0), isolate=False)
    assert look().places(id.key) == ["isolated"]


def test_a_late_park_of_a_reaped_lease_is_lost(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert worker.exchange(park(lease, "go")).lost == (0,)
    assert look().places(id.key) == ["ready"]


@pytest.mark.parametrize(("awaits", "delay_ms"), [("", 500), ("go", -1), ("go", 500), ("", 0)])
def test_the_same_park_again_changes_nothing(
    submit: Submit, worker: ScriptedWorker, look: Look, awaits: str, delay_ms: int
) -> None:
    submit()
    lease = worker.lease_one()
    first = worker.exchange(park(lease, awaits, delay_ms=delay_ms, usage=Usage(5, 6, 7, 8, 9, 10, 1)))
    after = look()
    assert worker.repeat() == first
    assert look() == after
    assert worker.exchange(park(lease, awaits, delay_ms=delay_ms, usage=Usage(5))).lost == ()
    assert replace(look(), ledgers=after.ledgers) == after


def test_a_park_whose_event_comes_in_the_same_exchange_is_ready_and_nowhere_else(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(park(lease, "~1.1", delay_ms=60_000), deliver(id.key, "~1.1"))
    assert look().runs[id.key].state == State.READY
    assert look().places(id.key) == ["ready"]


# --- the time that it waits ---------------------------------------------------------------


def test_the_time_in_a_park_counts_as_waited(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = submit()
    worker.exchange(park(worker.lease_one(), delay_ms=500, usage=Usage(waited_ms=20)))
    clock.pass_ms(700)
    worker.exchange()
    assert look().runs[id.key].waited_ms == look().stats["waited_ms"] == 720


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
@pytest.mark.parametrize("ended_by", ["event", "cancel"])
def test_a_clock_that_jumps_makes_no_negative_waits(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, clock: HandClock,
    jump_ms: int, ended_by: str,
) -> None:  # fmt: skip
    id = submit()
    worker.exchange(park(worker.lease_one(), "go"))
    clock.pass_ms(jump_ms)
    if ended_by == "event":
        store.send_event(id, "", "go", b"1")
    else:
        store.cancel(id, "")
    run = look().runs[id.key]
    assert run.waited_ms == max(0, jump_ms)
    assert run.finished_ms == 0 or run.finished_ms >= run.started_ms


# --- cancelling ---------------------------------------------------------------------------


@pytest.mark.parametrize("delay_ms", [-1, 5_000])
def test_a_parked_task_is_cancelled_at_once(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, delay_ms: int
) -> None:
    id = submit()
    worker.exchange(park(worker.lease_one(), "go", delay_ms=delay_ms))
    assert store.cancel(id, "") == Cancelled(True, Need())
    slot = look()
    assert slot.places(id.key) == ["done"]
    assert (slot.runs[id.key].state, slot.runs[id.key].awaits) == (State.CANCELLED, "")


@pytest.fixture
def with_exits(submit: Submit, worker: ScriptedWorker) -> TaskId:
    """A parked task that has something to run at its end."""
    id = submit()
    worker.exchange(park(worker.lease_one(), "go", delay_ms=5_000, usage=Usage(exits=1)))
    return id


def test_a_parked_task_with_exits_resumes_for_them_when_it_is_cancelled(
    with_exits: TaskId, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    assert store.cancel(with_exits, "") == Cancelled(False, Need())
    slot = look()
    assert slot.places(with_exits.key) == ["ready"]
    assert slot.runs[with_exits.key].cancelling == 1
    lease = worker.lease_one()
    assert (lease.run.cancelling, lease.attempt) == (1, 1)
    worker.exchange(settle(lease, "cancelled"))
    assert look().runs[with_exits.key].state == State.CANCELLED


def test_asking_twice_to_cancel_a_parked_task_with_exits_is_asking_once(
    with_exits: TaskId, store: Store, look: Look
) -> None:
    first = store.cancel(with_exits, "")
    after = look()
    assert store.cancel(with_exits, "") == first
    assert look() == after


def test_cancelling_a_parked_task_with_exits_wants_a_worker_when_none_is_awake(
    with_exits: TaskId, worker: ScriptedWorker, store: Store
) -> None:
    assert worker.retire()
    assert store.cancel(with_exits, "") == Cancelled(False, Need(workers=1))


def test_a_resumed_task_with_exits_that_is_ready_is_asked(
    with_exits: TaskId, store: Store, look: Look
) -> None:
    store.send_event(with_exits, "", "go", b"1")
    assert not store.cancel(with_exits, "").now
    assert look().places(with_exits.key) == ["ready"]


def test_a_park_while_a_cancel_is_asked_is_cancelled(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(park(lease, "go", delay_ms=5))
    assert look().places(id.key) == ["done"]
    assert look().runs[id.key].state == State.CANCELLED


def test_a_park_with_exits_while_a_cancel_is_asked_resumes_for_them(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    """Its code was unwound for the park, and has not run them."""
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(park(lease, "go", delay_ms=5_000, usage=Usage(exits=1)))
    assert look().places(id.key) == ["ready"]
    (resumed,) = worker.lease(1)
    assert resumed.run.cancelling == 1
