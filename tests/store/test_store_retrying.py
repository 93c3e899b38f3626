"""A failed task begins again under its id, as a new one but for its history and its costs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, entry, progress, settle
from slot_contents import Look
from submissions import Submit

from bide.autoscaler import Limits
from bide.connection import connect
from bide.errors import NotUnique, TaskNotFailed, TaskNotFound
from bide.exchange import Usage
from bide.gate import Gatekeeper
from bide.ids import TaskId
from bide.reads import Reads
from bide.records import Run
from bide.replies import Need
from bide.state import State
from bide.store import Store

FAILURE = b'{"code":"ERROR","message":"no luck"}'

Fail = Callable[..., TaskId]
"""Submits a task and has it fail; keyword arguments are Submission's."""


@pytest.fixture
def fail(submit: Submit, worker: ScriptedWorker, clock: HandClock) -> Fail:
    def fail(**given: object) -> TaskId:
        id = submit(**{"max_attempts": 1, **given})
        lease = worker.lease_one()
        clock.pass_ms(3)
        worker.exchange(settle(lease, "failed", FAILURE, usage=Usage(billed_us=5, replays=2, polls=3)))
        clock.pass_ms(3)
        return id

    return fail


def run_of(store: Store, id: TaskId, tenant: str = "") -> Run:
    return Reads(store).task(id, tenant).run


def test_it_is_ready_as_if_it_were_new_but_for_its_costs(store: Store, fail: Fail, look: Look) -> None:
    id = fail(max_attempts=1, priority=4)
    failed = run_of(store, id)
    assert not store.retry(id, "").seen
    run = run_of(store, id)
    assert (run.state, run.attempt, run.max_attempts, run.outcome) == (State.READY, 1, 2, "")
    assert (run.started_ms, run.finished_ms, run.due_ms, run.cancelling) == (0, 0, 0, 0)
    assert (run.priority, run.fence) == (4, failed.fence)
    assert (run.billed_us, run.replays, run.polls) == (5, 2, 3)
    assert run.since_ms == run.retried_ms == store.now_ms()
    slot = look()
    assert (slot.places(id.key), slot.left) == (["ready"], 1)
    assert slot.dead == {}


