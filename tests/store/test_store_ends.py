"""Ends by the clock: a task expires unless it has started, and fails unless it meets its deadline."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Sweep, park, settle
from slot_contents import Look
from submissions import Submit

from bide.ids import TaskId
from bide.state import State
from bide.store import Store

# --- expires ------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_ms", [0, 60_000])
@pytest.mark.parametrize(("passed_ms", "state"), [(499, None), (500, State.EXPIRED), (90_000, State.EXPIRED)])
def test_a_task_that_nobody_starts_expires(
    submit: Submit, sweep: Sweep, clock: HandClock, look: Look,
    delay_ms: int, passed_ms: int, state: State | None,
) -> None:  # fmt: skip
    id = submit(expires_ms=500, delay_ms=delay_ms, retention_ms=7)
    before = look().runs[id.key].state
    clock.pass_ms(passed_ms)
    sweep()
    slot = look()
    assert slot.runs[id.key].state == (state or before)
    if state:
        assert slot.places(id.key) == ["done"]
        assert slot.done == {id.key: clock.ms + 7}
        assert (slot.results, slot.ends) == ({}, {})


def test_a_task_that_expires_is_not_leased_in_the_same_exchange(
    submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    submit(expires_ms=500)
    clock.pass_ms(500)
    assert worker.lease() == ()


@pytest.mark.parametrize("then", ["running", "ready", "retrying", "waiting"])
def test_a_task_that_has_started_expires_no_more(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look, then: str
) -> None:
    id = submit(expires_ms=500)
    lease = worker.lease_one(lease_ms=10**9)
    if then != "running":
        worker.exchange(settle(lease, then, delay_ms=10**6))
    clock.pass_ms(500)
    sweep()
    slot = look()
    assert slot.runs[id.key].state == then
    assert slot.ends == {}, "it need not be looked at again"


# --- deadline -----------------------------------------------------------------------------


def _bring(state: str, submit: Submit, worker: ScriptedWorker) -> TaskId:
    """A task in this state, with five seconds to its deadline."""
    if state == "scheduled":
        return submit(deadline_ms=5_000, delay_ms=60_000)
    id = submit(deadline_ms=5_000)
    if state == "ready":
        return id
    lease = worker.lease_one(lease_ms=10**9)
    if state == "retrying":
        worker.exchange(settle(lease, "retrying", b'"why"', delay_ms=60_000))
    elif state == "waiting":
        worker.exchange(park(lease, delay_ms=60_000))
    elif state == "waiting for ever":
        worker.exchange(park(lease, "go"))
    return id


@pytest.mark.parametrize("state", ["scheduled", "ready", "retrying", "waiting", "waiting for ever"])
def test_a_task_that_nobody_runs_fails_at_its_deadline(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look, state: str
) -> None:
    id = _bring(state, submit, worker)
    clock.pass_ms(4_999)
    sweep()
    assert look().runs[id.key].state == state.split()[0]
    clock.pass_ms(1)
    sweep()
    slot = look()
    assert slot.runs[id.key].state == State.FAILED
    assert slot.places(id.key) == ["done"]
    assert json.loads(slot.results[id.key])["code"] == "DEADLINE_EXCEEDED"
    assert slot.ends == {}


def test_a_suspect_fails_at_its_deadline(
    submit: Submit, hire: Hire, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = submit(max_attempts=2, deadline_ms=LEASE_MS + 1)
    hire("dead").lease_one()
    clock.pass_ms(LEASE_MS)
    sweep()
    assert look().places(id.key) == ["isolated"]
    clock.pass_ms(1)
    sweep()
    assert look().places(id.key) == ["done"]


def test_a_running_task_is_left_to_its_worker_at_its_deadline(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = _bring("running", submit, worker)
    clock.pass_ms(5_000)
    sweep()
    slot = look()
    assert slot.places(id.key) == ["leased"]
    assert slot.ends[id.key] > clock.ms, "it is looked at again, but not at every turn"


def test_a_task_whose_worker_dies_after_its_deadline_fails(
    submit: Submit, hire: Hire, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = submit(deadline_ms=5_000)
    hire("dead").lease_one()
    for _ in range(5):
        clock.pass_ms(5_000)
        sweep()
    assert look().runs[id.key].state == State.FAILED
    assert json.loads(look().results[id.key])["code"] == "DEADLINE_EXCEEDED"


def test_an_outcome_after_the_deadline_counts_while_the_lease_does(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    id = submit(deadline_ms=5_000)
    lease = worker.lease_one()
    clock.pass_ms(5_000)
    worker.exchange(settle(lease, "succeeded", b"1"))
    slot = look()
    assert (slot.runs[id.key].state, slot.ends) == (State.SUCCEEDED, {})


def test_a_started_task_that_may_no_longer_expire_still_has_its_deadline(
    submit: Submit, worker: ScriptedWorker, sweep: Sweep, clock: HandClock, look: Look
) -> None:
    id = submit(expires_ms=500, deadline_ms=5_000)
    worker.exchange(park(worker.lease_one(), "go"))
    clock.pass_ms(500)
    sweep()
    assert look().ends == {id.key: START_MS + 5_000}
    clock.pass_ms(4_500)
    sweep()
    assert look().runs[id.key].state == State.FAILED


def test_the_next_due_time_counts_the_ends(submit: Submit, worker: ScriptedWorker) -> None:
    submit(delay_ms=60_000, expires_ms=500)
    assert worker.exchange().next_due_ms == START_MS + 500


def test_the_same_upkeep_again_changes_nothing(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    for state in ("scheduled", "retrying", "waiting", "running", "ready"):
        _bring(state, submit, worker)
    submit(expires_ms=5)
    clock.pass_ms(5_000)
    store.tick("default", 0)
    after = look()
    store.tick("default", 0)
    assert replace(look(), bell=after.bell) == after
    assert after.stats == {"failed": 4, "expired": 1, "waited_ms": 5_000, "starts": 1}


def test_more_than_one_upkeeps_worth_of_ends_are_all_ended(
    submit: Submit, store: Store, clock: HandClock, look: Look
) -> None:
    for _ in range(120):
        submit(expires_ms=5)
    clock.pass_ms(5)
    upkeep = store.tick("default", 0)
    assert upkeep.next_due_ms == START_MS + 5, "there is more to do at once"
    store.tick("default", 0)
    assert {run.state for run in look().runs.values()} == {State.EXPIRED}
