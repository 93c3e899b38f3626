"""Logs in the store: numbered lines under the lease of whoever says them, the last five hundred of a task."""

from __future__ import annotations

import msgspec
import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, deliver, lines, park, settle
from slot_contents import Look
from submissions import Submit

from bide.errors import TaskNotFound
from bide.exchange import Lease
from bide.ids import TaskId
from bide.line import KEPT, Kind, Line
from bide.reads import LogPage, Reads
from bide.store import Store


def line(text: str, attempt: int = 1) -> bytes:
    return msgspec.msgpack.encode(Line(5, Kind.LOG, attempt, "INFO", "a", text))


@pytest.fixture
def read(store: Store) -> Reads:
    return Reads(store)


def messages(page: LogPage) -> list[tuple[int, str]]:
    return [(number, line.message) for number, line in page.lines]


def say(worker: ScriptedWorker, id: TaskId, count: int) -> Lease:
    """Lease the task, and have it say so many lines: its first says 1."""
    lease = worker.lease_one()
    assert lease.id == id
    numbers = [line(str(number)) for number in range(1, count + 1)]
    for first in range(0, count, 50):
        assert worker.exchange(lines(lease, *numbers[first : first + 50])).lost == ()
    return lease


def test_lines_are_numbered_in_the_order_in_which_they_are_said(
    submit: Submit, worker: ScriptedWorker, read: Reads
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(lines(lease, line("one"), line("two")), lines(lease, line("three")))
    worker.exchange(lines(lease, line("four")), settle(lease, "succeeded", b"1"))
    page = read.lines(id, "", 0, 100)
    assert messages(page) == [(1, "one"), (2, "two"), (3, "three"), (4, "four")]
    assert page.lines[0][1] == Line(5, Kind.LOG, 1, "INFO", "a", "one")
    assert (page.next, page.dropped, page.done) == (4, 0, True)


def test_a_cursor_goes_through_a_log_page_by_page(
    submit: Submit, worker: ScriptedWorker, read: Reads
) -> None:
    id = submit()
    say(worker, id, 7)
    pages, after = [], 0
    while (page := read.lines(id, "", after, 3)).lines:
        pages.append([number for number, _ in page.lines])
        after = page.next
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]
    assert (page.next, page.dropped, page.done) == (7, 0, False)


def test_who_has_read_more_than_there_is_waits_where_it_is(submit: Submit, read: Reads) -> None:
    assert read.lines(submit(), "", 9, 100) == LogPage((), 9, 0, False)


def test_a_task_that_has_not_started_has_no_lines(submit: Submit, read: Reads) -> None:
    assert read.lines(submit(), "", 0, 100) == LogPage((), 0, 0, False)
    assert read.lines(submit(delay_ms=60_000), "", 0, 100) == LogPage((), 0, 0, False)


def test_the_log_of_another_tenant_is_not_found(store: Store, submit: Submit, read: Reads) -> None:
    id = submit(tenant="acme")
    assert read.lines(id, "acme", 0, 100).lines == ()
    for other, tenant in ((id, ""), (TaskId("default", b"x" * 16), "acme")):
        with pytest.raises(TaskNotFound):
            read.lines(other, tenant, 0, 100)


def test_the_last_five_hundred_lines_are_kept(
    submit: Submit, worker: ScriptedWorker, read: Reads, look: Look
) -> None:
    id = submit()
    say(worker, id, KEPT + 30)
    page = read.lines(id, "", 0, 100)
    assert messages(page)[0] == (31, "31")
    assert (page.next, page.dropped) == (130, 30)
    assert read.lines(id, "", 20, 1) == LogPage(page.lines[:1], 31, 10, False)
    assert messages(read.lines(id, "", KEPT + 29, 100)) == [(KEPT + 30, str(KEPT + 30))]
    assert len(look().lines) == KEPT + 1


def test_a_superseded_lease_says_nothing(
    submit: Submit, worker: ScriptedWorker, hire: Hire, clock: HandClock, read: Reads
) -> None:
    id = submit()
    frozen = worker.lease_one()
    clock.pass_ms(LEASE_MS)
    lease = hire("other").lease_one()
    assert worker.exchange(lines(frozen, line("late"))).lost == (0,)
    assert hire("other", boot=2).exchange(lines(lease, line("in time"))).lost == ()
    assert messages(read.lines(id, "", 0, 100)) == [(1, "in time")]


def test_a_settled_task_says_nothing(submit: Submit, worker: ScriptedWorker, read: Reads) -> None:
    id = submit()
    lease = worker.lease_one()
    assert worker.exchange(settle(lease, "succeeded"), lines(lease, line("late"))).lost == (1,)
    assert read.lines(id, "", 0, 100).lines == ()


def test_lines_of_an_exchange_that_is_repeated_count_once(
    submit: Submit, worker: ScriptedWorker, read: Reads
) -> None:
    id = submit()
    worker.exchange(lines(worker.lease_one(), line("once")))
    worker.repeat()
    assert messages(read.lines(id, "", 0, 100)) == [(1, "once")]


def test_another_attempt_goes_on_counting(submit: Submit, worker: ScriptedWorker, read: Reads) -> None:
    id = submit()
    first = worker.lease_one()
    (second,) = worker.exchange(lines(first, line("a")), park(first, delay_ms=0), capacity=1).leases
    worker.exchange(lines(second, line("b", attempt=2)))
    assert messages(read.lines(id, "", 0, 100)) == [(1, "a"), (2, "b")]


# --- events -------------------------------------------------------------------------------------


def test_an_event_leaves_a_line(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, read: Reads
) -> None:
    id = submit()
    store.send_event(id, "", "early", b"1", key="k")
    store.send_event(id, "", "early", b"1", key="k")
    lease = worker.lease_one()
    worker.exchange(lines(lease, line("a")), park(lease, "go"))
    store.send_event(id, "", "go", b'{"large":1}')
    page = read.lines(id, "", 0, 100)
    assert messages(page) == [(1, "early"), (2, "a"), (3, "go")]
    assert page.lines[0][1] == Line(clock.ms, Kind.EVENT, 0, "", "", "early")
    assert page.lines[2][1] == Line(clock.ms, Kind.EVENT, 1, "", "", "go")


def test_a_pollers_answer_leaves_none(submit: Submit, worker: ScriptedWorker, read: Reads) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(park(lease, "~1.1"))
    worker.exchange(deliver(id.key, "~1.1"))
    assert read.lines(id, "", 0, 100).lines == ()


def test_without_records_an_event_leaves_none(store: Store, submit: Submit, read: Reads) -> None:
    store.records = False
    id = submit()
    store.send_event(id, "", "go", b"1")
    assert read.lines(id, "", 0, 100).lines == ()


# --- what goes with the task ----------------------------------------------------------------------


def test_an_erased_task_leaves_no_lines(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id = submit()
    lease = say(worker, id, KEPT + 30)
    worker.exchange(settle(lease, "succeeded"))
    store.erase(id, "")
    assert look().lines == {}


def test_a_pruned_task_leaves_no_lines(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    submit(retention_ms=10)
    lease = worker.lease_one()
    worker.exchange(lines(lease, line("a"), line("b")), settle(lease, "failed", b"1"))
    assert len(look().lines) == 3
    clock.pass_ms(60_000)
    store.tick("default", 0)
    assert look().lines == {}
