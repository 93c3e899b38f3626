"""What is written down of a task's attempts, and what is not."""

from __future__ import annotations

import json

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, park, settle
from slot_contents import Look
from submissions import Submit

from bide.errors import TaskNotFound
from bide.exchange import Usage
from bide.history import Attempt, Outcome
from bide.ids import TaskId
from bide.reads import Reads
from bide.state import State
from bide.store import Store

FAILURE = json.dumps({"code": "ERROR", "message": "no luck", "traceback": "line 1"}).encode()


def attempts(store: Store, id: TaskId) -> list[Attempt]:
    return list(Reads(store).attempts(id, "").attempts)


def test_a_task_that_succeeds_at_once_leaves_no_history(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    id = submit()
    lease = worker.lease_one()
    clock.pass_ms(7)
    worker.exchange(settle(lease, "succeeded", b"1"))
    assert look().attempts == {}
    assert attempts(store, id) == [Attempt(1, "", START_MS, START_MS + 7, Outcome.SUCCEEDED)]


def test_each_attempt_is_there_with_who_when_and_why(
    store: Store, submit: Submit, hire: Hire, clock: HandClock
) -> None:
    id = submit(max_attempts=3)
    for name, ending in (("a", "retrying"), ("b", "retrying"), ("c", "failed")):
        clock.pass_ms(10)
        worker = hire(name)
        lease = worker.lease_one()
        clock.pass_ms(5)
        worker.exchange(settle(lease, ending, FAILURE))
    assert attempts(store, id) == [
        Attempt(1, "a", START_MS + 10, START_MS + 15, Outcome.RETRYING, "ERROR", "no luck"),
        Attempt(2, "b", START_MS + 25, START_MS + 30, Outcome.RETRYING, "ERROR", "no luck"),
        Attempt(3, "c", START_MS + 40, START_MS + 45, Outcome.FAILED, "ERROR", "no luck"),
    ]
    assert Reads(store).attempts(id, "").traceback == "line 1"


@pytest.mark.parametrize("ending", ["retrying", "failed", "succeeded"])
def test_no_attempt_ends_before_it_has_begun(
    store: Store, submit: Submit, hire: Hire, clock: HandClock, ending: str
) -> None:
    """Nor its task: workers' readings of the store's time differ by a little."""
    id, worker = submit(), hire("a")
    worker.exchange(settle(worker.lease_one(), "retrying", FAILURE))
    lease = worker.lease_one()
    clock.pass_ms(-3)
    worker.exchange(settle(lease, ending, FAILURE))
    attempt = attempts(store, id)[1]
    assert (attempt.began_ms, attempt.ended_ms) == (START_MS, START_MS)
    assert Reads(store).task(id, "").run.finished_ms in (0, START_MS)


def test_an_attempt_does_not_begin_before_its_task_was_submitted(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = submit()
    lease = worker.lease_one()
    clock.pass_ms(-3)
    worker.exchange(settle(lease, "ready"))
    worker.lease_one()
    assert attempts(store, id)[0].began_ms == START_MS


def test_a_lost_attempt_does_not_end_before_it_has_begun(
    store: Store, submit: Submit, hire: Hire, clock: HandClock
) -> None:
    id = submit()
    clock.pass_ms(-3)
    hire("a").lease_one(lease_ms=0)
    hire("b").exchange()
    (lost,) = attempts(store, id)
    assert (lost.began_ms, lost.ended_ms) == (START_MS, START_MS)


@pytest.mark.parametrize("delay_ms", [0, 60_000], ids=["ready", "scheduled"])
def test_no_task_ends_before_it_was_submitted(
    store: Store, submit: Submit, clock: HandClock, delay_ms: int
) -> None:
    id = submit(delay_ms=delay_ms)
    clock.pass_ms(-3)
    store.cancel(id, "")
    assert Reads(store).task(id, "").run.finished_ms == START_MS


def test_a_success_after_a_failure_is_written_down(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "retrying", FAILURE))
    worker.exchange(settle(worker.lease_one(), "succeeded", b"1"))
    assert [each.outcome for each in attempts(store, id)] == [Outcome.RETRYING, Outcome.SUCCEEDED]
    assert attempts(store, id)[1].worker == "worker"
    assert Reads(store).attempts(id, "").traceback == ""


@pytest.mark.parametrize("upkeep", ["exchange", "tick"])
def test_an_attempt_whose_worker_is_lost_is_lost(
    store: Store, submit: Submit, hire: Hire, clock: HandClock, upkeep: str
) -> None:
    id = submit(max_attempts=2)
    for name in ("a", "b"):
        hire(name).lease_one()
        clock.pass_ms(LEASE_MS)
        if upkeep == "tick":
            store.tick("default", 0)
        else:
            hire("janitor").exchange(free=-1)
    assert [(each.number, each.worker, each.outcome) for each in attempts(store, id)] == [
        (1, "a", Outcome.LOST),
        (2, "b", Outcome.LOST),
    ]
    assert {each.code for each in attempts(store, id)} == {"WORKER_LOST"}
    assert Reads(store).task(id, "").run.state is State.FAILED


def test_a_lost_attempt_of_a_task_that_was_to_be_cancelled_is_lost(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = submit()
    worker.lease_one()
    store.cancel(id, "")
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert [each.outcome for each in attempts(store, id)] == [Outcome.LOST]
    assert Reads(store).task(id, "").run.state is State.CANCELLED


def test_a_settled_cancel_ends_the_attempt(store: Store, submit: Submit, worker: ScriptedWorker) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "cancelled"))
    assert [(each.outcome, each.code) for each in attempts(store, id)] == [(Outcome.CANCELLED, "")]


