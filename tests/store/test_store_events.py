"""Events: kept until they are read, counted once, and able to wake who waits for them."""

from __future__ import annotations

import msgspec
import pytest
from hand_clock import HandClock
from scripted_worker import Hire, ScriptedWorker, deliver, entry, park, settle
from slot_contents import Look
from submissions import Submit

from bide.errors import IdempotencyConflict, InboxFull, RateLimited, TaskFinished, TaskNotFound
from bide.exchange import Event
from bide.ids import TaskId
from bide.reads import Reads
from bide.replies import Need, Sent
from bide.state import State
from bide.store import Store

MAX_UNREAD = 64
LARGE = b'"' + b"x" * 65_534 + b'"'
"""A body of 64 KiB, as large as one may be."""


@pytest.fixture
def parked(submit: Submit, worker: ScriptedWorker) -> TaskId:
    """A task that waits for `go`, or `stop`, or half a minute to pass."""
    id = submit()
    worker.exchange(park(worker.lease_one(), "go stop", delay_ms=30_000))
    return id


@pytest.mark.parametrize("name", ["go", "stop"])
def test_an_awaited_event_makes_a_parked_task_ready(
    parked: TaskId, store: Store, look: Look, name: str
) -> None:
    assert store.send_event(parked, "", name, b'{"by":"me"}') == Sent(False, Need())
    slot = look()
    assert slot.places(parked.key) == ["ready"]
    assert slot.unread(parked.key) == [(name, '{"by":"me"}')]
    run = slot.runs[parked.key]
    assert (run.state, run.due_ms, run.parked_ms, run.awaits) == (State.READY, 0, 0, "go stop")


@pytest.mark.parametrize("name", ["g", "o", "going", "go-stop"])
def test_another_event_is_kept_and_wakes_nobody(parked: TaskId, store: Store, look: Look, name: str) -> None:
    store.send_event(parked, "", name, b"1")
    slot = look()
    assert slot.places(parked.key) == ["due"]
    assert slot.unread(parked.key) == [(name, "1")]


def test_a_lease_brings_the_names_of_unread_events_and_the_bodies_of_awaited_ones(
    parked: TaskId, store: Store, worker: ScriptedWorker
) -> None:
    for name, body in (("other", b"1"), ("go", b"2"), ("go", b"3")):
        store.send_event(parked, "", name, body)
    brought = (Event(1, "other"), Event(2, "go", "2"), Event(3, "go", "3"))
    assert worker.lease_one().events == brought
    assert worker.repeat().leases[0].events == brought
    assert Reads(store).unread_events(parked, "go") == brought
    assert Reads(store).unread_events(parked, "other") == (
        Event(1, "other", "1"), Event(2, "go"), Event(3, "go"),
    )  # fmt: skip


