"""Large arguments and results stand apart from what lists read of a task."""

from __future__ import annotations

import pytest
from hand_clock import HandClock
from scripted_worker import ScriptedWorker, entry, park, settle
from slot_contents import Look
from submissions import Submit

from bide.bulk import Bulk, Kind
from bide.crew import crew
from bide.listing import NEWEST, Filter, Listing
from bide.operate.flight import flights
from bide.reads import Reads
from bide.records import INLINE_BYTES
from bide.store import Store
from bide.wake import NoWake, Waker


def args_of(size: int) -> str:
    """Arguments of so many bytes."""
    return '{"value":"' + "x" * (size - 12) + '"}'


LARGE = args_of(100_000)


@pytest.mark.parametrize(("size", "stands_apart"), [(INLINE_BYTES, False), (INLINE_BYTES + 1, True)])
def test_arguments_of_any_size_are_shown_and_leased_whole(
    submit: Submit, store: Store, worker: ScriptedWorker, look: Look, size: int, stands_apart: bool
) -> None:
    id = submit(args=args_of(size))
    assert (id.key in look().arguments) == stands_apart
    reads = Reads(store)
    lease = worker.lease_one()
    again = worker.repeat().leases[0]
    views = (reads.task(id, ""), reads.tasks([id], "")[id])
    specs = [lease.spec, again.spec, *(view.spec for view in views)]
    assert [spec.args if spec else None for spec in specs] == [args_of(size)] * 4
    worker.exchange(entry(lease, 1), park(lease, "go"))
    (flight,) = flights(store)
    assert flight.spec is not None
    assert flight.spec.args == args_of(size)


def test_a_lease_of_several_gives_each_its_own_arguments(submit: Submit, worker: ScriptedWorker) -> None:
    sent = [LARGE, '{"value":1}', args_of(600), "{}", args_of(601)]
    for args in sent:
        submit(args=args)
    assert [lease.spec.args for lease in worker.lease() if lease.spec] == sent


def test_lists_and_the_crew_find_a_hundred_tasks_whatever_was_sent_with_them(
    submit: Submit, store: Store, worker: ScriptedWorker
) -> None:
    """A page looks at a mebibyte at most: with all arguments it would end after the first few."""
    for _ in range(100):
        submit(args=LARGE)
    page = Listing(store).page("", Filter(), 100, {"default": NEWEST})
    assert len(page.tasks) == 100
    assert {view.spec.args for view in page.tasks} == {""}
    worker.lease()
    (member,) = crew(store, ("default",), lambda _: True)
    assert {holding.spec.args for holding in member.tasks} == {""}


def test_the_record_that_scripts_read_of_a_task_is_small(submit: Submit, store: Store) -> None:
    id = submit(args=LARGE)
    (specs,) = store.keys.slot("default", ("specs",))
    assert store.command("HSTRLEN", specs, id.key) < 100


@pytest.mark.parametrize("way", ["erase", "prune", "purge"])
def test_large_arguments_go_with_their_task(
    submit: Submit, store: Store, worker: ScriptedWorker, clock: HandClock, look: Look, way: str
) -> None:
    id, kept = submit(args=LARGE, retention_ms=1_000, max_attempts=1), submit(args=LARGE)
    worker.exchange(settle(worker.lease_one(), "failed"))
    assert look().arguments.keys() == {id.key, kept.key}
    if way == "erase":
        store.erase(id, "")
    elif way == "purge":
        bulk = Bulk(store, Waker(store, NoWake()))
        bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=lambda: True)
    else:
        clock.pass_ms(2_000)
        store.tick("default", 0)
    assert look().arguments.keys() == {kept.key}


def test_a_repeat_of_a_submission_leaves_the_arguments_as_they_are(
    submit: Submit, store: Store, look: Look
) -> None:
    keyed = {"idempotency_key": "k", "fingerprint": b"f" * 16}
    first = submit(args=LARGE, **keyed)
    before = look()
    assert submit(args=LARGE, **keyed) == first
    assert look() == before


# --- and results --------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "stands_apart"), [(INLINE_BYTES, False), (INLINE_BYTES + 1, True)])
def test_results_of_any_size_are_shown_whole(
    submit: Submit, store: Store, worker: ScriptedWorker, look: Look, size: int, stands_apart: bool
) -> None:
    id, result = submit(), args_of(size).encode()
    worker.exchange(settle(worker.lease_one(), "succeeded", result))
    worker.repeat()
    assert look().large_results == ({id.key: result} if stands_apart else {})
    reads = Reads(store)
    assert [view.run.outcome for view in (reads.task(id, ""), reads.tasks([id], "")[id])] == [
        result.decode()
    ] * 2


def test_a_large_result_takes_the_place_of_an_earlier_failure(
    submit: Submit, store: Store, worker: ScriptedWorker
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), "retrying", b'{"code":"X","message":"x"}', delay_ms=0))
    worker.exchange(settle(worker.lease_one(), "succeeded", LARGE.encode()))
    assert Reads(store).task(id, "").run.outcome == LARGE
    assert Reads(store).attempts(id, "").traceback == ""


def test_a_list_finds_a_hundred_tasks_whatever_they_returned(
    submit: Submit, store: Store, worker: ScriptedWorker
) -> None:
    for _ in range(100):
        submit()
    leases = worker.lease()
    for first in range(0, 100, 10):
        worker.exchange(*(settle(lease, "succeeded", LARGE.encode()) for lease in leases[first : first + 10]))
    page = Listing(store).page("", Filter(), 100, {"default": NEWEST})
    assert len(page.tasks) == 100
    assert {view.run.outcome for view in page.tasks} == {""}


@pytest.mark.parametrize("way", ["erase", "prune"])
def test_a_large_result_goes_with_its_task(
    submit: Submit, store: Store, worker: ScriptedWorker, clock: HandClock, look: Look, way: str
) -> None:
    id, kept = submit(retention_ms=1_000), submit()
    worker.exchange(*(settle(lease, "succeeded", LARGE.encode()) for lease in worker.lease()))
    if way == "erase":
        store.erase(id, "")
    else:
        clock.pass_ms(2_000)
        store.tick("default", 0)
    assert look().large_results.keys() == {kept.key}
