"""The end of tasks that have asked for something to be run then: they are leased once more for it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Sweep, entry, exits, park, settle
from slot_contents import Look
from submissions import Submit

from bide.exchange import EXIT_TRIES, Lease, Usage
from bide.history import Outcome
from bide.ids import TaskId
from bide.reads import Reads
from bide.records import Run
from bide.state import State
from bide.store import Store

FAILURE = b'{"code":"TASK_FAILED","message":"no"}'


@pytest.fixture
def begun(submit: Submit, worker: ScriptedWorker) -> Lease:
    """The lease of a task that has asked for something."""
    submit(max_attempts=2)
    lease = worker.lease_one()
    worker.exchange(exits(lease))
    return lease


def _run(look: Look, id: TaskId) -> Run:
    return look().runs[id.key]


def _attempts(store: Store, id: TaskId) -> list[Outcome]:
    return [attempt.outcome for attempt in Reads(store).attempts(id, "").attempts]


def _ends(lease: Lease, worker: ScriptedWorker) -> None:
    """As a worker that has run what was asked for."""
    worker.exchange(settle(lease, lease.run.ending, lease.run.outcome.encode()))


# --- who decides the end --------------------------------------------------------------------


def test_a_cancel_that_its_worker_does_not_live_to_settle_is_settled_by_another(
    begun: Lease, store: Store, sweep: Sweep, hire: Hire, clock: HandClock, look: Look
) -> None:
    assert not store.cancel(begun.id, "").now
    clock.pass_ms(LEASE_MS)
    sweep()
    assert look().places(begun.id.key) == ["isolated"]
    heir = hire("heir")
    lease = heir.lease_one()
    assert (lease.run.ending, lease.attempt) == ("cancelled", 1)
    assert _attempts(store, begun.id) == [Outcome.LOST], "no attempt is under way"
    _ends(lease, heir)
    assert _run(look, begun.id).state is State.CANCELLED
    assert _attempts(store, begun.id) == [Outcome.LOST]


def test_a_task_that_is_cancelled_between_two_attempts_is_leased_for_its_end(
    begun: Lease, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    worker.exchange(settle(begun, "retrying", FAILURE, delay_ms=60_000))
    assert not store.cancel(begun.id, "").now
    lease = worker.lease_one()
    assert (lease.run.ending, lease.attempt) == ("cancelled", 1)
    _ends(lease, worker)
    assert _run(look, begun.id).state is State.CANCELLED
    assert _attempts(store, begun.id) == [Outcome.RETRYING]


@pytest.mark.parametrize("then", ["ready", "retrying", "waiting"])
def test_a_lease_that_ends_after_a_cancel_without_having_heard_of_it_is_followed_by_one_for_the_end(
    begun: Lease, worker: ScriptedWorker, store: Store, look: Look, then: str
) -> None:
    store.cancel(begun.id, "")
    worker.exchange(settle(begun, then, b"", delay_ms=0))
    lease = worker.lease_one()
    assert (lease.run.ending, lease.attempt) == ("cancelled", 1)
    _ends(lease, worker)
    assert _attempts(store, begun.id) == [Outcome.CANCELLED]


@pytest.mark.parametrize("then", ["ready", "retrying", "waiting"])
def test_a_deadline_that_no_worker_meets_is_followed_by_a_lease_for_the_end(
    submit: Submit,
    worker: ScriptedWorker,
    sweep: Sweep,
    clock: HandClock,
    look: Look,
    store: Store,
    then: str,
) -> None:
    id = submit(deadline_ms=500, max_attempts=3)
    lease = worker.lease_one(lease_ms=10**9)
    worker.exchange(exits(lease), settle(lease, then, b"", delay_ms=60_000))
    clock.pass_ms(500)
    sweep()
    slot = look()
    assert (slot.places(id.key), slot.ends) == (["ready"], {})
    lease = worker.lease_one()
    assert lease.run.ending == "failed"
    assert json.loads(lease.run.outcome)["code"] == "DEADLINE_EXCEEDED"
    _ends(lease, worker)
    assert _run(look, id).state is State.FAILED
    assert b"DEADLINE_EXCEEDED" in look().results[id.key]
    before = {"ready": [], "retrying": [Outcome.RETRYING], "waiting": [Outcome.FAILED]}
    assert _attempts(store, id) == before[then]


def test_a_task_whose_last_worker_is_lost_is_leased_for_its_end_alone_and_isolated(
    submit: Submit, hire: Hire, sweep: Sweep, clock: HandClock, look: Look, store: Store
) -> None:
    id = submit(max_attempts=1)
    dead = hire("dead")
    dead.exchange(exits(dead.lease_one()))
    clock.pass_ms(LEASE_MS)
    sweep()
    assert look().places(id.key) == ["isolated"]
    heir = hire("heir")
    lease = heir.lease_one()
    assert (lease.run.ending, lease.attempt, lease.isolated) == ("failed", 1, True)
    _ends(lease, heir)
    assert _run(look, id).state is State.FAILED
    assert b"WORKER_LOST" in look().results[id.key]
    assert _attempts(store, id) == [Outcome.LOST]


def test_a_worker_may_end_a_task_and_leave_what_it_asked_for_to_another_lease(
    begun: Lease, worker: ScriptedWorker, look: Look
) -> None:
    worker.exchange(settle(begun, "failed", FAILURE, usage=Usage(exits=1)))
    lease = worker.lease_one()
    assert (lease.run.ending, lease.run.outcome) == ("failed", FAILURE.decode())
    _ends(lease, worker)
    assert (_run(look, begun.id).state, look().results[begun.id.key]) == (State.FAILED, FAILURE)


def test_what_a_worker_said_last_may_be_lost_with_it_so_a_journal_is_replayed_for_the_end(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1))
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert not store.cancel(id, "").now
    assert worker.lease_one().run.ending == "cancelled"


# --- one end --------------------------------------------------------------------------------


def test_a_task_that_has_asked_for_nothing_ends_at_once(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "retrying", FAILURE, delay_ms=60_000))
    assert store.cancel(id, "").now


def test_what_was_decided_first_stands(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    id = submit(deadline_ms=500)
    lease = worker.lease_one(lease_ms=10**9)
    worker.exchange(exits(lease), park(lease, "go"))
    store.cancel(id, "")
    clock.pass_ms(500)
    worker.exchange()
    assert _run(look, id).ending == "cancelled"
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(settle(lease, "succeeded", b"1"))
    assert (_run(look, id).state, look().results) == (State.CANCELLED, {})


def test_a_lease_for_the_end_is_asked_to_cancel_no_more(
    begun: Lease, worker: ScriptedWorker, store: Store
) -> None:
    """One reply may bring the lease and the cancel that the task has ended by."""
    store.cancel(begun.id, "")
    reply = worker.exchange(park(begun, "go"), capacity=1)
    (lease,) = reply.leases
    assert (lease.run.ending, lease.run.cancelling) == ("cancelled", 0)
    assert worker.heartbeat(lease) == ((), ())


def test_the_same_exchange_again_changes_nothing(begun: Lease, worker: ScriptedWorker, look: Look) -> None:
    first = worker.exchange(exits(begun), settle(begun, "failed", FAILURE, usage=Usage(exits=1)), capacity=1)
    after = look()
    assert worker.repeat() == first
    assert look() == after


def test_a_task_is_told_to_end_by_its_latest_lease_alone(
    begun: Lease, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    before = look().runs
    assert worker.exchange(exits(begun)).lost == (0,)
    assert look().runs == before


# --- how often ------------------------------------------------------------------------------


def _die(hire: Hire, clock: HandClock, look: Look) -> Callable[[], bool]:
    numbers = iter(range(100))

    def once() -> bool:
        """A worker takes the task and dies; whether there was one to take."""
        leases = hire(f"victim {next(numbers)}").lease(1)
        clock.pass_ms(LEASE_MS)
        return bool(leases)

    return once


def test_an_end_that_kills_its_workers_is_tried_only_so_often(
    begun: Lease, worker: ScriptedWorker, store: Store, hire: Hire, clock: HandClock, look: Look
) -> None:
    worker.exchange(park(begun, "go"))
    store.cancel(begun.id, "")
    die = _die(hire, clock, look)
    assert look().places(begun.id.key) == ["ready"]
    tries = 0
    while die():
        tries += 1
        hire("sweeper").exchange()
        assert look().places(begun.id.key) in (["isolated"], ["done"])
    assert tries == EXIT_TRIES
    assert _run(look, begun.id).state is State.CANCELLED


def test_a_lease_for_the_end_that_is_handed_back_costs_no_try(
    begun: Lease, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    worker.exchange(park(begun, "go"))
    store.cancel(begun.id, "")
    for _ in range(2 * EXIT_TRIES):
        lease = worker.lease_one()
        worker.exchange(settle(lease, "ready"))
    assert (_run(look, begun.id).exits, _run(look, begun.id).attempt) == (EXIT_TRIES, 1)
    assert look().places(begun.id.key) == ["ready"]


def test_an_end_whose_code_is_not_there_is_tried_again_later_and_only_so_often(
    begun: Lease, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    worker.exchange(park(begun, "go"))
    store.cancel(begun.id, "")
    for number in range(EXIT_TRIES):
        worker.exchange(settle(worker.lease_one(), "retrying", FAILURE, delay_ms=50))
        expected = State.CANCELLED if number == EXIT_TRIES - 1 else State.RETRYING
        assert _run(look, begun.id).state is expected
        clock.pass_ms(50)
    assert look().results == {}


def test_a_task_that_is_retried_begins_without_what_its_last_life_asked_for(
    begun: Lease, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    worker.exchange(settle(begun, "failed", FAILURE, usage=Usage(exits=1)))
    _ends(worker.lease_one(), worker)
    store.retry(begun.id, "")
    run = _run(look, begun.id)
    assert (run.state, run.exits, run.ending) == (State.READY, 0, "")
    assert worker.lease_one().attempt == 2
