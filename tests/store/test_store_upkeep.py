"""Promote, reap, prune and forget: by any worker's exchange, and by the tick."""

from __future__ import annotations

import json

import pytest
from hand_clock import START_MS, HandClock
from msgspec.structs import replace
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Sweep, settle
from slot_contents import Look
from submissions import Submit

from bide.autoscaler import Seen
from bide.records import Run
from bide.replies import Upkeep
from bide.state import State
from bide.store import FORGET_MS, Store

# --- promote ------------------------------------------------------------------------------


@pytest.mark.parametrize(("passed_ms", "place"), [(499, "due"), (500, "ready"), (60_000, "ready")])
def test_a_scheduled_task_becomes_ready_when_due(
    submit: Submit, sweep: Sweep, clock: HandClock, look: Look, passed_ms: int, place: str
) -> None:
    id = submit(delay_ms=500)
    clock.pass_ms(passed_ms)
    sweep()
    assert look().places(id.key) == [place]


def test_a_promoted_task_is_ready_and_nothing_else_of_it_has_changed(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, "retrying", b'"why"', delay_ms=500))
    clock.pass_ms(500)
    sweep()
    slot = look()
    run = Run(State.READY, 1, 3, lease.fence, "", 60_000, started_ms=START_MS)
    assert slot.runs == {id.key: replace(run, since_ms=START_MS + 500, began_ms=START_MS)}
    assert slot.results == {id.key: b'"why"'}


