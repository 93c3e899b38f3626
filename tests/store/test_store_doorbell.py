"""The doorbell: who is rung when, and when a worker may leave."""

from __future__ import annotations

import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, park, settle
from slot_contents import Look
from submissions import Submit, submission

from bide.replies import Need
from bide.store import Store

LISTEN_MS = 30_000


def _listen(worker: ScriptedWorker, listen_ms: int = LISTEN_MS) -> None:
    assert worker.exchange(capacity=10, listen_ms=listen_ms).leases == ()


def _take_tokens(store: Store) -> int:
    """Empty the bell, as BLPOP would; returns how many there were."""
    (bell,) = store.keys.slot("default", ("bell",))
    count = store.command("LLEN", bell)
    store.command("DEL", bell)
    return count


def test_a_worker_with_room_left_listens(worker: ScriptedWorker, look: Look, clock: HandClock) -> None:
    _listen(worker, 5_000)
    assert look().listeners == {"worker": clock.ms + 5_000}


def test_a_worker_without_room_does_not_listen(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    _listen(worker)
    submit()
    worker.exchange(capacity=1, listen_ms=LISTEN_MS)
    assert look().listeners == {}


def test_a_worker_that_does_not_wish_to_leaves_the_list(worker: ScriptedWorker, look: Look) -> None:
    _listen(worker)
    worker.exchange(capacity=10, listen_ms=0)
    assert look().listeners == {}


def test_a_submission_rings_a_listener(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    _listen(worker)
    submit()
    assert look().bell == 1


def test_no_listener_no_token(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    worker.exchange(capacity=10)
    submit()
    assert look().bell == 0


def test_a_submission_wants_a_worker_exactly_while_none_is_awake(store: Store, hire: Hire) -> None:
    assert store.submit(submission()).need == Need(workers=1)
    hire("a").exchange(capacity=2, listen_ms=LISTEN_MS)
    assert store.submit(submission()).need == Need()


def test_tokens_never_outnumber_listeners(submit: Submit, hire: Hire, look: Look) -> None:
    _listen(hire("a"))
    _listen(hire("b"))
    for expected in (1, 2, 2, 2):
        submit()
        assert look().bell == expected


def test_a_listener_whose_time_is_over_is_not_rung(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    _listen(worker, 1_000)
    clock.pass_ms(1_001)
    submit()
    assert look().bell == 0


def test_a_repeated_submission_rings_nobody_again(store: Store, hire: Hire, look: Look) -> None:
    _listen(hire("a"))
    _listen(hire("b"))
    request = submission(idempotency_key="k", fingerprint=b"f" * 16)
    store.submit(request)
    store.submit(request)
    assert look().bell == 1


def test_an_earlier_due_time_rings(submit: Submit, worker: ScriptedWorker, store: Store) -> None:
    _listen(worker)
    rung = []
    for delay_ms in (1_000, 2_000, 1_000, 999, 1):
        submit(delay_ms=delay_ms)
        rung.append(_take_tokens(store))
    assert rung == [1, 0, 0, 1, 1]


def test_work_left_behind_rings_the_others(submit: Submit, hire: Hire, look: Look, store: Store) -> None:
    for name in "abc":
        _listen(hire(name))
    for _ in range(3):
        submit()
    _take_tokens(store)
    assert hire("a", boot=2).exchange(capacity=1, listen_ms=LISTEN_MS).ready == 2
    assert look().bell == 2


def test_nothing_left_behind_rings_nobody(submit: Submit, hire: Hire, look: Look, store: Store) -> None:
    for name in "ab":
        _listen(hire(name))
    submit()
    _take_tokens(store)
    hire("a", boot=2).lease_one(listen_ms=LISTEN_MS)
    assert look().bell == 0


def test_promoted_tasks_beyond_ones_own_capacity_ring_the_others(
    submit: Submit, hire: Hire, clock: HandClock, look: Look, store: Store
) -> None:
    for name in "ab":
        _listen(hire(name))
    submit(delay_ms=5)
    submit(delay_ms=5)
    _take_tokens(store)
    clock.pass_ms(5)
    hire("a", boot=2).exchange(capacity=1, listen_ms=LISTEN_MS)
    assert look().bell == 1


def test_reaped_last_attempts_ring_the_others(
    submit: Submit, hire: Hire, clock: HandClock, look: Look, store: Store
) -> None:
    """They are isolated: whoever reaps them may have no room for one."""
    submit(max_attempts=2)
    hire("dead").lease_one()
    _listen(hire("b"))
    clock.pass_ms(LEASE_MS)
    hire("a").exchange(capacity=5, isolate=False)
    assert look().bell == 1


def test_a_suspect_that_has_come_due_rings_another_once(
    submit: Submit, hire: Hire, clock: HandClock, look: Look
) -> None:
    """Whoever makes it ready may have no room for it."""
    submit(max_attempts=3)
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    first = hire("first")
    first.exchange(settle(first.lease_one(), "retrying", delay_ms=5))
    _listen(hire("a"))
    _listen(hire("b"))
    clock.pass_ms(5)
    first.exchange(capacity=5, isolate=False)
    assert look().bell == 1
    for name in "ab":
        hire(name, boot=2).exchange(capacity=5, isolate=False, listen_ms=LISTEN_MS)
    assert look().bell == 1, "two that both lack the place would ring each other for ever"


def test_a_suspect_that_a_busy_worker_hands_back_rings_another_at_once(
    submit: Submit, hire: Hire, clock: HandClock, look: Look
) -> None:
    submit(max_attempts=2)
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    leaver = hire("leaver")
    lease = leaver.lease_one()
    assert lease.isolated
    _listen(hire("other"))
    leaver.exchange(settle(lease, "ready"), free=-1)
    assert look().bell == 1


def test_a_task_handed_back_rings_the_others(submit: Submit, hire: Hire, look: Look) -> None:
    leaver = hire("leaver")
    submit()
    lease = leaver.lease_one()
    _listen(hire("other"))
    leaver.exchange(settle(lease, "ready"))
    assert look().bell == 1


def test_a_tick_rings_for_what_nobody_has_fetched(
    submit: Submit, hire: Hire, store: Store, look: Look
) -> None:
    _listen(hire("a"))
    submit()
    _take_tokens(store)
    assert store.tick("default", 0).listeners == 1
    assert look().bell == 1


# --- leaving ------------------------------------------------------------------------------


def test_an_idle_worker_may_leave_and_leaves_no_rows(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(settle(lease, "cancelled"), capacity=5, listen_ms=LISTEN_MS)
    assert worker.retire()
    slot = look()
    assert (slot.listeners, slot.workers, slot.ledgers, slot.signals) == ({}, {}, {}, {})


def test_a_cancel_asked_of_a_worker_that_leaves_is_not_kept_for_it(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    worker.lease_one()
    store.cancel(id, "")
    worker.retire()
    assert look().signals == {}


def test_a_worker_must_stay_while_a_task_is_ready(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    worker.exchange(capacity=5, listen_ms=LISTEN_MS)
    submit()
    before = look()
    assert not worker.retire()
    assert look() == before


@pytest.mark.parametrize(("delay_ms", "may_leave"), [(2_000, False), (2_001, True)])
def test_a_worker_must_stay_for_what_is_due_within_its_window(
    submit: Submit, worker: ScriptedWorker, delay_ms: int, may_leave: bool
) -> None:
    worker.exchange()
    submit(delay_ms=delay_ms)
    assert worker.retire(window_ms=2_000) is may_leave


def test_a_forced_worker_leaves_in_any_case(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    _listen(worker)
    submit()
    submit(delay_ms=1)
    assert worker.retire(forced=True)
    slot = look()
    assert (slot.listeners, slot.workers, slot.ledgers) == ({}, {}, {})


def test_a_worker_that_is_forced_out_rings_another_for_the_work_it_leaves(
    submit: Submit, hire: Hire, store: Store, look: Look
) -> None:
    leaver = hire("leaver")
    _listen(leaver)
    _listen(hire("other"))
    submit()
    _take_tokens(store)  # by the one that leaves
    leaver.retire(forced=True)
    assert look().bell == 1


def test_a_suspect_that_a_leaving_worker_hands_back_rings_another(
    submit: Submit, hire: Hire, clock: HandClock, look: Look, store: Store
) -> None:
    submit(max_attempts=2)
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    leaver = hire("leaver")
    lease = leaver.lease_one()
    assert lease.isolated
    _listen(hire("other"))
    _take_tokens(store)
    leaver.exchange(settle(lease, "ready"))
    leaver.retire(forced=True)
    assert look().bell == 1


def test_another_hears_of_what_a_leaving_worker_has_parked_for_later(
    submit: Submit, hire: Hire, store: Store, look: Look
) -> None:
    """It may sleep for long: when it last asked, nothing was due."""
    submit()
    leaver = hire("leaver")
    lease = leaver.lease_one()
    other = hire("other")
    _listen(other)
    leaver.exchange(park(lease, delay_ms=LISTEN_MS))
    assert leaver.retire(forced=True)
    assert _take_tokens(store) == 1
    assert other.exchange(capacity=10, listen_ms=LISTEN_MS).due_ms is not None
    assert other.retire(forced=True)
    assert look().bell == 0, "nobody is left"


def test_leaving_twice_is_leaving_once(worker: ScriptedWorker, look: Look) -> None:
    worker.exchange()
    assert worker.retire()
    before = look()
    assert worker.retire()
    assert look() == before
