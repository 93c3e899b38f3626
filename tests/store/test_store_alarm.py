"""Alarms: whoever makes work that is due later learns whether somebody has to be woken for it."""

from __future__ import annotations

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, park, settle
from slot_contents import Look
from submissions import Submit, submission

from bide.replies import Need
from bide.store import Store

AWAKE_MS = 30_000


def _need(store: Store, delay_ms: int) -> Need:
    return store.submit(submission(delay_ms=delay_ms)).need


def test_a_delayed_submission_needs_an_alarm_while_nobody_is_awake(store: Store) -> None:
    assert _need(store, 5_000) == Need(alarm_ms=START_MS + 5_000)


def test_no_alarm_is_needed_while_a_worker_is_awake(store: Store, worker: ScriptedWorker) -> None:
    worker.exchange()
    assert _need(store, 5_000) == Need()


def test_a_worker_that_was_not_heard_of_for_long_is_not_awake(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    worker.exchange()
    clock.pass_ms(AWAKE_MS)
    assert _need(store, 5_000) == Need()
    clock.pass_ms(1)
    assert _need(store, 5_000) == Need(alarm_ms=clock.ms + 5_000)
    assert store.submit(submission()).need == Need(workers=1)


@pytest.mark.parametrize(("delay_ms", "needed"), [(5_000, False), (9_000, False), (4_999, True)])
def test_no_alarm_is_needed_when_one_goes_off_no_later(store: Store, delay_ms: int, needed: bool) -> None:
    store.arm("default", START_MS + 5_000)
    assert _need(store, delay_ms) == Need(alarm_ms=START_MS + delay_ms if needed else 0)


def test_an_alarm_that_has_gone_off_counts_no_more(store: Store, clock: HandClock) -> None:
    store.arm("default", START_MS + 5_000)
    clock.pass_ms(5_000)
    assert _need(store, 1_000) == Need(alarm_ms=clock.ms + 1_000)


@pytest.mark.parametrize(("early_ms", "needed"), [(30, True), (500, False)])
def test_an_alarm_that_may_just_have_gone_off_is_not_relied_on(
    store: Store, clock: HandClock, early_ms: int, needed: bool
) -> None:
    """Whoever it woke may read the store's time a little earlier, and finds nothing due."""
    _need(store, 5_000)
    store.arm("default", START_MS + 5_000)
    clock.pass_ms(5_000 - early_ms)
    upkeep = store.tick("default", 0)
    assert (upkeep.promoted, upkeep.alarm_ms) == (0, START_MS + 5_000 if needed else 0)


def test_an_alarm_that_was_needed_and_never_set_is_needed_still(store: Store) -> None:
    assert _need(store, 5_000) == _need(store, 5_000) == Need(alarm_ms=START_MS + 5_000)


def test_arming_for_later_leaves_the_earlier_alarm(store: Store, look: Look) -> None:
    for delay_ms in (5_000, 9_000, 4_000, 4_000):
        store.arm("default", START_MS + delay_ms)
    assert look().meta["armed_ms"] == b"%d" % (START_MS + 4_000)


def test_arming_after_the_alarm_went_off_sets_the_next(store: Store, clock: HandClock, look: Look) -> None:
    store.arm("default", START_MS + 5_000)
    clock.pass_ms(5_000)
    store.arm("default", START_MS + 9_000)
    assert look().meta["armed_ms"] == b"%d" % (START_MS + 9_000)


def test_arming_twice_is_arming_once(store: Store, look: Look) -> None:
    store.arm("default", START_MS + 5_000)
    before = look()
    store.arm("default", START_MS + 5_000)
    assert look() == before


# --- the last to leave --------------------------------------------------------------------


def test_the_last_worker_to_leave_learns_of_the_first_due_time(
    submit: Submit, worker: ScriptedWorker
) -> None:
    worker.exchange()
    submit(delay_ms=9_000)
    submit(delay_ms=5_000)
    assert worker.leave() == Need(alarm_ms=START_MS + 5_000)


def test_a_worker_that_leaves_another_awake_needs_no_alarm(submit: Submit, hire: Hire) -> None:
    hire("stays").exchange()
    leaver = hire("leaver")
    leaver.exchange()
    submit(delay_ms=5_000)
    assert leaver.leave() == Need()


def test_a_heartbeat_that_comes_after_its_worker_has_left_makes_nobody_awake(
    submit: Submit, store: Store, worker: ScriptedWorker, look: Look
) -> None:
    """It has a thread and a connection of its own: what it had begun to say may come last."""
    submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, "succeeded"))
    assert worker.retire()
    worker.heartbeat(lease)
    assert look().workers == {}
    assert store.submit(submission(delay_ms=5_000)).need.alarm_ms > 0


def test_a_worker_that_leaves_nothing_behind_needs_nothing(worker: ScriptedWorker) -> None:
    worker.exchange()
    assert worker.leave() == Need()


def test_a_worker_that_must_stay_learns_nothing(submit: Submit, worker: ScriptedWorker) -> None:
    worker.exchange()
    submit()
    assert worker.leave() is None


def test_parked_tasks_need_an_alarm_for_their_time_and_for_their_deadline(
    submit: Submit, worker: ScriptedWorker
) -> None:
    submit()
    submit(deadline_ms=7_000)
    timed, endless = worker.lease()
    worker.exchange(park(timed, delay_ms=60_000), park(endless, "go"))
    assert worker.leave() == Need(alarm_ms=START_MS + 7_000)


def test_a_task_parked_for_an_event_alone_needs_no_alarm(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    worker.exchange(park(worker.lease_one(), "go"))
    assert worker.leave() == Need()


def test_a_lease_that_a_dead_worker_holds_needs_an_alarm_for_its_end(
    submit: Submit, worker: ScriptedWorker, hire: Hire, clock: HandClock
) -> None:
    submit()
    hire("dead").lease_one(lease_ms=10**6)
    clock.pass_ms(AWAKE_MS + 1)
    worker.exchange()
    assert worker.leave() == Need(alarm_ms=START_MS + 10**6)


def test_a_worker_that_is_forced_out_of_work_needs_another(submit: Submit, worker: ScriptedWorker) -> None:
    worker.exchange()
    submit()
    submit(delay_ms=5_000)
    assert worker.leave(forced=True) == Need(1, START_MS + 5_000)


def test_a_tick_says_when_it_is_next_needed(submit: Submit, store: Store, worker: ScriptedWorker) -> None:
    assert store.tick("default", 0).next_due_ms == -1
    submit(delay_ms=60_000)
    assert store.tick("default", 0).next_due_ms == START_MS + 60_000
    submit()
    lease = worker.lease_one()
    assert store.tick("default", 0).next_due_ms == START_MS + LEASE_MS
    worker.exchange(settle(lease, "succeeded"))
    assert store.tick("default", 0).next_due_ms == START_MS + 60_000