def test_a_park_for_an_event_that_has_come_is_ready_at_once(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    store.send_event(id, "", "go", b"1")
    lease = worker.lease_one()
    assert [event.name for event in lease.events] == ["go"]
    worker.exchange(park(lease, "stop go", delay_ms=30_000))
    assert look().places(id.key) == ["ready"]
    assert worker.lease_one().attempt == 1


def test_an_event_that_comes_while_the_task_runs_is_there_when_it_parks(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    assert lease.events == ()
    assert store.send_event(id, "", "go", b"1") == Sent(False, Need())
    worker.exchange(park(lease, "go"))
    assert look().places(id.key) == ["ready"]


def test_a_park_for_an_event_that_was_read_waits_for_the_next(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    store.send_event(id, "", "go", b"1")
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1, event=1), park(lease, "go"))
    assert look().runs[id.key].state == State.WAITING
    store.send_event(id, "", "go", b"1")
    assert look().unread(id.key) == [("go", "1")]
    assert look().places(id.key) == ["ready"]


def test_an_event_wants_a_worker_when_none_is_awake(
    parked: TaskId, store: Store, worker: ScriptedWorker
) -> None:
    assert worker.retire()
    assert store.send_event(parked, "", "other", b"1") == Sent(False, Need())
    assert store.send_event(parked, "", "go", b"1") == Sent(False, Need(workers=1))


def test_an_awaited_event_rings_a_listener(parked: TaskId, store: Store, hire: Hire, look: Look) -> None:
    hire("other").exchange(capacity=1, listen_ms=30_000)
    store.send_event(parked, "", "go", b"1")
    assert look().bell == 1


# --- the same event again -----------------------------------------------------------------


def test_the_same_key_again_is_answered_and_changes_nothing(parked: TaskId, store: Store, look: Look) -> None:
    assert not store.send_event(parked, "", "go", b"1", key="k").seen
    after = look()
    assert store.send_event(parked, "", "go", b"1", key="k") == Sent(True, Need())
    assert look() == after


def test_the_same_call_again_without_a_key_is_one_event(parked: TaskId, store: Store, look: Look) -> None:
    store = Store(store.client, store.keys, store.clock, random_bytes=lambda n: b"r" * n)
    assert [store.send_event(parked, "", "go", b"1").seen for _ in range(2)] == [False, True]
    assert look().unread(parked.key) == [("go", "1")]


def test_an_event_that_is_sent_again_wants_a_worker_while_nobody_is_awake_for_its_task(
    store: Store, submit: Submit, worker: ScriptedWorker, hire: Hire
) -> None:
    """The reply that said so the first time may be lost."""
    id = submit()
    worker.exchange(park(worker.lease_one(), "go"))
    worker.retire(forced=True)
    needs = [store.send_event(id, "", "go", b"1", key="k").need for _ in range(2)]
    assert needs == [Need(workers=1)] * 2
    hire("another").exchange()
    assert store.send_event(id, "", "go", b"1", key="k").need == Need()


def test_two_events_without_a_key_are_two(parked: TaskId, store: Store, look: Look) -> None:
    for _ in range(2):
        store.send_event(parked, "", "go", b"1")
    assert len(look().unread(parked.key)) == 2


@pytest.mark.parametrize(("name", "body"), [("go", b"2"), ("stop", b"1")])
def test_the_same_key_for_another_event_is_a_conflict(
    parked: TaskId, store: Store, look: Look, name: str, body: bytes
) -> None:
    store.send_event(parked, "", "go", b"1", key="k")
    before = look()
    with pytest.raises(IdempotencyConflict):
        store.send_event(parked, "", name, body, key="k")
    assert look() == before


def test_the_same_key_for_another_task_is_no_conflict(parked: TaskId, submit: Submit, store: Store) -> None:
    store.send_event(parked, "", "go", b"1", key="k")
    assert not store.send_event(submit(), "", "go", b"2", key="k").seen


def test_the_mark_of_an_event_stays_when_it_has_been_read(
    parked: TaskId, store: Store, worker: ScriptedWorker, look: Look
) -> None:
    store.send_event(parked, "", "go", b"1", key="k")
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1, event=1), park(lease, "go"))
    assert store.send_event(parked, "", "go", b"1", key="k").seen
    assert look().runs[parked.key].state == State.WAITING


def test_the_same_events_reading_again_changes_nothing(
    parked: TaskId, store: Store, worker: ScriptedWorker, look: Look
) -> None:
    store.send_event(parked, "", "go", b"1")
    store.send_event(parked, "", "go", b"2")
    lease = worker.lease_one()
    worker.exchange(entry(lease, 1, event=1))
    after = look()
    worker.repeat()
    assert look() == after
    worker.exchange(entry(lease, 1, event=1))
    assert look().unread(parked.key) == [("go", "2")]


# --- whom it may be sent to, and how many -------------------------------------------------


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_finished_task_refuses_events_and_says_how_it_finished(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look, state: str
) -> None:
    id = submit()
    worker.exchange(settle(worker.lease_one(), state))
    before = look()
    with pytest.raises(TaskFinished) as refusal:
        store.send_event(id, "", "go", b"1")
    assert refusal.value.state == state
    assert look() == before


