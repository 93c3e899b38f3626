"""Cancelling: at once when nobody runs the task, else by way of its worker; and heartbeats."""

from __future__ import annotations

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, exits, park, settle
from slot_contents import Look
from submissions import Submit

from bide.errors import TaskFinished, TaskNotFound
from bide.ids import TaskId
from bide.records import Run
from bide.replies import Cancelled, Need
from bide.state import State
from bide.store import Store


def _retrying(submit: Submit, worker: ScriptedWorker) -> TaskId:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "retrying", b'"why"', delay_ms=5_000))
    return id


@pytest.mark.parametrize("state", ["ready", "scheduled", "retrying"])
def test_a_task_that_nobody_runs_is_cancelled_at_once(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, clock: HandClock, state: str
) -> None:
    if state == "retrying":
        id = _retrying(submit, worker)
    else:
        id = submit(delay_ms=5_000 if state == "scheduled" else 0)
    assert look().runs[id.key].state == state
    clock.pass_ms(7)
    assert store.cancel(id, "") == Cancelled(True, Need())
    slot = look()
    assert slot.places(id.key) == ["done"]
    assert slot.done == {id.key: START_MS + 7 + 60_000}
    run = slot.runs[id.key]
    assert (run.state, run.finished_ms, run.due_ms) == (State.CANCELLED, START_MS + 7, 0)


def test_a_cancelled_task_is_never_leased(submit: Submit, store: Store, worker: ScriptedWorker) -> None:
    store.cancel(submit(), "")
    assert worker.lease() == ()


def test_cancelling_again_answers_the_same_and_changes_nothing(
    submit: Submit, store: Store, look: Look, clock: HandClock
) -> None:
    id = submit()
    store.cancel(id, "")
    before = look()
    clock.pass_ms(1)
    assert store.cancel(id, "") == Cancelled(True, Need())
    assert look() == before


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_a_finished_task_refuses_and_says_how_it_finished(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, state: str
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), state, b"1"))
    before = look()
    with pytest.raises(TaskFinished) as refusal:
        store.cancel(id, "")
    assert refusal.value.state == state
    assert look() == before


def test_a_task_that_is_not_there_is_not_found(store: Store, look: Look) -> None:
    before = look()
    with pytest.raises(TaskNotFound):
        store.cancel(TaskId("default", b"?" * 16), "")
    assert look() == before


def test_another_tenants_task_is_not_found_and_stays(submit: Submit, store: Store, look: Look) -> None:
    id = submit(tenant="acme")
    before = look()
    with pytest.raises(TaskNotFound):
        store.cancel(id, "zeta")
    assert look() == before


# --- running tasks ------------------------------------------------------------------------


