"""Tasks that a worker hands back for want of their code: put off, and otherwise as they were."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hand_clock import START_MS, HandClock
from msgspec.structs import replace
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Sweep, entry, exits, park, settle
from slot_contents import Look
from submissions import Submit

from bide.exchange import EXIT_TRIES, Lease, Message, Usage
from bide.history import Outcome
from bide.ids import TaskId
from bide.reads import Reads
from bide.state import State
from bide.store import Store

WHY = b'{"code":"UNKNOWN_TASK","message":"not here"}'


def refuse(lease: Lease, delay_ms: int = 1_000, exits: int = 0) -> Message:
    return settle(lease, "refused", WHY, delay_ms=delay_ms, usage=Usage(replays=1, exits=exits))


def test_a_refused_task_is_put_off_and_its_attempt_has_not_happened(
    submit: Submit, worker: ScriptedWorker, look: Look, store: Store, clock: HandClock
) -> None:
    id = submit()
    worker.exchange(refuse(worker.lease_one()))
    slot = look()
    run = slot.runs[id.key]
    assert (run.state, run.attempt, run.worker, run.due_ms) == (State.RETRYING, 0, "", START_MS + 1_000)
    assert (run.refused_ms, slot.results[id.key], slot.places(id.key)) == (1_000, WHY, ["due"])
    assert Reads(store).attempts(id, "").attempts == ()
    clock.pass_ms(1_000)
    again = worker.lease_one()
    assert (again.attempt, again.run.refused_ms) == (1, 1_000)


def test_delays_add_up_while_nobody_has_the_code(
    submit: Submit, worker: ScriptedWorker, hire: Hire, look: Look, clock: HandClock
) -> None:
    """Nor does it begin anew when a worker is lost with the task, or leaves before it has looked at it."""
    id = submit()
    worker.exchange(refuse(worker.lease_one()))
    clock.pass_ms(1_000)
    worker.exchange(settle(worker.lease_one(), "ready"))
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    worker.exchange(refuse(worker.lease_one(), 2_000))
    run = look().runs[id.key]
    assert (run.refused_ms, run.attempt) == (3_000, 1)


def test_a_refusal_twice_is_one(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(refuse(lease))
    before = look().runs[id.key]
    worker.repeat()
    assert worker.exchange(refuse(lease, 5_000)).lost == ()
    assert look().runs[id.key] == before


def test_a_late_refusal_of_a_reaped_lease_is_lost(
    submit: Submit, worker: ScriptedWorker, hire: Hire, look: Look, clock: HandClock
) -> None:
    id = submit()
    lease = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    hire("other").lease_one()
    assert worker.exchange(refuse(lease)).lost == (0,)
    assert look().runs[id.key].state is State.RUNNING


@pytest.mark.parametrize("lived", [0, 1], ids=["new", "after a failed attempt"])
def test_a_refused_resume_keeps_its_attempt_and_its_journal(
    submit: Submit, worker: ScriptedWorker, look: Look, store: Store, clock: HandClock, lived: int
) -> None:
    id = submit(max_attempts=2)
    if lived:
        worker.exchange(settle(worker.lease_one(), "retrying", b'{"code":"E","message":""}'))
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1), park(lease, delay_ms=0))
    worker.exchange(refuse(worker.lease_one()))
    run = look().runs[id.key]
    assert (run.state, run.attempt, run.resumes, run.began_ms) == (
        State.RETRYING, lived + 1, 1, lease.run.began_ms,
    )  # fmt: skip
    assert Reads(store).attempts(id, "").attempts[-1].outcome is Outcome.RUNNING
    clock.pass_ms(1_000)
    again = worker.lease_one()
    assert (again.attempt, again.journal, again.run.began_ms) == (
        lived + 1, (b"entry",), lease.run.began_ms,
    )  # fmt: skip


def _parks(lease: Lease) -> Message:
    return park(lease, "go")


def _fails(lease: Lease) -> Message:
    return settle(lease, "retrying", b'{"code":"E","message":""}', delay_ms=1)


@pytest.mark.parametrize("ends", [_parks, _fails])
def test_whoever_has_the_code_clears_the_task_of_what_others_lacked(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock, ends: Callable[[Lease], Message]
) -> None:
    """The next deploy, weeks later, finds it with all its time."""
    id = submit()
    worker.exchange(refuse(worker.lease_one()))
    clock.pass_ms(1_000)
    worker.exchange(ends(worker.lease_one()))
    slot = look()
    assert slot.runs[id.key].refused_ms == 0
    assert slot.results.get(id.key) == (None if ends is _parks else b'{"code":"E","message":""}')


@pytest.mark.parametrize("settlement", ["succeeded", "failed"])
def test_nothing_of_it_is_kept_of_a_task_that_has_ended(
    submit: Submit, worker: ScriptedWorker, look: Look, clock: HandClock, settlement: str
) -> None:
    refused, other = submit(), submit()
    first, second = worker.lease(2)
    worker.exchange(refuse(first), settle(second, settlement, b"1"))
    clock.pass_ms(1_000)
    worker.exchange(settle(worker.lease_one(), settlement, b"1"))
    runs = look().runs
    alike = {"fence": 0, "finished_ms": 0, "started_ms": 0, "replays": 0}
    assert replace(runs[refused.key], **alike) == replace(runs[other.key], **alike)


# --- what ends it meanwhile -------------------------------------------------------------------


def test_a_refused_task_is_cancelled_at_once(
    submit: Submit, worker: ScriptedWorker, look: Look, store: Store
) -> None:
    id = submit()
    worker.exchange(refuse(worker.lease_one()))
    assert store.cancel(id, "").now
    assert look().places(id.key) == ["done"]


def test_a_refused_task_fails_at_its_deadline(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, look: Look, clock: HandClock
) -> None:
    id = submit(deadline_ms=5_000)
    worker.exchange(refuse(worker.lease_one(), 60_000))
    clock.pass_ms(5_000)
    sweep()
    slot = look()
    assert (slot.runs[id.key].state, slot.places(id.key)) == (State.FAILED, ["done"])
    assert json.loads(slot.results[id.key])["code"] == "DEADLINE_EXCEEDED"


def test_a_cancel_that_was_asked_of_a_refused_task_cancels_it(
    submit: Submit, worker: ScriptedWorker, look: Look, store: Store
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(refuse(lease))
    assert look().runs[id.key].state is State.CANCELLED


@pytest.fixture
def tidy(submit: Submit, worker: ScriptedWorker) -> tuple[TaskId, Lease]:
    """A task that has something to run at its end, and that was resumed by who lacks its code."""
    id = submit()
    lease = worker.lease_one()
    worker.exchange(exits(lease), park(lease, delay_ms=0))
    return id, worker.lease_one()


def test_what_a_task_wants_to_be_run_at_its_end_is_left_to_who_has_its_code(
    tidy: tuple[TaskId, Lease], worker: ScriptedWorker, look: Look, store: Store, clock: HandClock
) -> None:
    id, lease = tidy
    store.cancel(id, "")
    worker.exchange(refuse(lease))
    for _ in range(2 * EXIT_TRIES):
        worker.exchange(refuse(worker.lease_one()))
        run = look().runs[id.key]
        assert (run.state, run.ending, run.exits) == (State.RETRYING, "cancelled", EXIT_TRIES)
        clock.pass_ms(1_000)
    lease = worker.lease_one()
    assert (lease.run.ending, lease.attempt, lease.run.outcome) == ("cancelled", 1, "")


def test_a_cancel_of_a_refused_task_resumes_it_for_what_it_wants_to_be_run_at_its_end(
    tidy: tuple[TaskId, Lease], worker: ScriptedWorker, look: Look, store: Store
) -> None:
    id, lease = tidy
    worker.exchange(refuse(lease, 60_000))
    for _ in range(2):
        assert not store.cancel(id, "").now
        slot = look()
        assert (slot.runs[id.key].state, slot.places(id.key)) == (State.READY, ["ready"])
    worker.exchange(settle(worker.lease_one(), "cancelled"))
    assert look().runs[id.key].state is State.CANCELLED


def test_a_refused_suspect_is_isolated_still(
    submit: Submit, worker: ScriptedWorker, hire: Hire, look: Look, clock: HandClock
) -> None:
    id = submit(max_attempts=2)
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    worker.exchange(refuse(worker.lease_one()))
    clock.pass_ms(1_000)
    worker.exchange(isolate=False)
    assert look().places(id.key) == ["isolated"]
