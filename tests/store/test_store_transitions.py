"""The log of transitions: one line for each change of state that the store makes, and none else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
from every_branch import play
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, deliver, exits, park, settle, watch
from slot_contents import Look
from submissions import Submit, submission

from bide.bulk import Bulk, Kind
from bide.exchange import Lease, Message
from bide.ids import TaskId
from bide.moves import Moved
from bide.state import TRANSITIONS, State
from bide.store import Store
from bide.transition_log import TransitionLog
from bide.wake import NoWake, Waker

Line = dict[str, Any]


class Kept(TransitionLog):
    """Keeps its lines. Of a repeated exchange, whose first answer has come here all the same, it tells
    nothing twice.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._last: Collection[Moved] = ()
        super().__init__(self._keep)

    def _keep(self, lines: bytes) -> None:
        assert lines.endswith(b"\n")
        self.lines += [json.loads(line) for line in lines.splitlines()]

    def note_turn(
        self,
        slot: str,
        messages: Sequence[Message],
        lost: Collection[int],
        leases: Any,
        moves: Collection[Moved],
        now_ms: int,
    ) -> None:
        again = self._last if not messages or moves[: len(self._last)] == self._last else ()  # type: ignore[index]
        self._last = moves
        fresh = tuple(move for move in moves if move not in again)
        super().note_turn(slot, messages, lost, leases, fresh, now_ms)

    def of(self, id: TaskId) -> list[Line]:
        return [line for line in self.lines if line["task"] == str(id)]

    def events(self, id: TaskId) -> list[str]:
        return [line["event"] for line in self.of(id)]


@pytest.fixture
def log(store: Store) -> Kept:
    store.log = kept = Kept()
    return kept


CAME_TO = {
    "promoted": "ready", "started": "running", "resumed": "running", "parked": "waiting",
    "retrying": "retrying", "refused": "retrying", "handed_back": "ready", "succeeded": "succeeded",
    "failed": "failed", "cancelled": "cancelled", "expired": "expired",
}  # fmt: skip
"""The state that an event leads to, where its line does not say."""


def states(lines: list[Line]) -> Iterator[State]:
    for line in lines:
        if line["event"] != "deleted":
            yield State(line.get("state") or CAME_TO[line["event"]])


def test_the_lines_of_each_task_are_its_course_without_a_gap(
    store: Store, hire: Hire, clock: HandClock, look: Look, log: Kept
) -> None:
    play(store, hire, clock)
    ids = {line["task"] for line in log.lines}
    assert len(ids) > 100
    told: dict[str, State] = {}
    for id in ids:
        first, *rest = states([line for line in log.lines if line["task"] == id])
        assert first in (State.READY, State.SCHEDULED)
        told[id] = first
        for state in rest:
            assert state in TRANSITIONS[told[id]], (id, [line for line in log.lines if line["task"] == id])
            told[id] = state
    there = {str(TaskId("default", key)): run for key, run in look().runs.items() if run.max_attempts}
    assert there
    assert {id: run.state for id, run in there.items()} == {id: told[id] for id in there}
    assert {line["name"] for line in log.lines} == {"echo"}


