"""However long a server runs, its store holds no more than what is unfinished and what is kept for a time."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import pytest
import redis
from hand_clock import HandClock
from scripted_worker import Hire, ScriptedWorker, entry, lines, progress, settle
from slot_contents import Look, Slot
from soak import POLLERS, TENANTS, TRACEBACK, Soak
from submissions import Submit

from bide.autoscaler import Reason
from bide.bulk import Bulk, Kind
from bide.errors import Refused
from bide.keys import SERVER_KEYS, SLOT_KEYS
from bide.store import FORGET_MS, Store
from bide.tally import DAY_MS
from bide.wake import NoWake, Waker

STAYS = {
    "accepting", "reason", "retry_after", "epoch", "page", "seq", "fence", "armed_ms", "awake_ms", "admitted",
    "free", "covered", "covered_ms", "tick_epoch", "operating",
} | {f"rate/{tenant}" for tenant in TENANTS}  # fmt: skip
"""What `meta` may hold for ever: flags, counters, sums, and one rate for each tenant."""


BOUNDED = ("stats", "decisions", "operations", "series")
"""They fill up to a fixed number of days, of decisions, of operations and of minutes."""


def size(client: redis.Redis, store: Store, *, without: tuple[str, ...] = ()) -> int:
    """Bytes of the keys of the slot and of the server, but for those called so."""
    names = [name for name in SLOT_KEYS if name not in without]
    keys = (*store.keys.slot("default", names), *store.keys.server(SERVER_KEYS))
    return sum(client.memory_usage(key, samples=0) or 0 for key in keys)


def emptied(slot: Slot) -> dict[str, Any]:
    """What is left in a slot besides what it says for ever."""
    pollers = {poller.home.key for poller in POLLERS}
    everything = {name: getattr(slot, name) for name in Slot.__dataclass_fields__}
    for name in ("specs", "runs"):
        everything[name] = {key: each for key, each in everything[name].items() if key not in pollers}
    for name in ("stats", "meta", "decisions", "gauges", "bell", "operations", "series"):
        del everything[name]
    return {name: held for name, held in everything.items() if held}


def test_an_hour_or_a_month_of_everything_leaves_what_a_minute_leaves(
    store: Store,
    hire: Hire,
    clock: HandClock,
    look: Look,
    redis_client: redis.Redis,
    record_property: pytest.RecordProperty,
) -> None:
    seed = secrets.randbelow(10**9)
    print(f"seed {seed}")
    soak = Soak(store, hire, clock, seed)
    sizes: list[int] = []
    peak = 0
    for rounds in (20, 150, 150):
        soak.live(rounds)
        peak = max(peak, size(redis_client, store))
        soak.end()
        slot = look()
        assert emptied(slot) == {}
        assert slot.gauges == {}
        assert (slot.meta["admitted"], slot.meta["free"]) == (b"0", b"0"), "the fleet's sums"
        assert set(slot.meta) <= STAYS
        assert slot.bell <= soak.listeners, "tokens that nobody took"
        assert slot.decisions <= 100
        assert len(slot.operations) <= 100
        assert slot.meta.get("operating", b"0") == b"0", "all operations have ended"
        sizes.append(size(redis_client, store, without=BOUNDED))
    record_property("soak", f"{soak.submitted:,} tasks, {peak:,} bytes at most, {sizes} left after each part")
    # The pollers' records hold two tables open, which the store makes smaller when it comes to it.
    assert max(sizes) < peak / 10, "there was something to forget"
    assert size(redis_client, store) - sizes[-1] < 60_000, "days, decisions, operations, minutes"


# --- what grows with what is asked is bounded -------------------------------------------------


def test_a_flood_of_events_keeps_as_many_as_it_may(store: Store, submit: Submit, look: Look) -> None:
    id = submit()
    refused = 0
    for number in range(400):
        try:
            store.send_event(id, "", "go", b"1", key=str(number))
        except Refused:
            refused += 1
    slot = look()
    assert (len(slot.unread(id.key)), len(slot.marks(id.key)), refused) == (64, 64, 336)
    assert sum(map(len, slot.inbox.values())) < 5_000


def test_a_flood_of_events_that_are_read_leaves_as_many_marks_as_it_may(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    for number in range(1, 401):
        store.send_event(id, "", "go", b"1", key=str(number))
        worker.exchange(entry(lease, 1, event=number))
    slot = look()
    assert slot.unread(id.key) == []
    assert 256 <= len(slot.marks(id.key)) <= 288


def test_a_flood_of_tasks_rings_no_more_often_than_there_are_listeners(
    submit: Submit, hire: Hire, look: Look
) -> None:
    for name in "abc":
        hire(name).exchange(capacity=5, listen_ms=5_000)
    for _ in range(50):
        submit()
    assert look().bell == 3


def test_a_flood_of_cancels_signals_a_task_once(
    store: Store, submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id = submit()
    worker.lease_one()
    for _ in range(50):
        store.cancel(id, "")
    assert look().signals == {"worker": id.key}


def test_a_flood_of_progress_keeps_the_latest(submit: Submit, worker: ScriptedWorker, look: Look) -> None:
    submit()
    lease = worker.lease_one()
    for number in range(5):
        worker.exchange(*(progress(lease, b"%d" % (100 * number + n)) for n in range(100)))
    assert look().progress == {lease.id.key: b"499"}


def test_a_flood_of_starts_and_looks_keeps_a_hundred_decisions(
    store: Store, clock: HandClock, look: Look
) -> None:
    for _ in range(150):
        store.note_starts("default", Reason.READY, 1)
        clock.pass_ms(10_001)
        store.tick("default", store.begin_turn())
    slot = look()
    assert slot.decisions == 100
    assert len(slot.starting) <= 1


def test_a_flood_of_workers_is_forgotten(store: Store, hire: Hire, clock: HandClock, look: Look) -> None:
    for number in range(250):
        hire(f"worker {number}").exchange(capacity=1, listen_ms=5_000)
    assert len(look().ledgers) == 250
    clock.pass_ms(FORGET_MS)
    for _ in range(3):
        store.tick("default", store.begin_turn())
    slot = look()
    assert (slot.workers, slot.ledgers, slot.listeners) == ({}, {}, {})


def test_two_months_of_work_are_kept_as_thirty_two_days(
    submit: Submit, worker: ScriptedWorker, clock: HandClock, redis_client: redis.Redis, store: Store
) -> None:
    for _ in range(60):
        submit(retention_ms=1)
        worker.exchange(settle(worker.lease_one(), "succeeded", b"1"))
        clock.pass_ms(DAY_MS)
    (stats,) = store.keys.slot("default", ["stats"])
    days = [field for field in redis_client.hkeys(stats) if field.startswith(b"d")]
    assert len(days) in (31, 32)


def test_a_flood_of_holds_keeps_no_more_than_there_are_places(
    store: Store, clock: HandClock, redis_client: redis.Redis
) -> None:
    for number in range(100):
        store.hold(f"holder {number}", 1_000, 5)
        clock.pass_ms(100)
    assert redis_client.zcard(store.keys.server(["waits"])[0]) <= 5


def test_a_flood_of_lines_keeps_the_last_five_hundred(
    submit: Submit, worker: ScriptedWorker, look: Look
) -> None:
    id = submit()
    lease = worker.lease_one()
    for _ in range(20):
        worker.exchange(lines(lease, *[b"a line"] * 100))
    kept = look().lines
    assert int.from_bytes(kept[id.key], "big") == 2_000
    assert len(kept) == 501


def test_a_flood_of_attempts_keeps_the_first_ten_and_the_last_ten(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    id = submit(max_attempts=1)
    for _ in range(50):
        worker.exchange(settle(worker.lease_one(), "failed", TRACEBACK))
        store.retry(id, "")
        clock.pass_ms(1)
    told = msgspec.msgpack.decode(store.command("HGET", store.keys.slot("default", ["attempts"])[0], id.key))
    assert [number for number, *_ in told] == [*range(1, 11), *range(41, 51)]


def test_a_flood_of_operations_keeps_a_hundred(store: Store, look: Look, clock: HandClock) -> None:
    bulk = Bulk(store, Waker(store, NoWake()))
    for _ in range(150):
        bulk.begin("default", Kind.PURGE, dry_run=True, goes_on=lambda: True)
        clock.pass_ms(1)
    assert len(look().operations) == 100


def test_a_task_that_is_retried_over_and_over_leaves_one_mark(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, look: Look
) -> None:
    id = submit(max_attempts=1, retention_ms=1_000)
    for _ in range(50):
        worker.exchange(settle(worker.lease_one(), "failed", TRACEBACK))
        store.retry(id, "")
        clock.pass_ms(1)
    assert len(look().revived) <= 1
    worker.exchange(settle(worker.lease_one(), "succeeded", b"1"))
    clock.pass_ms(2_000)
    for _ in range(3):
        store.tick("default", store.begin_turn())
    slot = look()
    assert (slot.revived, slot.done, slot.specs, slot.attempts) == ({}, {}, {}, {})
