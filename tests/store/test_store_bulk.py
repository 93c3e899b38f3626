"""Redrive and purge: what is done to many failed tasks, part by part, on one record."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hand_clock import HandClock
from scripted_worker import Hire, ScriptedWorker, settle
from slot_contents import Look
from submissions import Submit

from bide import upkeep
from bide.bulk import Bulk, Kind, Known, Wanted
from bide.connection import connect
from bide.errors import OperationNotFound, TaskNotFound, TooManyOperations
from bide.ids import OperationId, TaskId
from bide.reads import Reads
from bide.state import State
from bide.store import Store
from bide.upkeep import Caretaker
from bide.wake import NoWake, Waker

Fail = Callable[..., list[TaskId]]
"""Submits so many tasks and has them fail, each a millisecond after the other; see `fail`."""


@pytest.fixture
def bulk(store: Store) -> Bulk:
    return Bulk(store, Waker(store, NoWake()))


@pytest.fixture
def fail(submit: Submit, worker: ScriptedWorker, clock: HandClock) -> Fail:
    def fail(
        count: int, code: str = "ERROR", *, at_once: bool = False, message: str = "no luck", **given: object
    ) -> list[TaskId]:
        outcome = json.dumps({"code": code, "message": message}).encode()
        ids = [submit(**{"max_attempts": 1, **given}) for _ in range(count)]
        while leases := worker.lease():
            if at_once:
                worker.exchange(*(settle(lease, "failed", outcome) for lease in leases))
                continue
            for lease in leases:
                worker.exchange(settle(lease, "failed", outcome))
                clock.pass_ms(1)
        return ids

    return fail


def always() -> bool:
    return True


def never() -> bool:
    return False


def counts(known: Known) -> tuple[int, int, int]:
    operation = known.operation
    return operation.matched, operation.changed, operation.skipped


def states(store: Store, ids: list[TaskId]) -> set[State]:
    return {Reads(store).task(id, "").run.state for id in ids}


def test_a_redrive_makes_every_failed_task_ready(
    store: Store, bulk: Bulk, fail: Fail, look: Look, clock: HandClock
) -> None:
    ids = fail(5)
    done = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=always)
    assert counts(done) == (5, 5, 0)
    assert (done.operation.running, done.operation.finished_ms) == (False, clock.ms)
    assert states(store, ids) == {State.READY}
    assert list(look().ready) == [id.key for id in ids], "in the order of their failures"
    assert look().dead == {}


def test_a_purge_erases_them(store: Store, bulk: Bulk, fail: Fail, submit: Submit, look: Look) -> None:
    ids = fail(5, idempotency_key="")
    kept = submit()
    done = bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=always)
    assert counts(done) == (5, 5, 0)
    for id in ids:
        with pytest.raises(TaskNotFound):
            Reads(store).task(id, "")
    slot = look()
    assert set(slot.specs) == {kept.key}
    assert (slot.dead, slot.attempts) == ({}, {})
    assert slot.gauges == {}


@pytest.mark.parametrize("kind", Kind)
def test_a_dry_run_only_counts(bulk: Bulk, fail: Fail, look: Look, kind: Kind) -> None:
    fail(230)
    before = look()
    done = bulk.begin("default", kind, dry_run=True, goes_on=always)
    assert counts(done) == (230, 0, 0)
    after = look()
    assert (after.runs, after.dead, after.done, after.specs) == (
        before.runs,
        before.dead,
        before.done,
        before.specs,
    )


@pytest.mark.parametrize(
    ("wanted", "matched"),
    [
        (Wanted(), {"a", "b", "c", "d"}),
        (Wanted(name="echo"), {"a", "b", "c"}),
        (Wanted(tag="eu"), {"b", "c"}),
        (Wanted(code="TIMEOUT"), {"c", "d"}),
        (Wanted(name="echo", tag="eu", code="TIMEOUT"), {"c"}),
        (Wanted(name="ech"), set()),
        (Wanted(tag="e"), set()),
    ],
)
def test_a_filter_means_what_fits_in_every_respect(
    store: Store, bulk: Bulk, fail: Fail, wanted: Wanted, matched: set[str]
) -> None:
    tasks = {
        "a": fail(1)[0],
        "b": fail(1, tags=("eu", "blue"))[0],
        "c": fail(1, "TIMEOUT", tags=("red", "eu"))[0],
        "d": fail(1, "TIMEOUT", name="other")[0],
    }
    done = bulk.begin("default", Kind.REDRIVE, wanted, dry_run=False, goes_on=always)
    assert {name for name, id in tasks.items() if states(store, [id]) == {State.READY}} == matched
    assert counts(done) == (len(matched), len(matched), 0)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("wanted", [Wanted(), Wanted(code="RARE")])
def test_hundreds_are_done_a_hundred_at_a_time(
    bulk: Bulk, fail: Fail, look: Look, clock: HandClock, at_once: bool, kind: Kind, wanted: Wanted
) -> None:
    """Also where more of them failed in one millisecond than a part takes, and most are not meant."""
    fail(130, at_once=at_once)
    fail(20, "RARE", at_once=at_once)
    fail(200, at_once=at_once)
    meant = 20 if wanted.code else 350
    parts = itertools.count(1)
    done = bulk.begin("default", kind, wanted, dry_run=False, goes_on=lambda: bool(next(parts)))
    assert next(parts) <= 6
    assert counts(done) == (meant, meant, 0)
    assert len(look().dead) == 350 - meant


def test_what_one_caller_leaves_another_goes_on_with(
    store: Store, bulk: Bulk, fail: Fail, look: Look
) -> None:
    """As after the death of the first."""
    fail(250)
    begun = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=never)
    assert (counts(begun), begun.operation.running) == ((100, 100, 0), True)
    assert bulk.show(begun.id) == begun
    other = Bulk(store, Waker(store, NoWake()))
    turns = iter([True, True, False])
    assert not other.go_on("default", lambda: next(turns))
    assert counts(other.show(begun.id)) == (200, 200, 0)
    assert other.go_on("default", always)
    done = bulk.show(begun.id)
    assert (counts(done), done.operation.running) == ((250, 250, 0), False)
    assert len(look().ready) == 250


def test_a_part_that_is_called_twice_goes_on_and_does_nothing_twice(
    store: Store, bulk: Bulk, fail: Fail, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply is lost, and the connection sends the script again."""
    fail(150)
    script = store.slot_script

    def twice(name: str, *args: object) -> object:
        if name == "operate":
            script(name, *args)
        return script(name, *args)

    monkeypatch.setattr(store, "slot_script", twice)
    done = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=never)
    assert (counts(done), done.operation.running) == ((150, 150, 0), False)
    assert len(look().ready) == 150
    assert len(look().operations) == 1