def test_a_task_from_its_submission_to_its_end(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    id = submit()
    clock.pass_ms(7)
    lease = worker.lease_one()
    clock.pass_ms(30)
    worker.exchange(settle(lease, "succeeded", b"1"))
    common = {"level": "INFO", "task": str(id), "name": "echo", "queue": "default"}
    assert [{key: value for key, value in line.items() if key != "at"} for line in log.of(id)] == [
        {**common, "event": "submitted", "attempt": 0, "state": "ready"},
        {**common, "event": "started", "attempt": 1, "start_delay_ms": 7},
        {**common, "event": "succeeded", "attempt": 1, "run_ms": 30},
    ]


def test_a_start_that_seems_to_come_before_its_submission_is_a_start(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    """Two processes' readings of the store's time differ by a little."""
    id = submit()
    clock.pass_ms(-3)
    worker.exchange(settle(worker.lease_one(), "succeeded"))
    _, started, succeeded = log.of(id)
    assert (started["event"], started["start_delay_ms"], succeeded["run_ms"]) == ("started", 0, 0)


def test_a_repeated_submission_is_told_once(store: Store, log: Kept) -> None:
    first, again = (store.submit(submission(idempotency_key="k", fingerprint=b"f" * 16)).id for _ in range(2))
    assert first == again
    assert log.events(first) == ["submitted"]


def test_a_submission_whose_answer_was_lost_is_told(store: Store, log: Kept) -> None:
    run = store.slot_script

    def twice(name: str, slot: str, *args: Any) -> Any:
        run(name, slot, *args)
        return run(name, slot, *args)

    store.slot_script = twice  # type: ignore[method-assign]
    assert log.events(store.submit(submission()).id) == ["submitted"]


def test_a_failed_attempt_says_why_and_when_the_next_one_comes(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    id = submit(max_attempts=2)
    failure = b'{"code":"TASK_FAILED","message":"no"}'
    worker.exchange(settle(worker.lease_one(), "retrying", failure, delay_ms=5))
    clock.pass_ms(5)
    worker.exchange(settle(worker.lease_one(), "failed", b"not JSON"))
    _, _, retrying, promoted, started, failed = log.of(id)
    assert (retrying["event"], retrying["code"], retrying["retry_ms"]) == ("retrying", "TASK_FAILED", 5)
    assert (promoted["event"], promoted["attempt"], "worker" in promoted) == ("promoted", 1, False)
    assert (started["event"], started["attempt"], started["start_delay_ms"]) == ("started", 2, 0)
    assert (failed["event"], failed["attempt"], "code" in failed) == ("failed", 2, False)


def test_a_task_that_waits_is_parked_promoted_and_resumed(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    id = submit()
    worker.exchange(park(worker.lease_one(), "go"))
    store.send_event(id, "", "go", b"1")
    clock.pass_ms(50)
    lease = worker.lease_one()
    clock.pass_ms(10)
    worker.exchange(settle(lease, "succeeded"))
    assert log.events(id) == ["submitted", "started", "parked", "promoted", "resumed", "succeeded"]
    assert log.of(id)[-1]["run_ms"] == 60


def test_a_task_whose_event_had_come_is_ready_at_once(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.send_event(id, "", "go", b"1")
    clock.pass_ms(1)
    worker.exchange(park(lease, "go"))
    assert log.events(id) == ["submitted", "started", "parked"]
    assert (log.of(id)[-1]["state"], log.of(id)[-1]["run_ms"]) == ("ready", 1)


def test_an_answer_of_a_poller_promotes(submit: Submit, worker: ScriptedWorker, log: Kept) -> None:
    id = submit()
    worker.exchange(park(worker.lease_one(), "~1.1"))
    worker.exchange(deliver(id.key, "~1.1"))
    assert log.events(id) == ["submitted", "started", "parked", "promoted"]


def test_a_poller_is_no_task(worker: ScriptedWorker, clock: HandClock, log: Kept) -> None:
    worker.exchange(watch(b"p" * 16, "vms", "a"))
    clock.pass_ms(1_000)
    (lease,) = worker.lease()
    assert lease.is_poller
    worker.exchange(settle(lease, "polled", b"vms", delay_ms=5))
    assert log.lines == []


def test_a_silent_workers_tasks_are_reaped(
    store: Store, submit: Submit, hire: Hire, clock: HandClock, log: Kept
) -> None:
    again, last, asked = submit(max_attempts=2), submit(max_attempts=1), submit()
    hire("dead").lease(3)
    store.cancel(asked, "")
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    for id, state in ((again, "ready"), (last, "failed"), (asked, "cancelled")):
        assert log.events(id) == ["submitted", "started", "reaped"]
        assert (log.of(id)[-1]["state"], log.of(id)[-1]["worker"]) == (state, "dead")


def test_what_a_superseded_worker_says_is_not_told(
    submit: Submit, worker: ScriptedWorker, hire: Hire, clock: HandClock, log: Kept
) -> None:
    id = submit()
    frozen = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    lease = hire("other").lease_one()
    worker.exchange(settle(frozen, "succeeded"))
    hire("other", boot=2).exchange(settle(lease, "failed"))
    assert log.events(id) == ["submitted", "started", "reaped", "started", "failed"]


def test_a_lease_that_is_settled_twice_is_told_once(
    submit: Submit, worker: ScriptedWorker, log: Kept
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(settle(lease, "ready"), settle(lease, "succeeded"), capacity=0)
    worker.exchange(settle(lease, "succeeded"), capacity=0)
    assert log.events(id) == ["submitted", "started", "handed_back"]


def test_a_refusal_is_told_with_its_reason_and_when_the_task_is_offered_again(
    submit: Submit, worker: ScriptedWorker, log: Kept
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "refused", b'{"code":"A","message":""}', delay_ms=5))
    assert log.events(id) == ["submitted", "started", "refused"]
    assert (log.of(id)[-1]["code"], log.of(id)[-1]["retry_ms"]) == ("A", 5)


def test_a_cancel_wins_over_another_try(
    store: Store, submit: Submit, worker: ScriptedWorker, log: Kept
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(settle(lease, "retrying", b'{"code":"A","message":""}', delay_ms=5))
    assert log.events(id) == ["submitted", "started", "cancelled"]
    assert log.of(id)[-1]["run_ms"] == 0


def test_a_cancel_of_a_parked_task_with_something_to_do_resumes_it(
    store: Store, submit: Submit, worker: ScriptedWorker, log: Kept
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(exits(lease), park(lease, "go"))
    store.cancel(id, "")
    worker.exchange(settle(worker.lease_one(), "cancelled"))
    assert log.events(id)[2:] == ["parked", "promoted", "resumed", "cancelled"]


def test_a_task_that_has_not_started_is_cancelled_once(store: Store, submit: Submit, log: Kept) -> None:
    id = submit(delay_ms=1_000)
    store.cancel(id, "")
    store.cancel(id, "")
    assert [(line["event"], line.get("state")) for line in log.of(id)] == [
        ("submitted", "scheduled"),
        ("cancelled", None),
    ]


def test_tasks_whose_time_is_up_are_told_by_whoever_ends_them(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    late, expired = submit(deadline_ms=5, delay_ms=60_000), submit(expires_ms=5)
    clock.pass_ms(5)
    worker.exchange()
    store.tick("default", 0)
    assert log.events(late) == ["submitted", "failed"]
    assert log.events(expired) == ["submitted", "expired"]


def test_an_erased_task_is_deleted(store: Store, submit: Submit, worker: ScriptedWorker, log: Kept) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "succeeded"))
    store.erase(id, "")
    assert log.events(id) == ["submitted", "started", "succeeded", "deleted"]
    assert log.of(id)[-1]["attempt"] == 1


def test_an_answer_that_was_lost_is_told_with_its_repeat(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    """What a script moved by itself stands in the worker's ledger until the next exchange."""
    due, gone = submit(delay_ms=5), submit(expires_ms=5)
    clock.pass_ms(5)
    worker.exchange(capacity=0)  # unheard
    late = submit(delay_ms=5)
    clock.pass_ms(5)
    store.log = log = Kept()
    moves = worker.repeat().moves
    assert [(move.id, move.event) for move in moves] == [
        (due, "promoted"), (gone, "expired"), (late, "promoted"),
    ]  # fmt: skip
    assert worker.repeat().moves == moves
    assert [log.events(id) for id in (due, gone, late)] == [["promoted"], ["expired"], ["promoted"]]
    assert worker.exchange(capacity=0).moves == ()


def test_a_lease_that_rests_is_told_once_it_is_held_again(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    id = submit()
    lease = worker.lease_one()
    log.rest("default", lease.fence)
    clock.pass_ms(40)
    log.hold(id, lease.fence, "echo", 1, lease.run.began_ms)
    worker.exchange(settle(lease, "succeeded"))
    assert (log.events(id)[-1], log.of(id)[-1]["run_ms"]) == ("succeeded", 40)


def test_leases_that_are_lost_are_forgotten(
    store: Store, submit: Submit, worker: ScriptedWorker, log: Kept
) -> None:
    submit()
    lease: Lease = worker.lease_one()
    log.forget("default", [(lease.id.key, lease.fence)])
    worker.exchange(settle(lease, "succeeded"))
    assert log.events(lease.id) == ["submitted", "started"]


def test_a_retried_task_and_those_of_a_bulk_operation_are_told(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, log: Kept
) -> None:
    bulk = Bulk(store, Waker(store, NoWake()))
    one, other = submit(), submit()
    worker.exchange(*(settle(lease, "failed") for lease in worker.lease()))
    store.retry(one, "")
    store.retry(one, "")
    worker.exchange(*(settle(lease, "failed") for lease in worker.lease()))
    clock.pass_ms(1)
    bulk.begin("default", Kind.REDRIVE, dry_run=False, rate=0.5, goes_on=lambda: True)
    first = ["submitted", "started", "failed"]
    assert log.events(one) == [*first, "retried", "started", "failed", "retried"]
    assert log.events(other) == [*first, "retried"]
    assert {log.of(id)[-1]["state"] for id in (one, other)} == {"ready", "scheduled"}


def test_purged_tasks_are_told_by_their_names(
    store: Store, submit: Submit, worker: ScriptedWorker, log: Kept
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "failed"))
    Bulk(store, Waker(store, NoWake())).begin("default", Kind.PURGE, dry_run=False, goes_on=lambda: True)
    last = log.of(id)[-1]
    assert (last["event"], last["name"]) == ("deleted", "echo")
