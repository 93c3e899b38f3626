"""Settles that arrive twice: in one exchange, and in an exchange that is sent again."""

from __future__ import annotations

import pytest
from hand_clock import HandClock
from scripted_worker import Hire, ScriptedWorker, settle
from slot_contents import Look
from submissions import Submit

from bide.state import State


@pytest.mark.parametrize("first", ["ready", "retrying", "failed"])
def test_of_two_settles_of_one_lease_in_one_exchange_the_first_counts(
    worker: ScriptedWorker, submit: Submit, look: Look, first: str
) -> None:
    """A stopping worker hands a task back while its outcome may still join the same exchange."""
    id = submit()
    lease = worker.lease_one()
    reply = worker.exchange(settle(lease, first, b"1", delay_ms=500), settle(lease, "succeeded", b"2"))
    slot = look()
    assert reply.lost == ()
    assert slot.runs[id.key].state == first
    assert slot.places(id.key) == [{"ready": "ready", "retrying": "due", "failed": "done"}[first]]
    assert slot.results.get(id.key) == (None if first == "ready" else b"1")


def test_a_settle_with_an_older_fence_beside_the_current_one_is_lost_alone(
    worker: ScriptedWorker, submit: Submit, look: Look
) -> None:
    id = submit()
    old = worker.lease_one()
    worker.exchange(settle(old, "ready"))
    new = worker.lease_one()
    reply = worker.exchange(settle(old, "failed", b"1"), settle(new, "succeeded", b"2"))
    assert reply.lost == (0,)
    assert (look().runs[id.key].state, look().results[id.key]) == (State.SUCCEEDED, b"2")


def test_a_repeat_says_the_same_of_a_task_that_was_handed_back_and_leased_at_once(
    worker: ScriptedWorker, submit: Submit
) -> None:
    submit()
    lease = worker.lease_one()
    first = worker.exchange(settle(lease, "ready"), capacity=1)
    assert [again.fence for again in first.leases] == [lease.fence + 1]
    assert worker.repeat() == first


def test_a_repeat_says_the_same_of_a_task_that_another_worker_has_leased_since(
    hire: Hire, submit: Submit
) -> None:
    submit()
    one, other = hire("one"), hire("other")
    first = one.exchange(settle(one.lease_one(), "retrying", b"1", delay_ms=0))
    other.lease_one()
    again = one.repeat()
    assert (again.lost, again.leases) == (first.lost, first.leases) == ((), ())


def test_a_repeat_says_the_same_of_a_settle_that_was_lost(
    hire: Hire, submit: Submit, clock: HandClock
) -> None:
    submit()
    one, other = hire("one"), hire("other")
    lease = one.lease_one()
    clock.pass_ms(10_000)
    other.lease_one()
    assert one.exchange(settle(lease, "succeeded", b"1")).lost == (0,)
    assert one.repeat().lost == (0,)
