"""Isolated tasks: what may kill its worker once more does so alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, park, settle, watch
from slot_contents import Look
from submissions import Submit

from bide.exchange import Lease
from bide.ids import TaskId
from bide.state import State
from bide.store import Store

End = Callable[[ScriptedWorker, Lease], None]


@pytest.fixture
def suspects(hire: Hire, submit: Submit, clock: HandClock) -> list[TaskId]:
    """Three tasks that have one attempt left after a crash."""
    ids = sorted((submit(max_attempts=2) for _ in range(3)), key=str)
    assert len(hire("dead").lease()) == 3
    clock.pass_ms(LEASE_MS)
    return ids


def test_a_worker_leases_one_suspect_at_a_time(
    worker: ScriptedWorker, suspects: list[TaskId], submit: Submit
) -> None:
    fresh = submit()
    leases = worker.lease()
    assert [(lease.id, lease.isolated) for lease in leases] == [(suspects[0], True), (fresh, False)]
    assert worker.lease(isolate=False) == ()
    after = worker.exchange(settle(leases[0], "succeeded", b"1"), capacity=5)
    assert [lease.id for lease in after.leases] == [suspects[1]]


def test_a_suspect_that_is_handed_back_is_isolated_still(
    worker: ScriptedWorker, suspects: list[TaskId], look: Look
) -> None:
    """Else a restart of the workers would bring the suspects together for their last attempt."""
    lease = worker.lease_one()
    worker.exchange(settle(lease, "ready"), isolate=False)
    slot = look()
    assert slot.places(suspects[0].key) == ["isolated"]
    assert slot.runs[suspects[0].key].attempt == 1
    assert list(slot.isolated) == [suspects[1].key, suspects[2].key, suspects[0].key]


@pytest.mark.parametrize("max_attempts", [1, 2, 3])
def test_a_task_without_a_spent_attempt_is_not_isolated_when_handed_back(
    worker: ScriptedWorker, submit: Submit, look: Look, max_attempts: int
) -> None:
    id = submit(max_attempts=max_attempts)
    worker.exchange(settle(worker.lease_one(), "ready"))
    assert look().places(id.key) == ["ready"]


def _fail(worker: ScriptedWorker, lease: Lease) -> None:
    worker.exchange(settle(lease, "retrying"), isolate=False)


def _resume(worker: ScriptedWorker, lease: Lease) -> None:
    worker.exchange(park(lease, delay_ms=0), isolate=False)


def _hand_back(worker: ScriptedWorker, lease: Lease) -> None:
    worker.exchange(settle(lease, "ready"), isolate=False)


ENDS_OF_LEASES = [_fail, _resume, _hand_back]
"""After each the task is in line again; in good order."""


@pytest.mark.parametrize("end", ENDS_OF_LEASES)
def test_a_last_attempt_is_not_isolated_when_no_worker_was_lost(
    worker: ScriptedWorker, submit: Submit, look: Look, end: End
) -> None:
    id = submit(max_attempts=2)
    _fail(worker, worker.lease_one())
    if end is not _fail:
        end(worker, worker.lease_one())
    assert look().places(id.key) == ["ready"]


def test_nor_is_one_that_resumes_in_a_new_life_and_has_no_other(
    worker: ScriptedWorker, submit: Submit, look: Look, store: Store
) -> None:
    id = submit(max_attempts=1)
    worker.exchange(settle(worker.lease_one(), "failed"))
    store.retry(id, "")
    _resume(worker, worker.lease_one())
    assert look().places(id.key) == ["ready"]


@pytest.mark.parametrize("end", ENDS_OF_LEASES)
def test_a_task_that_a_worker_was_lost_with_is_isolated_when_it_comes_to_its_last_attempt(
    worker: ScriptedWorker, hire: Hire, submit: Submit, look: Look, clock: HandClock, end: End
) -> None:
    """Though an attempt in between ended in good order, parked or was handed back."""
    id = submit(max_attempts=3)
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    lease = worker.lease_one()
    assert not lease.isolated
    if end is not _fail:
        end(worker, lease)
        assert look().places(id.key) == ["ready"]
        lease = worker.lease_one()
    _fail(worker, lease)
    assert look().places(id.key) == ["isolated"]
    if end is not _fail:
        end(worker, worker.lease_one())
        assert look().places(id.key) == ["isolated"]


def test_a_retry_by_hand_clears_a_task_of_suspicion(
    worker: ScriptedWorker, suspects: list[TaskId], submit: Submit, look: Look, store: Store
) -> None:
    worker.exchange(settle(worker.lease_one(), "failed"), isolate=False)
    store.retry(suspects[0], "")
    _fail(worker, worker.lease_one(isolate=False))
    assert look().places(suspects[0].key) == ["ready"]


def test_a_poller_is_never_isolated(worker: ScriptedWorker, hire: Hire, look: Look, clock: HandClock) -> None:
    home = b"p" * 16
    worker.exchange(watch(home, "vms", "a"))
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    worker.exchange(isolate=False)
    assert look().places(home) == ["ready"]


def test_a_suspect_that_takes_its_worker_with_it_ends_failed(
    worker: ScriptedWorker, hire: Hire, suspects: list[TaskId], look: Look, clock: HandClock
) -> None:
    worker.lease_one()
    clock.pass_ms(LEASE_MS)
    hire("next").lease()
    slot = look()
    assert slot.runs[suspects[0].key].state is State.FAILED
    assert b"WORKER_LOST" in slot.results[suspects[0].key]
    assert [slot.runs[id.key].state for id in suspects[1:]] == [State.RUNNING, State.READY]


def test_a_suspect_can_be_cancelled(
    suspects: list[TaskId], worker: ScriptedWorker, look: Look, store: Store
) -> None:
    worker.exchange()
    assert look().places(suspects[0].key) == ["isolated"]
    assert store.cancel(suspects[0], "").now
    assert look().places(suspects[0].key) == ["done"]


def test_a_worker_may_not_leave_while_a_suspect_waits(worker: ScriptedWorker, suspects: list[TaskId]) -> None:
    worker.exchange()
    assert not worker.retire()