def test_an_event_for_no_task_or_anothers_is_not_found(submit: Submit, store: Store, look: Look) -> None:
    id = submit(tenant="acme")
    before = look()
    for wrong, tenant in ((TaskId("default", b"?" * 16), "acme"), (id, ""), (id, "zeta")):
        with pytest.raises(TaskNotFound):
            store.send_event(wrong, tenant, "go", b"1")
    assert look() == before


def test_an_inbox_holds_so_many_unread_events_and_answers_of_pollers_besides(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    for _ in range(MAX_UNREAD):
        store.send_event(id, "", "go", b"1")
    before = look()
    with pytest.raises(InboxFull):
        store.send_event(id, "", "go", b"1")
    assert look() == before
    worker.exchange(deliver(id.key, "~1.1"))
    assert len(look().unread(id.key)) == MAX_UNREAD + 1


def test_a_full_inbox_still_answers_for_what_it_holds(submit: Submit, store: Store) -> None:
    id = submit()
    for number in range(MAX_UNREAD):
        store.send_event(id, "", "go", b"1", key=str(number))
    assert store.send_event(id, "", "go", b"1", key="7").seen


def test_reading_an_event_makes_room_for_another(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    for number in range(MAX_UNREAD):
        store.send_event(id, "", "go", b"1", key=str(number))
    worker.exchange(entry(lease, 1, event=1))
    assert not store.send_event(id, "", "go", b"1").seen
    assert len(look().unread(id.key)) == MAX_UNREAD


def test_unread_bodies_are_a_quarter_of_a_mebibyte_at_most_and_answers_of_pollers_come_besides(
    parked: TaskId, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    for number in range(4):
        store.send_event(parked, "", "other", LARGE, key=str(number))
    before = look()
    with pytest.raises(InboxFull):
        store.send_event(parked, "", "go", b"1")
    assert look() == before
    assert store.send_event(parked, "", "other", LARGE, key="2").seen
    worker.exchange(deliver(parked.key, "~1.1", LARGE))
    assert look().runs[parked.key].state == State.WAITING
    store.cancel(parked, "")
    assert look().inbox == {}


def test_what_is_read_makes_room_by_its_size(
    submit: Submit, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    for number in range(4):
        store.send_event(id, "", "go", LARGE, key=str(number))
    worker.exchange(entry(lease, 1, event=2))
    store.send_event(id, "", "go", LARGE[1:])
    store.send_event(id, "", "go", b"1")
    with pytest.raises(InboxFull):
        store.send_event(id, "", "go", b"1")
    assert [len(body) for _, body in look().unread(id.key)] == [65_536, 65_536, 65_536, 65_535, 1]


# --- what it costs ------------------------------------------------------------------------


def test_an_event_writes_itself_and_little_beside_however_full_the_inbox_is(
    submit: Submit, store: Store, look: Look
) -> None:
    id = submit()
    for _ in range(60):
        store.send_event(id, "", "other", b"x" * 4_096)
    before = look().inbox
    store.send_event(id, "", "go", b"1")
    written = {field: value for field, value in look().inbox.items() if before.get(field) != value}
    assert sum(len(field) + len(value) for field, value in written.items()) < 3_000
    assert before.keys() <= look().inbox.keys()


def test_a_lease_brings_no_body_that_its_task_did_not_await(
    parked: TaskId, store: Store, worker: ScriptedWorker
) -> None:
    for _ in range(3):
        store.send_event(parked, "", "other", LARGE)
    store.send_event(parked, "", "stop", b"1")
    events = worker.lease_one().events
    assert [(event.name, event.body) for event in events] == [("other", None)] * 3 + [("stop", "1")]


def test_a_first_lease_brings_names_alone_of_what_came_before_it(
    submit: Submit, store: Store, worker: ScriptedWorker
) -> None:
    id = submit()
    store.send_event(id, "", "go", LARGE)
    assert worker.lease_one().events == (Event(1, "go"),)
    assert Reads(store).unread_events(id, "go") == (Event(1, "go", LARGE.decode()),)


def test_one_exchange_brings_a_mebibyte_of_bodies_at_most(
    submit: Submit, store: Store, worker: ScriptedWorker
) -> None:
    ids = [submit() for _ in range(20)]
    worker.exchange(*(park(lease, "go") for lease in worker.lease()))
    for id in ids:
        store.send_event(id, "", "go", LARGE)
    leases = worker.lease()
    assert worker.repeat().leases == leases
    bodies = [event.body for lease in leases for event in lease.events]
    assert len(bodies) == 20
    assert sum(len(body) for body in bodies if body is not None) == 16 * len(LARGE)


def test_an_attempt_after_a_failed_one_awaits_nothing_yet(
    parked: TaskId, store: Store, worker: ScriptedWorker, look: Look
) -> None:
    store.send_event(parked, "", "go", b"1")
    lease = worker.lease_one()
    assert look().runs[parked.key].awaits == "go stop"
    worker.exchange(settle(lease, "retrying", delay_ms=0))
    assert look().runs[parked.key].awaits == ""
    assert worker.lease_one().events == (Event(1, "go"),)


def test_an_inbox_of_another_layout_stops_nobody(
    parked: TaskId, submit: Submit, store: Store, worker: ScriptedWorker, look: Look
) -> None:
    """As an earlier version would have left it."""
    store.send_event(parked, "", "other", b"1")
    for field in look().inbox:
        store.command("HDEL", *store.keys.slot("default", ("inbox",)), field)
    packed = msgspec.msgpack.encode([1, [[1, "other", "1"]], ["m" * 32]])
    store.command("HSET", *store.keys.slot("default", ("inbox",)), parked.key, packed)
    store.send_event(parked, "", "go", b"1")
    submit()
    first, second = worker.lease()
    assert (first.events, second.events) == ((Event(1, "go", "1"),), ())


# --- events count in their tenant's rate ---------------------------------------------------


def test_events_and_submissions_share_a_rate(
    submit: Submit, store: Store, clock: HandClock, look: Look
) -> None:
    id = submit(tenant="acme", rate_limit=3)
    assert store.send_event(id, "acme", "go", b"1", key="k", rate_limit=3).burst_left == 1
    assert store.send_event(id, "acme", "go", b"1", rate_limit=3).burst_left == 0
    before = look()
    with pytest.raises(RateLimited) as refusal:
        store.send_event(id, "acme", "go", b"1", rate_limit=3)
    assert refusal.value.retry_after_ms == 334
    with pytest.raises(RateLimited):
        submit(tenant="acme", rate_limit=3)
    assert look() == before
    assert store.send_event(id, "acme", "go", b"1", key="k", rate_limit=3).seen
    clock.pass_ms(334)
    assert not store.send_event(id, "acme", "go", b"1", rate_limit=3).seen


def test_an_event_that_is_refused_for_another_reason_takes_nothing_of_the_rate(
    submit: Submit, store: Store
) -> None:
    id = submit()
    for _ in range(MAX_UNREAD):
        store.send_event(id, "", "go", b"1")
    with pytest.raises(InboxFull):
        store.send_event(id, "", "go", b"1", rate_limit=1)
    submit(rate_limit=1)


# --- and once more ------------------------------------------------------------------------


def test_a_due_task_that_an_event_has_woken_is_not_woken_again(
    parked: TaskId, store: Store, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    store.send_event(parked, "", "go", b"1")
    worker.lease_one(lease_ms=10**9)
    clock.pass_ms(60_000)
    worker.exchange()
    assert look().places(parked.key) == ["leased"]