def test_any_number_of_callers_at_once_do_each_task_once(
    store: Store, store_url: str, bulk: Bulk, fail: Fail, look: Look
) -> None:
    fail(900, at_once=True)
    begun = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=never)

    def help_out(_: int) -> bool:
        own = Store(connect(store_url), store.keys, store.clock)
        with closing(own.client):
            return Bulk(own, Waker(own, NoWake())).go_on("default", always)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(help_out, range(4)))
    assert counts(bulk.show(begun.id)) == (900, 900, 0)
    assert len(look().ready) == 900


def test_two_operations_at_once_share_the_tasks(bulk: Bulk, fail: Fail, look: Look) -> None:
    fail(300)
    first = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=never)
    second = bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=never)
    assert bulk.go_on("default", always)
    assert counts(bulk.show(first.id))[1] + counts(bulk.show(second.id))[1] == 300
    assert look().dead == {}


def test_what_fails_again_is_none_of_its_business(
    store: Store, bulk: Bulk, fail: Fail, worker: ScriptedWorker, clock: HandClock
) -> None:
    """Else a redrive of what fails at once would never end."""
    fail(150)
    begun = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=never)
    for lease in worker.lease():
        worker.exchange(settle(lease, "failed", b'{"code":"ERROR","message":"again"}'))
    clock.pass_ms(1)
    fail(7)
    bulk.go_on("default", always)
    assert counts(bulk.show(begun.id)) == (150, 150, 0)


def test_a_workers_clock_that_lags_does_not_make_it_redrive_twice(
    store: Store, bulk: Bulk, fail: Fail, worker: ScriptedWorker, clock: HandClock
) -> None:
    fail(101)
    begun = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=never)
    clock.pass_ms(-1)
    for lease in worker.lease():
        worker.exchange(settle(lease, "failed", b'{"code":"ERROR","message":"again"}'))
    bulk.go_on("default", always)
    assert counts(bulk.show(begun.id)) == (101, 101, 0)


@pytest.mark.parametrize("kind", Kind)
def test_it_means_what_has_failed_although_its_clock_lags(
    bulk: Bulk, fail: Fail, clock: HandClock, kind: Kind
) -> None:
    """Who asks for it may read the store's time a little earlier than the worker that told of the failure."""
    fail(3)
    clock.pass_ms(-5)
    done = bulk.begin("default", kind, dry_run=False, goes_on=always)
    assert counts(done) == (3, 3, 0)