def test_it_has_a_fresh_set_of_attempts_whose_numbers_go_on(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = submit(max_attempts=2)
    for life in range(3):
        for ending in ("retrying", "failed"):
            worker.exchange(settle(worker.lease_one(), ending, FAILURE))
        clock.pass_ms(1)
        store.retry(id, "")
        run = run_of(store, id)
        assert (run.attempt, run.max_attempts) == (2 * life + 2, 2 * life + 4)
    worker.exchange(settle(worker.lease_one(), "succeeded", b"1"))
    history = Reads(store).attempts(id, "")
    assert [(each.number, str(each.outcome)) for each in history.attempts] == [
        (1, "retrying"), (2, "failed"), (3, "retrying"), (4, "failed"), (5, "retrying"), (6, "failed"),
        (7, "succeeded"),
    ]  # fmt: skip


def test_its_first_attempt_is_not_isolated_even_if_it_is_its_last(
    store: Store, fail: Fail, look: Look, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = fail(max_attempts=1)
    store.retry(id, "")
    assert look().places(id.key) == ["ready"]


def test_a_crash_in_its_new_life_isolates_its_last_attempt_as_ever(
    store: Store, fail: Fail, look: Look, hire: Hire, clock: HandClock
) -> None:
    id = fail(max_attempts=2)
    store.retry(id, "")
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert look().places(id.key) == ["isolated"]


def test_what_it_said_and_did_in_its_life_before_is_gone(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id = submit(max_attempts=1)
    lease = worker.lease_one()
    worker.exchange(progress(lease, b'{"fraction":1}'), entry(lease, 1))
    store.send_event(id, "", "go", b"1")
    worker.exchange(settle(lease, "failed", FAILURE))
    assert look().progress
    store.clock.pass_ms(1)
    store.retry(id, "")
    slot = look()
    assert (slot.progress, slot.journal, slot.inbox) == ({}, {}, {})
    again = worker.lease_one()
    assert (again.journal, again.events, again.attempt) == ((), (), 2)


def test_nothing_that_an_old_worker_says_counts(store: Store, submit: Submit, worker: ScriptedWorker) -> None:
    id = submit(max_attempts=1)
    old = worker.lease_one()
    worker.exchange(settle(old, "failed", FAILURE))
    store.clock.pass_ms(1)
    store.retry(id, "")
    worker.exchange(settle(old, "succeeded", b"1"))
    assert run_of(store, id).state is State.READY
    worker.lease_one()
    assert worker.exchange(settle(old, "succeeded", b"1")).lost == (0,)
    assert run_of(store, id).state is State.RUNNING


@pytest.mark.parametrize(
    ("given", "expires_ms", "deadline_ms"),
    [
        ({"expires_ms": 100}, 100, 0),
        ({"deadline_ms": 700}, 0, 700),
        ({"expires_ms": 900, "deadline_ms": 50}, 900, 50),
    ],
)
def test_its_limits_count_anew_by_their_lengths(
    store: Store,
    fail: Fail,
    look: Look,
    clock: HandClock,
    given: dict[str, int],
    expires_ms: int,
    deadline_ms: int,
) -> None:
    id = fail(**given)
    clock.pass_ms(5_000)
    store.retry(id, "")
    run = run_of(store, id)
    now_ms = clock.ms
    assert run.expires_ms == (now_ms + expires_ms if expires_ms else 0)
    assert run.deadline_ms == (now_ms + deadline_ms if deadline_ms else 0)
    first = min(each for each in (expires_ms, deadline_ms) if each)
    assert look().ends == {id.key: now_ms + first}
    clock.pass_ms(first)
    store.tick("default", 0)
    assert run_of(store, id).state is (State.FAILED if first == deadline_ms else State.EXPIRED)


def test_a_cancel_of_its_life_before_is_forgotten(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    id = submit(max_attempts=1)
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(settle(lease, "failed", FAILURE))
    store.clock.pass_ms(1)
    store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), "retrying", FAILURE, delay_ms=5))
    assert run_of(store, id).state is State.RETRYING, "a cancel would have won"


def test_retrying_twice_is_as_retrying_once(store: Store, fail: Fail, look: Look) -> None:
    id = fail()
    store.retry(id, "")
    before = look()
    assert store.retry(id, "").seen
    store.clock.pass_ms(9)
    assert store.retry(id, "").seen
    assert look() == before


def test_a_repeat_after_a_lost_reply_does_not_retry_what_has_failed_again(
    store: Store, fail: Fail, worker: ScriptedWorker, clock: HandClock
) -> None:
    """The connection repeats a script with the same arguments, the time among them."""
    id = fail()
    asked_ms = clock.ms
    store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), "failed", FAILURE))
    clock.pass_ms(50)
    clock.ms, later_ms = asked_ms, clock.ms
    assert store.retry(id, "").seen
    assert run_of(store, id).state is State.FAILED
    clock.ms = later_ms
    assert not store.retry(id, "").seen, "whoever asks anew is heard"
    assert run_of(store, id).state is State.READY


def test_of_many_callers_at_once_one_retries(
    store: Store, store_url: str, fail: Fail, worker: ScriptedWorker
) -> None:
    id = fail()

    def ask(_: int) -> bool:
        own = Store(connect(store_url), store.keys, store.clock)
        with closing(own.client):
            return own.retry(id, "").seen

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [False] + [True] * 7
    assert len(worker.lease()) == 1


@pytest.mark.parametrize("ending", ["succeeded", "cancelled"])
def test_only_a_failed_task_is_retried(
    store: Store, submit: Submit, worker: ScriptedWorker, ending: str
) -> None:
    id = submit()
    with pytest.raises(TaskNotFailed, match="ready"):
        store.retry(id, "")
    lease = worker.lease_one()
    with pytest.raises(TaskNotFailed, match="running"):
        store.retry(id, "")
    worker.exchange(settle(lease, ending, b"1"))
    with pytest.raises(TaskNotFailed, match=ending):
        store.retry(id, "")


def test_a_retried_task_that_has_succeeded_is_not_retried(
    store: Store, fail: Fail, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = fail()
    store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), "succeeded", b"1"))
    clock.pass_ms(1)
    with pytest.raises(TaskNotFailed, match="succeeded"):
        store.retry(id, "")


def test_another_tenants_task_is_not_found(store: Store, fail: Fail) -> None:
    id = fail(tenant="acme")
    for tenant, asked in (("", id), ("acme", id._replace(key=b"x" * 16))):
        with pytest.raises(TaskNotFound):
            store.retry(asked, tenant)
    assert run_of(store, id, "acme").state is State.FAILED


def test_its_unique_value_is_taken_again(store: Store, fail: Fail, submit: Submit) -> None:
    id = fail(unique="u")
    store.retry(id, "")
    with pytest.raises(NotUnique) as refused:
        submit(unique="u")
    assert refused.value.task == str(id)


