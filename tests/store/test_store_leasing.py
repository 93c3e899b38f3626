"""Handing tasks to workers: order, fences, attempts, isolation."""

from __future__ import annotations

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, settle
from slot_contents import Look
from submissions import Submit

from bide.clock import Clock
from bide.records import Run, Spec
from bide.state import State
from bide.store import Store


def test_a_leased_task_moves_from_ready_to_leased(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = submit(tenant="acme", max_attempts=5, retention_ms=7)
    clock.pass_ms(10)
    lease = worker.lease_one()
    slot = look()
    assert slot.places(id.key) == ["leased"]
    assert slot.leased == {id.key: START_MS + 10 + LEASE_MS}
    assert slot.runs[id.key] == Run(
        State.RUNNING,
        attempt=1,
        max_attempts=5,
        fence=lease.fence,
        worker="worker",
        retention_ms=7,
        started_ms=START_MS + 10,
        since_ms=START_MS,
        began_ms=START_MS + 10,
    )


def test_a_lease_tells_what_to_run(submit: Submit, worker: ScriptedWorker) -> None:
    id = submit(name="add", args='{"a":1}', tenant="acme")
    lease = worker.lease_one()
    assert (lease.id, lease.attempt, lease.isolated) == (id, 1, False)
    assert lease.spec == Spec("add", "acme", max_attempts=3, retention_ms=60_000, args='{"a":1}')


def test_a_lease_ends_by_the_local_clock_when_it_was_asked_for_plus_its_length(
    submit: Submit, worker: ScriptedWorker
) -> None:
    submit()
    lease = worker.lease_one(lease_ms=2_500)
    assert lease.expires_at == 2.5


@pytest.mark.parametrize(("answered_in_s", "is_asked_again"), [(0.9, True), (0.1, False)])
def test_a_reading_of_the_time_that_may_lag_by_much_of_a_lease_is_taken_anew(
    submit: Submit, hire: Hire, store: Store, answered_in_s: float, is_asked_again: bool
) -> None:
    """Else each lease seems to have run out on its way, and is handed back and taken again, on and on."""
    at = 1_000.0
    clock = store.clock = Clock(lambda: at)
    clock.record((START_MS // 1_000, 0), sent=at - answered_in_s)
    submit()
    lease = hire().lease_one(lease_ms=600)
    assert lease.expires_at == pytest.approx(0.6 if is_asked_again else 0.5)  # asked for at 0


def test_first_in_first_out(submit: Submit, hire: Hire) -> None:
    ids = [submit() for _ in range(7)]
    one, other = hire("one"), hire("other")
    assert [lease.id for worker in (one, other, one) for lease in worker.lease(2)] == ids[:6]


@pytest.mark.parametrize("capacity", [0, 1, 3])
def test_no_more_tasks_are_leased_than_asked_for(
    submit: Submit, worker: ScriptedWorker, look: Look, capacity: int
) -> None:
    for _ in range(5):
        submit()
    reply = worker.exchange(capacity=capacity)
    assert len(reply.leases) == capacity
    assert reply.ready == len(look().ready) == 5 - capacity


def test_a_hundred_at_once(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    ids = [submit() for _ in range(101)]
    leases = worker.lease(100)
    assert [lease.id for lease in leases] == ids[:100]
    settles = [settle(lease, "succeeded", b"1") for lease in leases]
    assert worker.exchange(*settles).lost == ()
    assert len(look().done) == 100


def test_fences_grow_with_every_lease(submit: Submit, hire: Hire, clock: HandClock) -> None:
    for _ in range(3):
        submit()
    fences = [lease.fence for lease in hire("a").lease(2)] + [hire("b").lease_one().fence]
    clock.pass_ms(LEASE_MS)
    hire("c").exchange()
    fences += [lease.fence for lease in hire("d").lease()]
    assert len(fences) == 6
    assert fences == sorted(set(fences))


def test_the_next_due_time_is_the_earliest_of_due_and_leased(
    submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    assert worker.exchange().next_due_ms is None
    submit(delay_ms=LEASE_MS * 2)
    assert worker.exchange().next_due_ms == START_MS + LEASE_MS * 2
    submit()
    assert worker.exchange(capacity=1).next_due_ms == START_MS + LEASE_MS
    submit(delay_ms=5)
    assert worker.exchange().next_due_ms == START_MS + 5


# --- attempts -----------------------------------------------------------------------------


def test_a_first_start_is_attempt_one(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    assert worker.lease_one().attempt == 1


def test_a_retry_is_another_attempt_and_keeps_the_first_start(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "retrying", delay_ms=5))
    clock.pass_ms(5)
    assert worker.lease_one().attempt == 2
    assert look().runs[id.key].started_ms == START_MS


def test_a_crash_costs_an_attempt(submit: Submit, hire: Hire, clock: HandClock) -> None:
    submit()
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    assert hire("alive").lease_one().attempt == 2


def test_handing_back_costs_none(submit: Submit, hire: Hire) -> None:
    submit()
    leaver = hire("leaver")
    leaver.exchange(settle(leaver.lease_one(), "ready"))
    assert hire("other").lease_one().attempt == 1


# --- isolation: see also test_store_isolation.py ------------------------------------------


@pytest.fixture
def suspects(submit: Submit, hire: Hire, clock: HandClock, store: Store) -> list[bytes]:
    """Three tasks that one crash has left with their last attempt."""
    ids = []
    for _ in range(3):
        ids.append(submit(max_attempts=2).key)
        clock.pass_ms(1)
    hire("dead").lease()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    return ids


def test_a_crash_with_one_attempt_left_isolates_a_task(suspects: list[bytes], look: Look) -> None:
    slot = look()
    assert list(slot.isolated) == suspects
    assert {slot.runs[key].state for key in suspects} == {State.READY}
    assert slot.ready == {}


def test_a_crash_with_more_attempts_left_does_not(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, store: Store, look: Look
) -> None:
    id = submit(max_attempts=3)
    worker.lease()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert look().places(id.key) == ["ready"]


def test_an_isolated_task_counts_against_the_capacity(
    suspects: list[bytes], submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    submit()
    assert [lease.id.key for lease in worker.lease(1)] == suspects[:1]
    assert len(look().ready) == 1


def test_without_capacity_no_isolated_task_is_leased(suspects: list[bytes], worker: ScriptedWorker) -> None:
    assert worker.exchange(capacity=0, isolate=True).leases == ()


def test_workers_share_isolated_tasks_out(suspects: list[bytes], hire: Hire) -> None:
    leases = [hire(name).lease_one() for name in "abc"]
    assert [lease.id.key for lease in leases] == suspects
    assert {lease.attempt for lease in leases} == {2}


# --- the same exchange again --------------------------------------------------------------


def test_the_same_exchange_again_brings_the_same_leases_and_no_more(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    for _ in range(5):
        submit()
    first = worker.exchange(capacity=3)
    after = look()
    assert worker.repeat() == first
    assert look() == after


def test_an_isolated_lease_is_isolated_again(suspects: list[bytes], worker: ScriptedWorker) -> None:
    first = worker.exchange(capacity=3)
    assert worker.repeat() == first
    assert [lease.isolated for lease in first.leases] == [True]


def test_a_repeat_brings_no_lease_that_has_been_lost_since(
    submit: Submit, hire: Hire, clock: HandClock
) -> None:
    submit()
    submit()
    slow = hire("slow")
    kept = slow.lease()[1]
    clock.pass_ms(LEASE_MS - 1)
    slow.heartbeat(kept)
    clock.pass_ms(1)
    hire("other").lease()
    assert slow.repeat().leases == (kept,)


def test_a_repeat_does_not_take_up_tasks_that_came_in_between(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    assert worker.exchange(capacity=3).leases == ()
    id = submit()
    assert worker.repeat().leases == ()
    assert look().places(id.key) == ["ready"]