def test_the_worker_of_a_running_task_is_asked(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    assert store.cancel(id, "") == Cancelled(False, Need())
    slot = look()
    assert slot.places(id.key) == ["leased"]
    assert slot.runs[id.key] == Run(
        State.RUNNING,
        1,
        3,
        lease.fence,
        "worker",
        60_000,
        started_ms=START_MS,
        cancelling=1,
        since_ms=START_MS,
        began_ms=START_MS,
    )
    assert slot.signals == {"worker": id.key}


def test_asking_again_changes_nothing(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    worker.lease_one()
    store.cancel(id, "")
    before = look()
    assert store.cancel(id, "") == Cancelled(False, Need())
    assert look() == before


def test_the_workers_own_bell_is_rung_and_falls_silent_by_itself(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    id = submit()
    worker.lease_one()
    store.cancel(id, "")
    bell = store.keys.personal_bell("default", "worker")
    assert store.command("LLEN", bell) == 1
    assert 0 < store.command("TTL", bell) <= 60


def test_the_next_exchange_brings_the_cancels_once(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    ids = [submit() for _ in range(3)]
    worker.lease()
    for id in ids[:2]:
        store.cancel(id, "")
    assert worker.exchange().cancels == (ids[0].key, ids[1].key)
    assert worker.exchange().cancels == ()
    assert look().signals == {}


def test_a_cancel_of_what_a_worker_that_left_has_held_leaves_no_signal(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, clock: HandClock
) -> None:
    id = submit()
    worker.lease_one()
    worker.retire(forced=True)
    assert not store.cancel(id, "").now
    assert look().signals == {}
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert look().runs[id.key].state is State.CANCELLED


def test_another_workers_exchange_leaves_the_cancels_alone(submit: Submit, hire: Hire, store: Store) -> None:
    id = submit()
    mine, other = hire("mine"), hire("other")
    mine.lease_one()
    store.cancel(id, "")
    assert other.exchange().cancels == ()
    assert mine.exchange().cancels == (id.key,)


@pytest.mark.parametrize("state", ["retrying", "ready"])
def test_a_cancel_wins_over_another_try(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, state: str
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    assert worker.exchange(settle(lease, state, b'"why"', delay_ms=5)).lost == ()
    slot = look()
    assert slot.places(id.key) == ["done"]
    assert (slot.runs[id.key].state, slot.results) == (State.CANCELLED, {})


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_an_outcome_that_comes_before_the_worker_heard_wins_over_the_cancel(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, state: str
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(settle(lease, state, b"1"))
    slot = look()
    assert (slot.runs[id.key].state, slot.results) == (state, {id.key: b"1"})


def test_a_cancel_that_is_asked_again_wants_a_worker_while_nobody_is_awake_to_clean_up(
    submit: Submit, store: Store, worker: ScriptedWorker
) -> None:
    """The reply that said so the first time may be lost."""
    id = submit()
    lease = worker.lease_one()
    worker.exchange(exits(lease), park(lease, "go"))
    worker.retire(forced=True)
    assert [store.cancel(id, "").need for _ in range(2)] == [Need(workers=1)] * 2


# --- heartbeats ---------------------------------------------------------------------------


def test_a_heartbeat_renews_the_leases_it_names_and_no_others(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    for _ in range(3):
        submit()
    named, stray, also = worker.lease()
    clock.pass_ms(4_000)
    assert worker.heartbeat(named, also) == ((), ())
    assert look().leased == {
        named.id.key: clock.ms + LEASE_MS,
        also.id.key: clock.ms + LEASE_MS,
        stray.id.key: START_MS + LEASE_MS,
    }


def test_a_hundred_leases_are_renewed_at_once(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    for _ in range(100):
        submit()
    leases = worker.lease()
    clock.pass_ms(1)
    worker.heartbeat(*leases)
    assert set(look().leased.values()) == {clock.ms + LEASE_MS}


def test_a_heartbeat_tells_the_leases_that_others_have_now_and_leaves_them(
    submit: Submit, hire: Hire, clock: HandClock, look: Look
) -> None:
    submit()
    submit()
    frozen = hire("frozen")
    leases = frozen.lease()
    clock.pass_ms(LEASE_MS)
    other = hire("other").lease_one()
    before = look().leased
    lost, cancels = frozen.heartbeat(*leases)
    assert set(lost) == {lease.id.key for lease in leases}
    assert cancels == ()
    assert look().leased == before == {other.id.key: clock.ms + LEASE_MS}


def test_a_heartbeat_tells_of_a_task_that_is_gone(
    submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    submit(retention_ms=0)
    lease = worker.lease_one()
    worker.exchange(settle(lease, "succeeded"))
    clock.pass_ms(1)
    worker.exchange()
    assert worker.heartbeat(lease) == ((lease.id.key,), ())


def test_a_lease_that_was_just_settled_is_neither_lost_nor_renewed(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, "succeeded"))
    assert worker.heartbeat(lease) == ((), ())
    assert look().leased == {}


def test_a_heartbeat_brings_a_cancel_until_the_task_has_ended(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange()
    assert worker.heartbeat(lease) == worker.heartbeat(lease) == ((), (id.key,))
    worker.exchange(settle(lease, "cancelled"))
    assert worker.heartbeat(lease) == ((), ())


def test_the_same_heartbeat_again_changes_nothing(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    submit()
    lease = worker.lease_one()
    clock.pass_ms(5)
    worker.heartbeat(lease)
    before = look()
    worker.heartbeat(lease)
    assert look() == before


def test_a_lease_kept_up_by_heartbeats_lasts(
    submit: Submit, hire: Hire, clock: HandClock, look: Look
) -> None:
    id = submit()
    slow, other = hire("slow"), hire("other")
    lease = slow.lease_one()
    for _ in range(5):
        clock.pass_ms(LEASE_MS // 2)
        slow.heartbeat(lease)
        assert other.lease() == ()
    assert slow.exchange(settle(lease, "succeeded", b"1")).lost == ()
    assert look().places(id.key) == ["done"]
