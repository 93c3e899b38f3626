"""Ending leases: each settlement, the fence, and what a repeat does."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hand_clock import START_MS, HandClock
from msgspec import structs
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Takeover, settle
from slot_contents import Look
from submissions import Submit

from bide.errors import ScriptError
from bide.exchange import Settlement
from bide.ids import TaskId
from bide.records import Run
from bide.state import State
from bide.store import Store

TERMINAL = ["succeeded", "failed", "cancelled"]
EVERY = [str(each) for each in Settlement]


@pytest.mark.parametrize("state", TERMINAL)
def test_a_terminal_settle_moves_the_task_to_done_with_its_outcome(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock, state: str
) -> None:
    id = submit(retention_ms=7_000)
    lease = worker.lease_one()
    clock.pass_ms(5)
    assert worker.exchange(settle(lease, state, b'"outcome"')).lost == ()
    slot = look()
    assert slot.places(id.key) == ["done"]
    assert slot.done == {id.key: START_MS + 5 + 7_000}
    assert slot.results == {id.key: b'"outcome"'}
    assert slot.runs[id.key] == Run(
        State(state), 1, 3, lease.fence, "", 7_000, started_ms=START_MS, finished_ms=START_MS + 5
    )


def test_a_retry_waits_in_due_with_its_failure(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, "retrying", b'{"code":"ERROR"}', delay_ms=300))
    slot = look()
    assert slot.places(id.key) == ["due"]
    assert slot.due == {id.key: START_MS + 300}
    assert slot.results == {id.key: b'{"code":"ERROR"}'}
    assert slot.runs[id.key] == Run(
        State.RETRYING,
        1,
        3,
        lease.fence,
        "",
        60_000,
        started_ms=START_MS,
        due_ms=START_MS + 300,
        since_ms=START_MS,
        began_ms=START_MS,
    )


def test_a_retry_without_delay_can_start_in_the_same_exchange(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    (lease,) = worker.exchange(settle(worker.lease_one(), "retrying"), capacity=1).leases
    assert lease.attempt == 2


def test_a_task_handed_back_is_ready_behind_the_others(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id, other = submit(), submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, "ready"))
    slot = look()
    assert list(slot.ready) == [other.key, id.key]
    assert slot.places(id.key) == ["ready"]
    assert slot.runs[id.key] == Run(
        State.READY, 0, 3, lease.fence, "", 60_000, started_ms=START_MS, since_ms=START_MS, began_ms=START_MS
    )


def test_an_outcome_keeps_its_bytes(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    id = submit()
    outcome = json.dumps({"text": "ü\u0000\r\n", "big": "x" * 100_000}).encode()
    worker.exchange(settle(worker.lease_one(), "succeeded", outcome))
    assert look().results[id.key] == outcome


def test_a_success_without_outcome_leaves_none(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    submit()
    worker.exchange(settle(worker.lease_one(), "succeeded"))
    assert look().results == {}


# --- the fence ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", EVERY)
def test_a_superseded_settle_is_refused_and_changes_nothing(
    takeover: Takeover, look: Look, state: str
) -> None:
    frozen, old, other, new = takeover
    before = look()
    assert frozen.exchange(settle(old, state, b'"late"')).lost == (0,)
    after = look()
    assert (after.runs, after.results, after.leased) == (before.runs, before.results, before.leased)
    assert other.exchange(settle(new, "succeeded", b'"right"')).lost == ()
    assert look().results == {new.id.key: b'"right"'}


@pytest.mark.parametrize("state", EVERY)
def test_a_reaped_lease_is_refused_before_the_task_is_leased_again(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, store: Store, look: Look, state: str
) -> None:
    id = submit()
    old = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    before = look()
    assert worker.exchange(settle(old, state, b'"late"')).lost == (0,)
    after = look()
    assert after.places(id.key) == ["ready"]
    assert (after.runs, after.results) == (before.runs, before.results)


def test_an_expired_lease_that_nobody_has_reaped_still_counts(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    clock.pass_ms(LEASE_MS * 10)
    assert worker.exchange(settle(lease, "succeeded", b"1")).lost == ()
    assert look().places(id.key) == ["done"]


@pytest.mark.parametrize("state", EVERY)
@pytest.mark.parametrize("first", TERMINAL)
def test_a_late_settle_of_a_settled_task_answers_ok_and_changes_nothing(
    submit: Submit, worker: ScriptedWorker, look: Look, first: str, state: str
) -> None:
    submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, first, b'"first"'))
    before = look()
    assert worker.exchange(settle(lease, state, b'"second"')).lost == ()
    assert replace(look(), ledgers=before.ledgers) == before


@pytest.mark.parametrize("off_by", [-1, 1])
def test_a_wrong_fence_is_refused(submit: Submit, worker: ScriptedWorker, look: Look, off_by: int) -> None:
    id = submit()
    lease = worker.lease_one()
    assert worker.exchange(settle(lease, "succeeded", fence=lease.fence + off_by)).lost == (0,)
    assert look().places(id.key) == ["leased"]


def test_a_settle_of_no_task_at_all_is_lost(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    submit()
    lease = structs.replace(worker.lease_one(), id=TaskId("default", b"?" * 16))
    assert worker.exchange(settle(lease, "succeeded", b"1")).lost == (0,)
    assert look().results == {}


def test_lost_settles_are_told_by_position_and_the_others_count(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    for _ in range(4):
        submit()
    a, b, c, d = worker.lease()
    settles = [
        settle(a, "succeeded"),
        settle(b, "succeeded", fence=99),
        settle(c, "failed"),
        settle(d, "failed", fence=99),
    ]
    assert worker.exchange(*settles).lost == (1, 3)
    assert [look().places(lease.id.key) for lease in (a, b, c, d)] == [["done"], ["leased"]] * 2


# --- the same exchange again --------------------------------------------------------------


@pytest.mark.parametrize("capacity", [0, 5])
@pytest.mark.parametrize("state", EVERY)
def test_the_same_exchange_again_settles_once_and_answers_the_same(
    submit: Submit, worker: ScriptedWorker, look: Look, state: str, capacity: int
) -> None:
    submit()
    submit()
    lease = worker.lease_one()
    first = worker.exchange(settle(lease, state, b'"x"'), capacity=capacity)
    after = look()
    assert worker.repeat() == first
    assert look() == after


def test_a_repeat_tells_the_same_settles_as_lost(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    submit()
    a, b = worker.lease()
    first = worker.exchange(settle(a, "succeeded", fence=99), settle(b, "succeeded"))
    assert first.lost == worker.repeat().lost == (0,)


def test_a_retry_that_another_worker_has_taken_since_was_not_lost(
    submit: Submit, hire: Hire, look: Look
) -> None:
    id = submit()
    one = hire("one")
    assert one.exchange(settle(one.lease_one(), "retrying", b'"why"')).lost == ()
    hire("other").lease_one()
    assert one.repeat().lost == ()
    assert look().runs[id.key].worker == "other"


def test_an_older_exchange_is_superseded_and_nothing_of_it_is_applied(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    submit()
    submit()
    lease = worker.lease_one()
    worker.exchange()
    before = look()
    with pytest.raises(ScriptError, match="superseded"):
        worker.repeat(seq=1, messages=(settle(lease, "succeeded", b"1"),), capacity=5, listen_ms=1_000)
    assert look() == before


def test_an_older_boot_is_superseded_and_nothing_of_it_is_applied(
    submit: Submit, hire: Hire, look: Look
) -> None:
    submit()
    old, new = hire("w", boot=1), hire("w", boot=2)
    lease = old.lease_one()
    new.exchange()
    before = look()
    with pytest.raises(ScriptError, match="superseded"):
        old.exchange(settle(lease, "succeeded", b"1"), capacity=5, listen_ms=1_000)
    assert look() == before


def test_a_new_boot_begins_its_count_again(submit: Submit, hire: Hire) -> None:
    old = hire("w", boot=1)
    for _ in range(3):
        old.exchange()
    id = submit()
    assert hire("w", boot=2).lease_one().id == id
