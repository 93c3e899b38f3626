"""Sums by day: counted with the store's time, kept for 31 days, and folded into the totals after that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import Hire, ScriptedWorker, park, settle
from submissions import Submit

from bide.exchange import Usage
from bide.reads import Reads
from bide.records import Totals
from bide.store import Store
from bide.tally import DAY_MS, DAYS, Tally, tally

TODAY = START_MS // DAY_MS
COST = Usage(billed_us=100, waited_ms=20, replays=1, polls=3, active_ms=7)


def told(store: Store) -> Tally:
    return Reads(store).tally()


def raw(store: Store, queue: str = "default") -> dict[bytes, bytes]:
    return store.fields(store.keys.slot(queue, ("stats",))[0])


def test_an_empty_store_has_no_days(store: Store) -> None:
    assert told(store) == Tally(Totals(), {"default": Totals()}, {})


def test_what_happens_counts_on_its_day(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    first, second = submit(), submit()
    a, b = worker.lease()
    worker.exchange(settle(a, "succeeded", usage=COST), lived_ms=50)
    clock.pass_ms(DAY_MS)
    worker.exchange(settle(b, "failed", usage=COST), lived_ms=60)
    worker.repeat()
    found = told(store)
    assert {first.slot, second.slot} == set(found.queues)
    assert found.days == {
        TODAY + 1: Totals(failed=1, billed_us=100, waited_ms=20, replays=1, polls=3, worker_ms=60),
        TODAY: Totals(succeeded=1, billed_us=100, waited_ms=20, replays=1, polls=3, worker_ms=50, starts=1),
    }
    assert found.total == found.queues["default"]
    assert (found.total.succeeded, found.total.failed, found.total.billed_us) == (1, 1, 200)


@pytest.mark.parametrize("at_ms", [DAY_MS - 1, DAY_MS])
def test_a_day_begins_at_midnight_utc(
    worker: ScriptedWorker, store: Store, clock: HandClock, at_ms: int
) -> None:
    clock.pass_ms(at_ms - START_MS % DAY_MS)
    worker.exchange(lived_ms=5)
    assert list(told(store).days) == [TODAY + at_ms // DAY_MS]


def test_parts_add_up_to_the_total(submit: Submit, hire: Hire, store: Store, clock: HandClock) -> None:
    for day in range(3):
        for queue in ("default", "mail"):
            submit(queue=queue)
            worker = hire(f"{queue} {day}", slot=queue)
            worker.exchange(settle(worker.lease_one(), "succeeded", usage=COST), lived_ms=day)
        clock.pass_ms(DAY_MS)
    found = told(store)
    for name in set(Totals.__struct_fields__) - {"starts"}:
        total = getattr(found.total, name)
        assert total == sum(getattr(part, name) for part in found.queues.values())
        assert total == sum(getattr(part, name) for part in found.days.values())
    assert found.total.billed_us == 600


def test_a_worker_counts_once_however_many_queues_it_looks_at(hire: Hire, store: Store) -> None:
    store.register("mail")
    for name in ("a", "b"):
        for queue in ("default", "mail"):
            hire(name, slot=queue).exchange()
    found = told(store)
    assert (found.total.starts, found.days[TODAY].starts) == (2, 2)
    assert {queue: part.starts for queue, part in found.queues.items()} == {"default": 2, "mail": 2}


def test_a_worker_that_had_to_stay_has_started_once(worker: ScriptedWorker, store: Store) -> None:
    worker.exchange()
    worker.repeat()
    worker.leave()
    worker.exchange()
    assert told(store).total.starts == 1


def test_a_later_start_of_the_same_worker_counts(hire: Hire, store: Store) -> None:
    hire("a").exchange()
    hire("a", boot=2).exchange()
    assert told(store).total.starts == 2


def test_a_day_is_told_apart_for_31_days_and_stays_in_the_totals(
    worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for _ in range(2 * DAYS):
        worker.exchange(lived_ms=10)
        clock.pass_ms(DAY_MS)
    clock.pass_ms(-DAY_MS)
    found = told(store)
    assert list(found.days) == [TODAY + 2 * DAYS - 1 - n for n in range(DAYS)]
    assert found.total == Totals(worker_ms=20 * DAYS, starts=1)


def test_no_more_days_are_stored_than_are_told_apart(
    worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for _ in range(DAYS + 5):
        worker.exchange(lived_ms=10)
        clock.pass_ms(DAY_MS)
    assert sum(field.startswith(b"d") for field in raw(store)) == DAYS


def test_after_a_long_silence_all_old_days_fold_at_once(
    worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for _ in range(DAYS):
        worker.exchange(lived_ms=10)
        clock.pass_ms(DAY_MS)
    clock.pass_ms(400 * DAY_MS)
    assert told(store) == Tally(
        Totals(worker_ms=10 * DAYS, starts=1), {"default": Totals(worker_ms=10 * DAYS, starts=1)}, {}
    )
    worker.exchange(lived_ms=1)
    assert {name for name in raw(store) if name != b"worker_ms"} == {b"starts", b"d%d" % (clock.ms // DAY_MS)}
    assert told(store).total.worker_ms == 10 * DAYS + 1


def test_totals_of_an_older_version_are_the_beginning(worker: ScriptedWorker, store: Store) -> None:
    key = store.keys.slot("default", ("stats",))[0]
    store.command("HSET", key, "succeeded", 7, "worker_ms", 1_000)
    worker.exchange(lived_ms=5)
    assert told(store).total == Totals(succeeded=7, worker_ms=1_005, starts=1)
    assert told(store).days == {TODAY: Totals(worker_ms=5, starts=1)}


def test_sums_of_a_later_version_are_left_out(store: Store) -> None:
    day = b"d%d" % TODAY
    fields = {
        b"polls": b"1",
        b"moons": b"2",
        b"days": b"3",
        day: msgspec.msgpack.encode({"polls": 4, "suns": 5}),
    }
    assert tally({"default": fields}, START_MS).total == Totals(polls=5)


@pytest.mark.parametrize("shape", ["cancel", "event", "expire", "leave"])
def test_whoever_counts_it_counts_on_the_day(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, shape: str
) -> None:
    worker.exchange()
    id = submit(expires_ms=DAY_MS if shape == "expire" else 0)
    if shape == "event":
        worker.exchange(park(worker.lease_one(), "go"))
    clock.pass_ms(DAY_MS)
    act: dict[str, Callable[[], Any]] = {
        "cancel": lambda: store.cancel(id, ""),
        "event": lambda: store.send_event(id, "", "go", b"1"),
        "expire": lambda: store.tick("default", 0),
        "leave": lambda: worker.leave(lived_ms=9, forced=True),
    }
    for _ in range(2):
        act[shape]()
    expected = {
        "cancel": Totals(cancelled=1),
        "event": Totals(waited_ms=DAY_MS),
        "expire": Totals(expired=1),
        "leave": Totals(worker_ms=9),
    }
    assert told(store).days[TODAY + 1] == expected[shape]


def test_nothing_to_count_writes_no_day(worker: ScriptedWorker, store: Store, clock: HandClock) -> None:
    worker.exchange()
    clock.pass_ms(DAY_MS)
    worker.exchange()
    store.tick("default", 0)
    worker.leave()
    assert list(told(store).days) == [TODAY]
