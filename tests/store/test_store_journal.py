"""Journals in the store: one entry a position, written by the current lease alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Takeover, entry, park, progress, settle
from slot_contents import Look
from submissions import Submit

from bide.exchange import Message, Verb
from bide.reads import Reads
from bide.state import State
from bide.store import Store


def test_the_next_lease_brings_the_entries_in_their_order(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    lease = worker.lease_one()
    assert lease.journal == ()
    numbers = range(1, 301)  # two bytes of position
    for first in (1, 101, 201):
        worker.exchange(*(entry(lease, n, b"%d" % n) for n in numbers if first <= n < first + 100))
    (again,) = worker.exchange(park(lease, delay_ms=0), capacity=1).leases
    assert again.journal == tuple(b"%d" % n for n in numbers)


def test_each_task_has_its_own_entries(submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    submit()
    a, b = worker.lease()
    worker.exchange(entry(a, 1, b"a"), entry(b, 1, b"b"), entry(b, 2, b"bb"))
    leases = worker.exchange(park(a, delay_ms=0), park(b, delay_ms=0), capacity=2).leases
    assert {lease.id: lease.journal for lease in leases} == {a.id: (b"a",), b.id: (b"b", b"bb")}


def test_an_entry_can_be_overwritten(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    submit()
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1, b"open"), entry(lease, 2, b"two"))
    worker.exchange(entry(lease, 1, b"done"))
    slot = look()
    assert slot.entries(lease.id.key) == [b"done", b"two"]
    assert slot.runs[lease.id.key].journal == 2


def test_an_entry_keeps_its_bytes(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    submit()
    lease = worker.lease_one()
    packed = bytes(range(256)) * 256
    worker.exchange(entry(lease, 1, packed))
    assert look().entries(lease.id.key) == [packed]


def test_entries_of_an_exchange_that_is_repeated_count_once(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    submit()
    lease = worker.lease_one()
    first = worker.exchange(entry(lease, 1, b"a"), entry(lease, 2, b"b"))
    after = look()
    assert worker.repeat() == first
    assert look() == after
    worker.exchange(entry(lease, 1, b"a"), entry(lease, 2, b"b"))
    assert replace(look(), ledgers=after.ledgers) == after


def test_a_superseded_lease_writes_no_entry_and_no_progress(takeover: Takeover, look: Look) -> None:
    frozen, old, other, new = takeover
    other.exchange(entry(new, 1, b"right"))
    assert frozen.exchange(entry(old, 1, b"late"), entry(old, 2, b"late"), progress(old, b"{}")).lost == (
        0,
        1,
        2,
    )
    slot = look()
    assert slot.entries(new.id.key) == [b"right"]
    assert slot.progress == {}


def test_an_entry_of_a_reaped_lease_is_refused_before_the_task_is_leased_again(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, store: Store, look: Look
) -> None:
    submit()
    lease = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert worker.exchange(entry(lease, 1)).lost == (0,)
    assert look().journal == {}


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "retrying", "ready", "waiting"])
def test_an_entry_after_the_settle_of_its_lease_is_lost(
    submit: Submit, worker: ScriptedWorker, look: Look, state: str
) -> None:
    submit()
    lease = worker.lease_one()
    assert worker.exchange(settle(lease, state, delay_ms=5), entry(lease, 1)).lost == (1,)
    assert look().journal == {}


def test_a_lost_entry_leaves_its_event_unread(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    id = submit()
    store.send_event(id, "", "go", b"1")
    lease = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    worker.exchange(entry(lease, 1, event=1))
    assert look().unread(id.key) == [("go", "1")]


@pytest.mark.parametrize("state", ["retrying", "ready", "waiting"])
def test_the_journal_survives_whatever_is_not_the_end(
    submit: Submit, worker: ScriptedWorker, state: str
) -> None:
    submit()
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1, b"a"))
    (again,) = worker.exchange(settle(lease, state, delay_ms=0), capacity=1).leases
    assert again.journal == (b"a",)


def test_the_journal_survives_a_crash(submit: Submit, hire: Hire, clock: HandClock) -> None:
    submit()
    dead = hire("dead")
    dead.exchange(entry(dead.lease_one(), 1, b"a"))
    clock.pass_ms(LEASE_MS)
    assert hire("heir").lease_one().journal == (b"a",)


# --- the end ------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_finished_task_leaves_no_journal_and_no_inbox(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, state: str, together: bool
) -> None:
    """Also when its last entries come with the settle."""
    id = submit()
    lease = worker.lease_one()
    for _ in range(2):
        store.send_event(id, "", "go", b"1")
    entries = [entry(lease, n, event=n % 2) for n in (1, 2, 3)]
    end = settle(lease, state, b"1")
    if together:
        worker.exchange(*entries, end)
    else:
        worker.exchange(*entries)
        worker.exchange(end)
    slot = look()
    assert slot.places(id.key) == ["done"]
    assert (slot.journal, slot.inbox) == ({}, {})


def test_a_parked_task_that_is_cancelled_leaves_no_journal_and_no_inbox(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1), park(lease, "go"))
    store.send_event(id, "", "other", b"1")
    store.cancel(id, "")
    assert (look().journal, look().inbox) == ({}, {})


def test_a_park_that_meets_a_cancel_leaves_no_journal(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    store.cancel(id, "")
    worker.exchange(entry(lease, 1), park(lease, "go"))
    assert look().runs[id.key].state == State.CANCELLED
    assert look().journal == {}


# --- progress -----------------------------------------------------------------------------


def test_what_a_task_said_last_of_itself_is_read_with_it_and_pruned_with_it(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    id = submit(retention_ms=1_000)
    lease = worker.lease_one()
    worker.exchange(progress(lease, b'{"fraction":0.5}'), progress(lease, b'{"fraction":0.75}'))
    assert Reads(store).task(id, "").progress == b'{"fraction":0.75}'
    worker.exchange(settle(lease, "succeeded"))
    assert Reads(store).task(id, "").progress == b'{"fraction":0.75}'
    clock.pass_ms(1_000)
    store.tick("default", 0)
    assert look().progress == {}


def test_progress_of_no_task_is_lost(worker: ScriptedWorker, look: Look) -> None:
    assert worker.exchange(Message(b"?" * 16, 1, Verb.PROGRESS, 0, b"{}")).lost == (0,)
    assert look().progress == {}
