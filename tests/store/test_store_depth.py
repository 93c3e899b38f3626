"""Depths: how many tasks are in each state, and for how long the first of them has waited."""

from __future__ import annotations

import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, park, settle, watch
from submissions import Submit, submission

from bide.reads import Reads
from bide.state import State
from bide.store import Store

HOME = bytes(6) + b"p" * 10


def _tasks(store: Store) -> dict[str, int]:
    """The states that have tasks."""
    return {str(state): count for state, count in Reads(store).depth("default").tasks.items() if count}


def _oldest(store: Store) -> int | None:
    return Reads(store).depth("default").oldest_ready_ms


def test_an_empty_queue_has_every_state_and_no_task(store: Store) -> None:
    depth = Reads(store).depth("default")
    assert depth.tasks == dict.fromkeys(State, 0)
    assert (depth.left, depth.oldest_ready_ms, depth.paused) == (0, None, False)


def test_a_queue_that_nobody_has_used_is_empty(store: Store) -> None:
    assert Reads(store).depth("unheard_of").left == 0


def test_it_tells_whether_the_queue_is_paused(store: Store) -> None:
    store.pause("default", True)
    assert Reads(store).depth("default").paused


def test_unfinished_tasks_are_left(store: Store, submit: Submit, worker: ScriptedWorker) -> None:
    for _ in range(5):
        submit()
    submit(delay_ms=60_000)
    first, second, third, _ = worker.lease(4)
    worker.exchange(settle(first, "succeeded"), settle(second, "retrying", delay_ms=5), park(third, "go"))
    assert _tasks(store) == {
        "ready": 1, "running": 1, "scheduled": 1, "succeeded": 1, "retrying": 1, "waiting": 1,
    }  # fmt: skip
    assert Reads(store).depth("default").left == 5


def test_an_isolated_task_is_ready_too(store: Store, submit: Submit, hire: Hire, clock: HandClock) -> None:
    submit(max_attempts=2)
    hire("silent").lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    clock.pass_ms(70)
    assert _tasks(store) == {"ready": 1}
    assert _oldest(store) == 70


# --- the oldest -----------------------------------------------------------------------------


def test_the_oldest_is_the_one_that_has_been_ready_longest(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    for _ in range(3):
        submit()
        clock.pass_ms(100)
    assert _oldest(store) == 300
    worker.lease(1)
    assert _oldest(store) == 200
    worker.lease()
    assert _oldest(store) is None


def test_one_that_was_scheduled_has_waited_since_it_came_due(
    store: Store, submit: Submit, clock: HandClock
) -> None:
    submit(delay_ms=1_000)
    clock.pass_ms(1_000)
    assert _oldest(store) is None
    store.tick("default", 0)
    clock.pass_ms(30)
    assert _oldest(store) == 30


@pytest.mark.parametrize("priorities", [(9, 0), (0, 9), (3, 7, 5), tuple(range(10)), (0,) * 12 + (1,)])
def test_of_every_priority_the_first_is_looked_at(
    store: Store, submit: Submit, clock: HandClock, priorities: tuple[int, ...]
) -> None:
    for priority in priorities:
        submit(priority=priority)
        clock.pass_ms(10)
    assert _oldest(store) == 10 * len(priorities)


def test_a_task_behind_others_of_its_priority_is_never_older(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    submit(priority=9)
    submit()
    worker.exchange(settle(worker.lease_one(), "ready"))
    clock.pass_ms(40)
    submit(priority=9)
    assert _oldest(store) == 40


# --- pollers --------------------------------------------------------------------------------


def test_a_poller_is_no_task_wherever_it_stands(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    worker.exchange(watch(HOME, "vms", "a"))
    assert Reads(store).depth("default").left == 0
    clock.pass_ms(1)
    store.tick("default", 0)
    assert _tasks(store) == {}
    assert _oldest(store) is None
    lease = worker.lease_one()
    assert lease.is_poller
    assert _tasks(store) == {}
    worker.exchange(settle(lease, "ready"))
    assert _tasks(store) == {}
    again = worker.lease_one()
    worker.exchange(settle(again, "polled", b"vms", delay_ms=5))
    assert _tasks(store) == {}


def test_a_poller_that_is_taken_from_a_silent_worker_is_none_either(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    worker.exchange(watch(HOME, "vms", "a"))
    worker.lease_one()
    clock.pass_ms(LEASE_MS)
    assert store.tick("default", 0).reaped == 1
    assert _tasks(store) == {}


def test_a_poller_before_a_task_does_not_hide_it(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    worker.exchange(watch(HOME, "vms", "a"))
    clock.pass_ms(500)
    store.tick("default", 0)
    submit()
    clock.pass_ms(20)
    assert _oldest(store) == 20


def test_tasks_and_pollers_are_told_apart(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    for _ in range(2):
        submit()
    worker.exchange(watch(HOME, "vms", "a"))
    assert len(worker.lease()) == 3
    assert _tasks(store) == {"running": 2}
    assert store.submit(submission()).need.workers == 0
    assert _tasks(store) == {"running": 2, "ready": 1}