def test_tasks_are_promoted_by_due_time_behind_what_is_ready(
    submit: Submit, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    late, early = submit(delay_ms=20), submit(delay_ms=10)
    ready = submit()
    clock.pass_ms(20)
    sweep()
    assert list(look().ready) == [ready.key, early.key, late.key]


# --- reap ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("passed_ms", "place"), [(LEASE_MS - 1, "leased"), (LEASE_MS, "ready")])
def test_a_lease_that_has_run_out_is_taken_back(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look,
    passed_ms: int, place: str,
) -> None:  # fmt: skip
    id = submit()
    worker.lease_one()
    clock.pass_ms(passed_ms)
    sweep()
    assert look().places(id.key) == [place]


def test_a_reaped_task_has_spent_its_attempt_and_a_newer_fence(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    sweep()
    run = look().runs[id.key]
    reaped = Run(State.READY, 1, 3, run.fence, "", 60_000, started_ms=START_MS)
    assert run == replace(reaped, since_ms=START_MS + LEASE_MS, began_ms=START_MS, suspect=1)
    assert run.fence > lease.fence


def test_reaping_the_last_attempt_fails_the_task_as_worker_lost(
    submit: Submit, hire: Hire, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = submit(max_attempts=2, retention_ms=7)
    for name in ("first", "second"):
        assert hire(name).lease_one().id == id
        clock.pass_ms(LEASE_MS)
        sweep()
    slot = look()
    assert slot.places(id.key) == ["done"]
    assert (slot.runs[id.key].state, slot.runs[id.key].attempt) == (State.FAILED, 2)
    assert slot.done == {id.key: clock.ms + 7}
    assert json.loads(slot.results[id.key])["code"] == "WORKER_LOST"


def test_reaping_a_task_that_was_to_be_cancelled_cancels_it(
    submit: Submit, worker: ScriptedWorker, store: Store, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = submit()
    worker.lease_one()
    store.cancel(id, "")
    clock.pass_ms(LEASE_MS)
    sweep()
    slot = look()
    assert slot.places(id.key) == ["done"]
    assert slot.runs[id.key].state == State.CANCELLED


# --- prune --------------------------------------------------------------------------------


@pytest.mark.parametrize(("passed_ms", "kept"), [(6_999, True), (7_000, False)])
def test_a_finished_task_is_kept_for_its_retention(
    submit: Submit, store: Store, sweep: Sweep, clock: HandClock, look: Look, passed_ms: int, kept: bool
) -> None:
    id = submit(retention_ms=7_000)
    store.cancel(id, "")
    clock.pass_ms(passed_ms)
    sweep()
    assert (id.key in look().runs) is kept


def test_pruning_leaves_nothing_of_a_task_in_any_key(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    submit(idempotency_key="k", fingerprint=b"f" * 16, tenant="acme", retention_ms=1_000)
    submit(idempotency_key="other", fingerprint=b"f" * 16, retention_ms=1_000)
    worker.exchange(*(settle(lease, "failed", b'"why"') for lease in worker.lease()))
    worker.retire(forced=True)
    clock.pass_ms(1_000)
    sweep()
    slot = look()
    assert (slot.specs, slot.runs, slot.results, slot.done, slot.idempotency) == ({}, {}, {}, {}, {})
    assert (slot.ready, slot.isolated, slot.due, slot.leased, slot.signals) == ({}, {}, {}, {}, {})


def test_what_is_not_finished_is_never_pruned(
    submit: Submit, hire: Hire, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    submit(retention_ms=0)
    submit(retention_ms=0)
    submit(retention_ms=0, delay_ms=10**10)
    hire("holder").lease(1, lease_ms=10**10)
    clock.pass_ms(10**9)
    sweep()
    assert len(look().runs) == 3


# --- bounds -------------------------------------------------------------------------------


def test_one_exchange_promotes_a_hundred(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    for _ in range(130):
        submit(delay_ms=5)
    clock.pass_ms(5)
    reply = worker.exchange()
    assert (len(look().ready), len(look().due)) == (100, 30)
    assert reply.next_due_ms is not None
    assert reply.next_due_ms <= clock.ms, "the worker must come again at once"


def test_one_exchange_reaps_a_hundred(submit: Submit, hire: Hire, clock: HandClock, look: Look) -> None:
    for _ in range(130):
        submit()
    hire("a").lease(100)
    hire("b").lease(30)
    clock.pass_ms(LEASE_MS)
    hire("c").exchange()
    assert (len(look().ready), len(look().leased)) == (100, 30)


def test_one_exchange_prunes_a_shelf(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    for _ in range(30):
        submit(retention_ms=1)
    worker.exchange(*(settle(lease, "succeeded", b"1") for lease in worker.lease()))
    clock.pass_ms(1)
    worker.exchange()
    assert len(look().done) == len(look().runs) == len(look().results) == 6


def test_ticks_do_what_is_left_a_hundred_at_a_time(
    submit: Submit, hire: Hire, store: Store, clock: HandClock, look: Look
) -> None:
    for _ in range(120):
        submit(max_attempts=1, retention_ms=1)
    hire("a").lease(100)
    hire("b").lease(20)
    for _ in range(110):
        submit(delay_ms=LEASE_MS)
    clock.pass_ms(LEASE_MS)

    def tick() -> tuple[int, int, int, int]:
        done = store.tick("default", 0)
        return done.promoted, done.reaped, done.pruned, done.seen.ready

    assert tick() == (100, 100, 0, 100)
    clock.pass_ms(1)
    assert tick() == (10, 20, 100, 110)
    clock.pass_ms(1)
    assert tick() == (0, 0, 20, 110)
    assert tick() == (0, 0, 0, 110)
    assert len(look().runs) == 110


def test_a_tick_of_an_untouched_slot_does_nothing(store: Store, look: Look) -> None:
    before = look()
    assert store.tick("default", 0) == Upkeep(0, 0, 0, 0, -1, 0, Seen(0, 0, 0, 0))
    assert look() == before


# --- workers that went silent -------------------------------------------------------------


def test_a_tick_forgets_a_worker_that_has_been_silent_for_long(
    submit: Submit, hire: Hire, store: Store, clock: HandClock, look: Look
) -> None:
    id = submit()
    gone, alive = hire("gone"), hire("alive")
    gone.lease_one()
    store.cancel(id, "")
    gone_since = look()
    assert (set(gone_since.workers), set(gone_since.signals)) == ({"gone"}, {"gone"})
    clock.pass_ms(FORGET_MS - 1)
    alive.exchange()
    store.tick("default", 0)
    assert "gone" in look().ledgers
    clock.pass_ms(1)
    store.tick("default", 0)
    slot = look()
    assert set(slot.workers) == set(slot.ledgers) == {"alive"}
    assert slot.signals == {}


def test_a_heartbeat_keeps_a_worker_known(
    worker: ScriptedWorker, store: Store, submit: Submit, clock: HandClock, look: Look
) -> None:
    submit()
    lease = worker.lease_one(lease_ms=FORGET_MS * 2)
    clock.pass_ms(FORGET_MS - 1)
    worker.heartbeat(lease)
    clock.pass_ms(1)
    store.tick("default", 0)
    assert set(look().workers) == {"worker"}


def test_a_tick_takes_listeners_off_the_list_when_their_time_is_over(
    worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    worker.exchange(capacity=1, listen_ms=1_000)
    clock.pass_ms(1_001)
    store.tick("default", 0)
    assert look().listeners == {}
