"""Shared pollers: who waits for one, when it makes its rounds, and how its answers arrive."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, deliver, park, settle, watch
from slot_contents import Look
from submissions import Submit

from bide.errors import TaskNotFound
from bide.exchange import Lease, Message, Usage, Verb
from bide.ids import TaskId
from bide.poller import Poller, poller
from bide.reads import Reads
from bide.state import State
from bide.store import Store

EVERY_MS = 5_000


@poller(every=5)
def vms(ids: list[str]) -> dict[str, str]:
    raise AssertionError("nothing is called here")


@poller(every=5)
def vms_2(ids: list[str]) -> dict[str, str]:
    raise AssertionError("nothing is called here")


def begin(asked: Poller, key: str | int, task: TaskId, wait: str) -> Message:
    """A task begins to wait, as a worker says it."""
    return Message(asked.home.key, 0, Verb.WATCH, EVERY_MS, asked.member(key, str(task), wait), asked.name)


def cease(asked: Poller, key: str | int, task: TaskId, wait: str) -> Message:
    return Message(asked.home.key, 0, Verb.UNWATCH, 0, asked.member(key, str(task), wait))


def polled(lease: Lease, delay_ms: int, *, calls: int = 1) -> Message:
    """The end of a round."""
    usage = Usage(polls=1, calls=calls)
    return settle(lease, "polled", vms.name.encode(), delay_ms=delay_ms, usage=usage)


@pytest.fixture
def waiting(submit: Submit, worker: ScriptedWorker) -> Lease:
    """A lease that has parked, for an answer to its first wait."""
    submit()
    lease = worker.lease_one()
    worker.exchange(
        begin(vms, "vm-1", lease.id, "~1.1"),
        park(lease, "~1.1", delay_ms=60_000),
    )
    return lease


# --- who waits ----------------------------------------------------------------------------


def test_the_first_watcher_makes_the_poller_and_it_is_due_at_once(
    waiting: Lease, store: Store, look: Look
) -> None:
    slot = look()
    run = slot.runs[vms.home.key]
    assert (run.state, run.max_attempts) == (State.READY, 0)
    assert slot.places(vms.home.key) == ["ready"]
    (watcher,) = Reads(store).watchers(vms)
    assert (watcher.key, watcher.task, watcher.token) == ("vm-1", waiting.id, "~1.1")
    assert (watcher.attempt, watcher.rounds) == (1, 0)


def test_watchers_come_in_the_order_of_their_keys_and_of_this_poller_alone(
    worker: ScriptedWorker, store: Store
) -> None:
    task = TaskId("default", bytes(16))
    for key in ("b", "a", 7, 'quote " and \0'):
        worker.exchange(begin(vms, key, task, "~1.1"), begin(vms_2, key, task, "~1.1"))
    found = [watcher.key for watcher in Reads(store).watchers(vms)]
    assert sorted(map(str, found)) == sorted(["7", "a", "b", 'quote " and \0'])
    assert found == [watcher.key for watcher in Reads(store).watchers(vms_2)]


def test_watching_again_changes_nothing(waiting: Lease, worker: ScriptedWorker, look: Look) -> None:
    before = look()
    for _ in range(2):
        worker.exchange(begin(vms, "vm-1", waiting.id, "~1.1"))
        worker.repeat()
    after = look()
    assert after.watched == before.watched
    assert set(after.runs) == set(before.runs)
    assert after.places(vms.home.key) == ["ready"], "it has become due, once"


def test_unwatching_takes_away_this_wait_alone(waiting: Lease, worker: ScriptedWorker, store: Store) -> None:
    worker.exchange(begin(vms, "vm-1", waiting.id, "~1.10"), begin(vms, "vm-10", waiting.id, "~1.1"))
    worker.exchange(cease(vms, "vm-1", waiting.id, "~1.1"))
    worker.exchange(cease(vms, "vm-1", waiting.id, "~1.1"))
    left = [(watcher.key, watcher.token) for watcher in Reads(store).watchers(vms)]
    assert left == [("vm-1", "~1.10"), ("vm-10", "~1.1")]


def test_a_poller_can_be_neither_cancelled_nor_sent_an_event(waiting: Lease, store: Store) -> None:
    with pytest.raises(TaskNotFound):
        store.cancel(vms.home, "")
    with pytest.raises(TaskNotFound):
        store.send_event(vms.home, "", "go", b"1")


# --- rounds -------------------------------------------------------------------------------


def test_a_round_is_leased_like_a_task(waiting: Lease, worker: ScriptedWorker) -> None:
    lease = worker.lease_one()
    assert lease.is_poller
    assert lease.id == vms.home
    assert lease.spec is not None
    assert lease.spec.name == "~vms"


def test_after_a_round_the_poller_waits_for_the_next(
    waiting: Lease, worker: ScriptedWorker, clock: HandClock
) -> None:
    worker.exchange(polled(worker.lease_one(), EVERY_MS))
    clock.pass_ms(EVERY_MS - 1)
    assert worker.lease() == ()
    clock.pass_ms(1)
    lease = worker.lease_one()
    assert (lease.is_poller, lease.run.polls) == (True, 1)


def test_a_poller_that_nobody_waits_for_sleeps(
    waiting: Lease, worker: ScriptedWorker, look: Look, clock: HandClock
) -> None:
    worker.exchange(cease(vms, "vm-1", waiting.id, "~1.1"), polled(worker.lease_one(), EVERY_MS))
    assert vms.home.key not in look().due
    clock.pass_ms(EVERY_MS)
    assert worker.lease() == ()


@pytest.mark.parametrize(("idle_ms", "due_in_ms"), [(0, EVERY_MS), (4_000, 1_000), (60_000, 0)])
def test_a_sleeping_poller_is_woken_by_a_watcher_no_sooner_than_its_interval(
    waiting: Lease, worker: ScriptedWorker, look: Look, clock: HandClock, idle_ms: int, due_in_ms: int
) -> None:
    worker.exchange(cease(vms, "vm-1", waiting.id, "~1.1"), polled(worker.lease_one(), EVERY_MS))
    clock.pass_ms(idle_ms)
    worker.exchange(begin(vms, "vm-2", waiting.id, "~2.1"))
    slot = look()
    if due_in_ms:
        assert slot.due[vms.home.key] == clock.ms + due_in_ms
    else:
        assert slot.places(vms.home.key) == ["ready"]


def test_a_watcher_that_comes_in_the_exchange_that_ends_the_round_is_not_forgotten(
    waiting: Lease, worker: ScriptedWorker, look: Look
) -> None:
    round_ = worker.lease_one()
    worker.exchange(
        cease(vms, "vm-1", waiting.id, "~1.1"),
        polled(round_, EVERY_MS),
        begin(vms, "vm-2", waiting.id, "~2.1"),
    )
    assert look().due[vms.home.key] == START_MS + EVERY_MS


def test_a_watcher_does_not_hasten_a_poller_that_was_told_to_slow_down(
    waiting: Lease, worker: ScriptedWorker, look: Look
) -> None:
    worker.exchange(polled(worker.lease_one(), 600_000))
    worker.exchange(begin(vms, "vm-2", waiting.id, "~2.1"))
    assert look().due[vms.home.key] == START_MS + 600_000


def test_a_round_whose_worker_dies_is_made_again(waiting: Lease, hire: Hire, clock: HandClock) -> None:
    assert hire("dead").lease_one().is_poller
    clock.pass_ms(LEASE_MS)
    assert hire("heir").lease_one().is_poller


def test_the_same_end_of_a_round_again_changes_nothing(
    waiting: Lease, worker: ScriptedWorker, look: Look
) -> None:
    lease = worker.lease_one()
    worker.exchange(polled(lease, EVERY_MS))
    after = look()
    worker.repeat()
    assert look() == after
    worker.exchange(polled(lease, 1))
    assert replace(look(), ledgers=after.ledgers) == after


# --- answers ------------------------------------------------------------------------------


def test_an_answer_wakes_the_task_that_waits_for_it(
    waiting: Lease, worker: ScriptedWorker, look: Look
) -> None:
    worker.exchange(deliver(waiting.id.key, "~1.1", b'"10.0.0.1"', polls=3, billed_us=40))
    slot = look()
    assert slot.places(waiting.id.key) == ["ready"]
    assert slot.unread(waiting.id.key) == [("~1.1", '"10.0.0.1"')]
    run = slot.runs[waiting.id.key]
    assert (run.polls, run.billed_us) == (3, 40)


@pytest.mark.parametrize("together", [False, True])
def test_an_answer_that_is_delivered_twice_counts_once(
    waiting: Lease, worker: ScriptedWorker, hire: Hire, look: Look, together: bool
) -> None:
    answer = deliver(waiting.id.key, "~1.1", b"1", polls=3, billed_us=40)
    if together:
        worker.exchange(answer, answer)
    else:
        worker.exchange(answer)
        hire("other").exchange(answer._replace(body=b"2"))
    slot = look()
    assert slot.unread(waiting.id.key) == [("~1.1", "1")]
    assert (slot.runs[waiting.id.key].polls, slot.stats["polls"]) == (3, 3)


@pytest.mark.parametrize("wait", ["~1.2", "~2.1", "~1.10", "~11.1"])
def test_an_answer_to_another_wait_wakes_nobody(
    waiting: Lease, worker: ScriptedWorker, look: Look, wait: str
) -> None:
    worker.exchange(deliver(waiting.id.key, wait))
    assert look().places(waiting.id.key) == ["due"]


def test_an_answer_to_a_finished_task_is_dropped(
    waiting: Lease, worker: ScriptedWorker, store: Store, look: Look
) -> None:
    store.cancel(waiting.id, "")
    assert worker.exchange(deliver(waiting.id.key, "~1.1"), deliver(b"?" * 16, "~1.1")).lost == ()
    assert look().inbox == {}


def test_who_may_still_want_an_answer_is_told(
    waiting: Lease, submit: Submit, store: Store, worker: ScriptedWorker
) -> None:
    finished = submit()
    store.cancel(finished, "")
    asked = [(waiting.id.key, 1), (waiting.id.key, 2), (finished.key, 0), (b"?" * 16, 1)]
    assert Reads(store).awaiting("default", asked) == "1000"


def test_a_poller_of_a_queue_has_no_part_in_another(worker: ScriptedWorker, look: Look, store: Store) -> None:
    store.register("other")
    worker.exchange(watch(vms.home.key, "vms", "a"))
    assert look("other").watched == {}