def test_it_means_what_was_retried_and_has_failed_again_in_the_same_millisecond(
    store: Store, bulk: Bulk, fail: Fail, worker: ScriptedWorker
) -> None:
    (id,) = fail(1)
    store.retry(id, "")
    worker.exchange(settle(worker.lease_one(), "failed"))
    done = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=always)
    assert counts(done) == (1, 1, 0)


def test_tasks_whose_unique_value_is_taken_are_skipped(
    store: Store, bulk: Bulk, fail: Fail, submit: Submit
) -> None:
    first, second = (fail(1, unique="u")[0] for _ in range(2))
    taken = fail(1, unique="v")[0]
    submit(unique="v")
    done = bulk.begin("default", Kind.REDRIVE, dry_run=False, goes_on=always)
    assert counts(done) == (3, 1, 2)
    assert states(store, [first]) == {State.READY}
    assert states(store, [second, taken]) == {State.FAILED}


def test_a_rate_gives_each_task_its_turn(
    store: Store, bulk: Bulk, fail: Fail, look: Look, clock: HandClock
) -> None:
    ids = fail(205, expires_ms=5_000)
    began_ms = clock.ms
    done = bulk.begin("default", Kind.REDRIVE, dry_run=False, rate=8, goes_on=always)
    assert counts(done) == (205, 205, 0)
    slot = look()
    assert list(slot.ready) == [ids[0].key]
    turns = list(slot.due.values())
    assert turns == [began_ms + 125 * n for n in range(1, 205)]
    assert slot.ends == {id.key: began_ms + 125 * n + 5_000 for n, id in enumerate(ids)}
    clock.pass_ms(1_000)
    store.tick("default", 0)
    slot = look()
    assert (len(slot.ready), slot.gauges) == (9, {"scheduled": 196})


def test_a_slow_driver_does_not_make_the_rate_higher(
    bulk: Bulk, fail: Fail, look: Look, clock: HandClock
) -> None:
    fail(150)
    bulk.begin("default", Kind.REDRIVE, dry_run=False, rate=100, goes_on=never)
    clock.pass_ms(60_000)
    bulk.go_on("default", always)
    late = [due_ms for due_ms in look().due.values() if due_ms > clock.ms]
    assert late == [clock.ms + 10 * n for n in range(1, 50)]


def test_workers_and_the_alarm_are_asked_for(store: Store, fail: Fail, worker: ScriptedWorker) -> None:
    class Recorder(NoWake):
        farthest_ms = 900_000
        started = 0
        alarms: tuple[int, ...] = ()

        def start(self, count: int) -> None:
            self.started += count

        def alarm(self, delay_ms: int) -> None:
            self.alarms += (delay_ms,)

    fail(3)
    worker.retire(forced=True)
    wake = Recorder()
    bulk = Bulk(store, Waker(store, wake))
    bulk.begin("default", Kind.REDRIVE, dry_run=True, goes_on=always)
    assert (wake.started, wake.alarms) == (0, ())
    bulk.begin("default", Kind.REDRIVE, dry_run=False, rate=1, goes_on=always)
    assert (wake.started, wake.alarms) == (1, (1_000,))


def test_ten_run_at_a_time_and_the_eleventh_is_refused(bulk: Bulk, fail: Fail, look: Look) -> None:
    fail(101)
    for _ in range(10):
        bulk.begin("default", Kind.REDRIVE, dry_run=True, goes_on=never)
    before = look()
    with pytest.raises(TooManyOperations):
        bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=always)
    assert look() == before
    assert bulk.go_on("default", always)
    assert not bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=always).operation.running


def test_a_hundred_are_remembered_and_finished_ones_leave_first(
    bulk: Bulk, fail: Fail, clock: HandClock
) -> None:
    fail(101)
    running = bulk.begin("default", Kind.REDRIVE, dry_run=True, goes_on=never)
    begun = []
    for _ in range(105):
        clock.pass_ms(1)
        begun.append(
            bulk.begin("default", Kind.REDRIVE, Wanted(name="none"), dry_run=True, goes_on=always).id
        )
    latest = [known.id for known in bulk.latest()]
    assert latest == [*reversed(begun[-99:]), running.id]
    with pytest.raises(OperationNotFound):
        bulk.show(begun[0])


def test_those_of_all_queues_are_listed_the_latest_first(
    store: Store, bulk: Bulk, fail: Fail, submit: Submit, clock: HandClock
) -> None:
    submit(queue="vms")
    ids = []
    for queue in ("vms", "default", "vms"):
        ids.append(bulk.begin(queue, Kind.PURGE, dry_run=True, goes_on=always).id)
        clock.pass_ms(1)
    assert [known.id for known in bulk.latest()] == ids[::-1]