def test_it_stays_failed_while_another_unfinished_task_holds_its_unique_value(
    store: Store, fail: Fail, submit: Submit, look: Look
) -> None:
    id = fail(unique="u")
    rival = submit(unique="u")
    before = look()
    with pytest.raises(NotUnique) as refused:
        store.retry(id, "")
    assert refused.value.task == str(rival)
    assert look() == before
    store.cancel(rival, "")
    assert not store.retry(id, "").seen


def test_a_listener_is_rung_for_it(store: Store, fail: Fail, hire: Hire, look: Look) -> None:
    id = fail()
    hire("listener").exchange(capacity=1, listen_ms=5_000)
    assert look().bell == 0
    store.retry(id, "")
    assert look().bell == 1


def test_a_worker_is_started_for_it_where_none_is(store: Store, fail: Fail, worker: ScriptedWorker) -> None:
    id = fail()
    worker.retire(forced=True)
    assert store.retry(id, "").need.workers == 1
    assert store.retry(id, "").need.workers == 1, "the first reply may have been lost"
    worker.exchange(free=-1)
    assert store.retry(id, "").need.workers == 0


def test_no_more_workers_than_may_be(store: Store, fail: Fail, worker: ScriptedWorker) -> None:
    id = fail()
    worker.retire(forced=True)
    store.limits = lambda _: Limits(0, 0, 100)
    assert store.retry(id, "").need.workers == 0


def test_a_closed_server_takes_it_as_it_is_no_submission(store: Store, fail: Fail, gate: Gatekeeper) -> None:
    id = fail()
    gate.close("moving")
    store.retry(id, "")
    assert run_of(store, id).state is State.READY


def test_a_paused_queue_takes_it_and_nobody_is_woken_for_it(
    store: Store, fail: Fail, hire: Hire, worker: ScriptedWorker, look: Look
) -> None:
    id = fail()
    hire("listener").exchange(capacity=1, listen_ms=5_000)
    store.pause("default", True)
    for _ in range(2):
        assert store.retry(id, "").need == Need()
    assert (look().bell, worker.lease()) == (0, ())
    store.pause("default", False)
    assert worker.lease_one().id == id


@pytest.mark.parametrize("ending", ["failed", "succeeded"])
def test_it_is_kept_for_its_retention_after_it_has_ended_again(
    store: Store, fail: Fail, worker: ScriptedWorker, look: Look, clock: HandClock, ending: str
) -> None:
    """The place that its first end had among the finished ones stays behind, and is passed over."""
    id = fail(retention_ms=60_000)
    clock.pass_ms(50_000)
    store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), ending, FAILURE))
    clock.pass_ms(20_000)  # past the end that the first failure had set
    store.tick("default", 0)
    assert run_of(store, id).state == ending
    clock.pass_ms(41_000)
    store.tick("default", 0)
    slot = look()
    assert (slot.specs, slot.runs, slot.attempts, slot.dead, slot.revived) == ({}, {}, {}, {}, {})
    assert (slot.done, slot.left, slot.gauges) == ({}, 0, {})


@pytest.mark.parametrize("lives", [2, 3])
@pytest.mark.parametrize("ending", ["failed", "succeeded", "cancelled"])
@pytest.mark.parametrize("apart_ms", [0, 1, 5_000])
def test_places_of_many_lives_that_are_pruned_at_once_count_once(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock,
    lives: int, ending: str, apart_ms: int,
) -> None:  # fmt: skip
    id = submit(retention_ms=1_000)
    for _ in range(lives):
        worker.exchange(settle(worker.lease_one(), "failed", FAILURE))
        clock.pass_ms(max(1, apart_ms))
        store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), ending, FAILURE))
    clock.pass_ms(100_000)
    store.tick("default", 0)
    store.tick("default", 0)
    slot = look()
    assert (slot.specs, slot.runs, slot.done, slot.left, slot.revived) == ({}, {}, {}, 0, {})
    assert slot.gauges == {}


def test_an_erased_one_leaves_nothing_behind(
    store: Store, fail: Fail, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = fail(retention_ms=1_000)
    store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), "failed", FAILURE))
    store.erase(id, "")
    clock.pass_ms(100_000)
    store.tick("default", 0)
    slot = look()
    assert (slot.specs, slot.runs, slot.done, slot.left, slot.revived) == ({}, {}, {}, 0, {})
    assert (slot.dead, slot.gauges) == ({}, {})


def test_each_end_counts_in_the_totals(store: Store, fail: Fail, worker: ScriptedWorker, look: Look) -> None:
    id = fail()
    store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), "succeeded", b"1"))
    assert (look().stats["failed"], look().stats["succeeded"]) == (1, 1)
