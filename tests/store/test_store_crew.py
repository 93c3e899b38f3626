"""The crew: which workers there are, and what they hold."""

from __future__ import annotations

import pytest
from hand_clock import HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, park, settle, watch
from submissions import Submit, submission

from bide.autoscaler import Limits
from bide.crew import MOST, SILENT_MS, Member, Role, crew
from bide.store import Store


def _crew(store: Store, *slots: str, own: tuple[str, ...] = ()) -> dict[str, Member]:
    found = crew(store, slots or ("default",), lambda queue: queue in own)
    assert len({member.worker for member in found}) == len(found)
    return {member.worker: member for member in found}


def test_a_worker_is_there_from_its_first_exchange_until_it_leaves(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    assert _crew(store) == {}
    worker.exchange(free=7, lived_ms=300)
    clock.pass_ms(50)
    assert _crew(store) == {"worker": Member("worker", Role.WORKING, 350, 50, 7, 0)}
    worker.leave(forced=True)
    assert _crew(store) == {}


def test_its_age_grows_and_it_is_heard_of_with_each_exchange(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    for _ in range(3):
        worker.exchange(lived_ms=0)
        clock.pass_ms(100)
    found = _crew(store)["worker"]
    assert (found.age_ms, found.heard_ms) == (300, 100)


def test_a_heartbeat_is_heard(store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock) -> None:
    submit()
    lease = worker.lease_one()
    clock.pass_ms(100)
    worker.heartbeat(lease)
    assert _crew(store)["worker"].heard_ms == 0


def test_a_later_start_of_it_begins_a_new_life(store: Store, hire: Hire, clock: HandClock) -> None:
    hire(boot=1).exchange()
    clock.pass_ms(5_000)
    hire(boot=2).exchange(lived_ms=10)
    assert _crew(store)["worker"].age_ms == 10


def test_a_task_that_it_holds_shows_what_is_left_of_its_lease(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = store.submit(submission(args="[" + "1," * 5_000 + "1]", tenant="acme")).id
    worker.lease_one(free=5)
    clock.pass_ms(400)
    found = _crew(store)["worker"]
    (task,) = found.tasks
    assert (task.id, task.spec.name, task.spec.tenant, task.spec.args) == (id, "echo", "acme", "")
    assert (task.attempt, task.lease_ms, task.running_ms) == (1, LEASE_MS - 400, 400)
    assert (found.places_free, found.tasks_total) == (4, 1)


@pytest.mark.parametrize("damage", [b"", b"\x00\x00", b"\x00\x00\x00\x00\x00\x05\x91\x01", b"\xff" * 30])
def test_a_damaged_record_hides_nothing_but_itself(
    store: Store, submit: Submit, worker: ScriptedWorker, damage: bytes
) -> None:
    damaged, whole = submit(), submit()
    worker.lease()
    store.command("HSET", *store.keys.slot("default", ("specs",)), damaged.key, damage)
    found = _crew(store)["worker"]
    assert [task.id for task in found.tasks] == [whole]
    assert found.tasks_total == 2


def test_an_attempt_runs_on_over_its_waits(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    submit()
    worker.exchange(park(worker.lease_one(), delay_ms=1_000))
    assert _crew(store)["worker"].tasks_total == 0
    clock.pass_ms(1_000)
    worker.lease_one()
    (task,) = _crew(store)["worker"].tasks
    assert (task.attempt, task.running_ms) == (1, 1_000)


@pytest.mark.parametrize("settlement", ["succeeded", "failed", "retrying", "ready", "waiting"])
def test_a_lease_that_has_ended_counts_no_more(
    store: Store, submit: Submit, worker: ScriptedWorker, settlement: str
) -> None:
    for _ in range(3):
        submit()
    first, second, _ = worker.lease()
    ended = settle(first, settlement, delay_ms=1_000)
    worker.exchange(ended)
    worker.repeat()
    worker.exchange(ended, settle(second, settlement, fence=10**6))
    found = _crew(store)["worker"]
    assert (found.tasks_total, len(found.tasks)) == (2, 2)


def test_one_that_lost_its_tasks_holds_none(
    store: Store, submit: Submit, hire: Hire, clock: HandClock
) -> None:
    for _ in range(3):
        submit()
    silent, other = hire("silent"), hire("other")
    silent.lease(2)
    other.lease(1, lease_ms=2 * LEASE_MS)
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert {name: member.tasks_total for name, member in _crew(store).items()} == {"silent": 0, "other": 1}


def test_one_that_takes_its_own_tasks_back_holds_them_once(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    for _ in range(2):
        submit(max_attempts=5)
    worker.lease()
    clock.pass_ms(LEASE_MS)
    worker.lease()
    found = _crew(store)["worker"]
    assert (found.tasks_total, len(found.tasks)) == (2, 2)
    assert [task.attempt for task in found.tasks] == [2, 2]


def test_a_repeated_exchange_counts_once(store: Store, submit: Submit, worker: ScriptedWorker) -> None:
    submit()
    worker.lease_one()
    worker.repeat()
    assert _crew(store)["worker"].tasks_total == 1


def test_a_round_of_a_poller_is_no_task(store: Store, worker: ScriptedWorker) -> None:
    home = bytes(6) + b"p" * 10
    worker.exchange(watch(home, "vms", "a"))
    lease = worker.lease_one()
    assert lease.is_poller
    assert (_crew(store)["worker"].tasks_total, _crew(store)["worker"].tasks) == (0, ())
    worker.exchange(settle(lease, "polled", b"vms", delay_ms=1_000))
    assert _crew(store)["worker"].tasks_total == 0


def test_a_poller_that_is_taken_from_it_takes_no_task_along(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    submit()
    worker.lease_one(lease_ms=2 * LEASE_MS)
    worker.exchange(watch(bytes(6) + b"p" * 10, "vms", "a"))
    assert worker.lease_one().is_poller
    clock.pass_ms(LEASE_MS)
    assert store.tick("default", 0).reaped == 1
    assert _crew(store)["worker"].tasks_total == 1


# --- roles ----------------------------------------------------------------------------------


def test_one_that_leases_nothing_more_is_leaving(store: Store, worker: ScriptedWorker) -> None:
    worker.exchange(free=5)
    worker.exchange(free=-1)
    assert (_crew(store)["worker"].role, _crew(store)["worker"].places_free) == (Role.LEAVING, 0)


def test_one_beyond_the_maximum_stands_by(store: Store, hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "limits", lambda _: Limits(0, 1, 100))
    hire("first").exchange(free=5)
    hire("second").exchange(free=5)
    found = _crew(store)
    assert (found["first"].role, found["second"].role) == (Role.WORKING, Role.STANDBY)
    assert found["second"].places_free == 0


# --- who is left out ------------------------------------------------------------------------


def test_one_that_holds_nothing_is_left_out_when_it_has_been_silent_for_long(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    worker.exchange()
    clock.pass_ms(SILENT_MS)
    assert "worker" in _crew(store)
    clock.pass_ms(1)
    assert _crew(store) == {}


def test_one_that_holds_a_task_is_not(
    store: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    submit()
    worker.lease_one(lease_ms=3_600_000)
    clock.pass_ms(SILENT_MS + 1)
    assert _crew(store)["worker"].heard_ms == SILENT_MS + 1


def test_of_many_tasks_those_show_whose_leases_end_first(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    for _ in range(MOST + 20):
        submit()
    late = worker.lease(20, lease_ms=2 * LEASE_MS)
    worker.lease(MOST)
    found = _crew(store)["worker"]
    assert (found.tasks_total, len(found.tasks)) == (MOST + 20, MOST)
    assert not {lease.id for lease in late} & {task.id for task in found.tasks}


def test_of_many_workers_those_show_that_were_heard_of_last(
    store: Store, hire: Hire, clock: HandClock
) -> None:
    for number in range(MOST + 2):
        hire(f"w{number}").exchange()
        clock.pass_ms(1)
    assert _crew(store).keys() == {f"w{number}" for number in range(2, MOST + 2)}


# --- several queues -------------------------------------------------------------------------


def test_a_worker_of_several_queues_is_one(store: Store, hire: Hire, clock: HandClock) -> None:
    for slot in ("default", "vms"):
        store.submit(submission(queue=slot))
    hire("w").exchange(free=100, lived_ms=500)
    clock.pass_ms(100)
    hire("w", slot="vms").lease_one(free=60)
    clock.pass_ms(50)
    found = _crew(store, "default", "vms")["w"]
    assert (found.age_ms, found.heard_ms, found.tasks_total) == (650, 50, 1)
    assert found.places_free == 59, "places that both share, as the latest exchange says"


def test_places_of_its_own_add_to_those_that_are_shared(store: Store, hire: Hire) -> None:
    hire("w").exchange(free=10)
    hire("w", slot="vms").exchange(free=50)
    assert _crew(store, "default", "vms", own=("vms",))["w"].places_free == 60


def test_it_works_if_one_queue_lets_it(store: Store, hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "limits", lambda slot: Limits(0, 1 if slot == "vms" else 9, 100))
    hire("other", slot="vms").exchange(free=5)
    hire("w").exchange(free=5)
    hire("w", slot="vms").exchange(free=5)
    assert _crew(store, "default", "vms")["w"].role == Role.WORKING


def test_those_that_have_lived_longest_come_first(store: Store, hire: Hire, clock: HandClock) -> None:
    for name in ("c", "a", "b"):
        hire(name).exchange()
        clock.pass_ms(10)
    assert [member.worker for member in crew(store, ("default",), lambda _: False)] == ["c", "a", "b"]