def test_parks_and_resumes_are_no_attempts(store: Store, submit: Submit, worker: ScriptedWorker) -> None:
    id = submit()
    for _ in range(3):
        worker.exchange(park(worker.lease_one(), delay_ms=0))
        assert [(each.number, each.outcome) for each in attempts(store, id)] == [(1, Outcome.RUNNING)]
    assert attempts(store, id)[0].worker == ""
    worker.exchange(settle(worker.lease_one(), "succeeded", b"1"))
    assert [(each.number, each.outcome) for each in attempts(store, id)] == [(1, Outcome.SUCCEEDED)]


def test_a_parked_task_that_is_cancelled_ends_its_attempt(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id = submit()
    worker.exchange(park(worker.lease_one(), "go"))
    store.cancel(id, "")
    assert [(each.number, each.worker, each.outcome) for each in attempts(store, id)] == [
        (1, "", Outcome.CANCELLED)
    ]


def test_a_parked_task_whose_deadline_passes_ends_its_attempt(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = submit(deadline_ms=50)
    worker.exchange(park(worker.lease_one(), "go"))
    clock.pass_ms(50)
    store.tick("default", 0)
    (only,) = attempts(store, id)
    assert (only.outcome, only.code) == (Outcome.FAILED, "DEADLINE_EXCEEDED")


def test_what_ends_between_attempts_ends_none(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    never, retrying = submit(delay_ms=10_000), submit()
    worker.exchange(settle(worker.lease_one(), "retrying", FAILURE, delay_ms=10_000))
    store.cancel(never, "")
    store.cancel(retrying, "")
    assert attempts(store, never) == []
    assert [each.outcome for each in attempts(store, retrying)] == [Outcome.RETRYING]
    late = submit(expires_ms=5)
    clock.pass_ms(5)
    store.tick("default", 0)
    assert Reads(store).task(late, "").run.state is State.EXPIRED
    assert attempts(store, late) == []


def test_a_task_that_was_handed_back_has_not_tried(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "ready"))
    assert attempts(store, id) == []
    worker.exchange(settle(worker.lease_one(), "failed", FAILURE))
    assert [(each.number, each.outcome) for each in attempts(store, id)] == [(1, Outcome.FAILED)]


def test_the_same_end_twice_is_one_attempt(store: Store, submit: Submit, worker: ScriptedWorker) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, "failed", FAILURE))
    worker.repeat()
    worker.exchange(settle(lease, "failed", FAILURE), settle(lease, "retrying", FAILURE))
    assert len(attempts(store, id)) == 1


def test_of_many_attempts_the_first_and_the_last_ten_are_kept(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    id = submit(max_attempts=30)
    for _ in range(25):
        worker.exchange(settle(worker.lease_one(), "retrying", FAILURE))
    history = Reads(store).attempts(id, "")
    assert [each.number for each in history.attempts] == [*range(1, 11), *range(16, 26)]
    assert history.dropped == 5


def test_without_records_there_is_no_history(
    store: Store, submit: Submit, worker: ScriptedWorker, hire: Hire, clock: HandClock, look: Look
) -> None:
    store.records = False
    submit(max_attempts=3)
    worker.exchange(settle(worker.lease_one(), "retrying", FAILURE))
    parked = hire("lost").lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    lease = worker.lease_one()
    worker.exchange(park(lease))
    store.cancel(lease.id, "")
    assert parked.id == lease.id
    assert look().attempts == {}


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 500),
        ("ü" * 300, "ü" * 250),
        ("x" + "€" * 300, "x" + "€" * 166),
    ],
)
def test_a_long_message_is_cut_between_characters(
    store: Store, submit: Submit, worker: ScriptedWorker, message: str, kept: str
) -> None:
    id = submit()
    outcome = json.dumps({"code": "ERROR", "message": message}, ensure_ascii=False).encode()
    worker.exchange(settle(worker.lease_one(), "failed", outcome))
    assert attempts(store, id)[0].message == kept


@pytest.mark.parametrize("outcome", [b"", b"7", b"[]", b'{"code": 7}', b"{", b'{"code": "E", "message": []}'])
def test_an_outcome_that_is_no_failure_has_no_reason(
    store: Store, submit: Submit, worker: ScriptedWorker, outcome: bytes
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "failed", outcome))
    assert attempts(store, id)[0].message == ""


def test_a_pollers_rounds_are_no_attempts(worker: ScriptedWorker, look: Look, clock: HandClock) -> None:
    from scripted_worker import watch

    home = b"p" * 16
    worker.exchange(watch(home, "vms", "a"))
    worker.lease_one()
    clock.pass_ms(LEASE_MS)
    worker.exchange()
    worker.exchange(settle(worker.lease_one(), "polled", b"vms", usage=Usage(1)))
    assert look().attempts == {}


def test_another_tenants_history_is_not_found(store: Store, submit: Submit) -> None:
    id = submit(tenant="acme")
    with pytest.raises(TaskNotFound):
        Reads(store).attempts(id, "other")
    with pytest.raises(TaskNotFound):
        Reads(store).attempts(id._replace(key=b"x" * 16), "acme")


def test_a_history_goes_with_its_task(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    submit(retention_ms=1_000)
    worker.exchange(settle(worker.lease_one(), "failed", FAILURE))
    assert len(look().attempts) == 1
    clock.pass_ms(5_000)
    store.tick("default", 0)
    assert look().attempts == {}