def test_an_operation_that_nobody_began_is_not_found(store: Store, bulk: Bulk) -> None:
    unknown = OperationId("default", b"x" * 16)
    with pytest.raises(OperationNotFound):
        bulk.show(unknown)
    with pytest.raises(OperationNotFound):
        store.slot_script("operate", "default", store.now_ms(), unknown.key, b"", 100, 100)


def test_large_failures_are_read_a_mebibyte_at_a_time_and_arguments_not_at_all(
    bulk: Bulk, fail: Fail
) -> None:
    large = "x" * 100_000
    fail(50, args=json.dumps({"value": large}))
    assert counts(bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=never)) == (50, 50, 0)
    fail(30, message=large)
    begun = bulk.begin("default", Kind.REDRIVE, dry_run=True, goes_on=never)
    assert (begun.operation.matched, begun.operation.running) == (20, True)
    bulk.go_on("default", always)
    assert counts(bulk.show(begun.id)) == (30, 0, 0)


# --- the tick -----------------------------------------------------------------------------


@pytest.fixture
def caretaker(store: Store) -> Caretaker:
    return Caretaker(store, Waker(store, NoWake()))


def test_a_look_goes_on_with_the_operations_of_every_slot(
    store: Store, bulk: Bulk, caretaker: Caretaker, fail: Fail, submit: Submit, hire: Hire
) -> None:
    fail(150)
    for _ in range(101):
        submit(queue="vms", max_attempts=1)
    other = hire("other", slot="vms")
    while leases := other.lease():
        other.exchange(*(settle(lease, "failed") for lease in leases))
    begun = [bulk.begin(queue, Kind.REDRIVE, dry_run=False, goes_on=never).id for queue in ("default", "vms")]
    assert not caretaker.look(0).operating
    assert [counts(bulk.show(id)) for id in begun] == [(150, 150, 0), (101, 101, 0)]
    assert store.tick("default", store.begin_turn()).operating == 0


def test_a_look_does_not_let_operations_hold_it_up(
    bulk: Bulk, caretaker: Caretaker, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(150)
    begun = bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=never)
    monkeypatch.setattr(upkeep, "OPERATE_S", 0.0)
    report = caretaker.look(0)
    assert (report.complete, report.operating) == (True, True)
    assert counts(bulk.show(begun.id)) == (100, 100, 0)


def test_a_look_that_runs_out_of_time_leaves_them_to_the_next(
    bulk: Bulk, caretaker: Caretaker, fail: Fail
) -> None:
    fail(250)
    begun = bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=never)
    turns = iter([True, True, True])  # for the tick, to read the operations, and for one part
    assert caretaker.look(0, goes_on=lambda: next(turns, False)).operating
    assert counts(bulk.show(begun.id)) == (200, 200, 0)
    assert not caretaker.look(0).operating


class Looks(NoWake):
    """Counts how often somebody is asked to go on."""

    count = 0

    def look(self) -> None:
        self.count += 1


def test_somebody_is_asked_to_go_on_with_what_is_left_and_with_nothing_else(
    store: Store, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(250)
    looks = Looks()
    waker = Waker(store, looks)
    monkeypatch.setattr(upkeep, "OPERATE_S", 0.0)
    Bulk(store, waker).begin("default", Kind.REDRIVE, dry_run=True, goes_on=always)
    assert looks.count == 0
    Bulk(store, waker).begin("default", Kind.REDRIVE, dry_run=True, goes_on=never)
    assert looks.count == 1
    caretaker = Caretaker(store, waker)
    assert caretaker.look(0).operating
    assert looks.count == 2
    monkeypatch.undo()
    assert not caretaker.look(0).operating
    assert looks.count == 2


def test_a_look_leaves_going_on_to_one_that_began_later(
    store: Store, bulk: Bulk, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(250)
    begun = bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=never)
    monkeypatch.setattr(upkeep, "OPERATE_S", 0.0)
    looks = Looks()
    earlier = Caretaker(store, Waker(store, looks))
    go_on, later = earlier._bulk.go_on, Caretaker(store, Waker(store, NoWake()))

    def overtaken(slot: str, goes_on: Callable[[], bool]) -> bool:
        assert later.look(0).operating
        return go_on(slot, goes_on)

    monkeypatch.setattr(earlier._bulk, "go_on", overtaken)
    assert not earlier.look(0).operating
    assert looks.count == 0
    assert bulk.show(begun.id).operation.running
