"""What tasks do, minute by minute, and how long those of a name took lately."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Takeover, park, settle
from submissions import Submit, submission

from bide.exchange import Lease, Usage
from bide.histogram import bucket
from bide.reads import Reads
from bide.series import MINUTE_MS, MINUTES, OTHERS, Counts, Minutes, read_minutes
from bide.store import Store

NOW = START_MS // MINUTE_MS
ECHO = Usage(name="echo")


def told(store: Store, minutes: int = MINUTES) -> Minutes:
    """Without empty buckets."""
    found = read_minutes(Reads(store).series(["default"], minutes)["default"])
    return {
        minute: {name: _without_zeros(of) for name, of in names.items()} for minute, names in found.items()
    }


def _without_zeros(counts: Counts) -> Counts:
    kept = ({bucket: n for bucket, n in each.items() if n} for each in (counts.start_delay, counts.run))
    return Counts(counts.succeeded, counts.failed, counts.cancelled, counts.expired, *kept)


def raw(store: Store) -> dict[bytes, bytes]:
    return store.fields(store.keys.slot("default", ("series",))[0])


def recent(store: Store, name: str = "echo") -> list[int]:
    packed = raw(store).get(f"r{name}".encode())
    return msgspec.msgpack.decode(packed) if packed else []


def at(*durations: int) -> dict[int, int]:
    """The histogram of these durations."""
    found: dict[int, int] = {}
    for ms in durations:
        found[bucket(ms)] = found.get(bucket(ms), 0) + 1
    return found


def test_a_new_queue_has_no_minutes(store: Store, worker: ScriptedWorker) -> None:
    worker.exchange()
    worker.repeat()
    store.tick("default", 0)
    assert raw(store) == {}


def test_starts_and_ends_are_counted_in_the_minute_in_which_they_happen(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for _ in range(5):
        submit()
    clock.pass_ms(30)
    a, b, c, d, e = worker.lease()
    clock.pass_ms(700)
    worker.exchange(
        settle(a, "succeeded", usage=ECHO),
        settle(b, "succeeded", usage=ECHO),
        settle(c, "failed", usage=ECHO),
    )
    clock.pass_ms(MINUTE_MS)
    worker.exchange(settle(d, "cancelled", usage=ECHO), settle(e, "retrying", delay_ms=1, usage=ECHO))
    assert told(store) == {
        NOW: {"echo": Counts(2, 1, 0, 0, at(*[30] * 5), at(700, 700, 700))},
        NOW + 1: {"echo": Counts(0, 0, 1, 0, {}, at(700 + MINUTE_MS))},
    }
    assert recent(store) == [700, 700]


def test_a_task_starts_once_however_often_it_is_leased(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    submit()
    lease = worker.lease_one()
    for end in (park, lambda each, delay_ms: settle(each, "retrying", delay_ms=delay_ms)):
        worker.exchange(end(lease, delay_ms=5_000))
        clock.pass_ms(5_000)
        lease = worker.lease_one()
    worker.exchange(settle(lease, "ready"))
    worker.exchange(settle(worker.lease_one(), "succeeded", usage=ECHO))
    assert told(store) == {NOW: {"echo": Counts(1, 0, 0, 0, at(0), at(10_000))}}


def test_a_scheduled_task_could_start_when_it_was_due(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    submit(delay_ms=5_000)
    clock.pass_ms(5_000)
    worker.exchange()
    clock.pass_ms(250)
    worker.lease_one()
    assert told(store) == {NOW: {"echo": Counts(start_delay=at(250))}}


def test_each_name_and_each_queue_has_counts_of_its_own(
    submit: Submit, hire: Hire, worker: ScriptedWorker, store: Store
) -> None:
    for name in ("a", "b", "a"):
        submit(name=name)
    submit(queue="mail")
    mail = hire(slot="mail")
    mail.exchange(settle(mail.lease_one(), "succeeded", usage=ECHO))
    worker.exchange(*(settle(each, "succeeded", usage=Usage(name=_name(each))) for each in worker.lease()))
    assert told(store) == {
        NOW: {"a": Counts(2, 0, 0, 0, at(0, 0), at(0, 0)), "b": Counts(1, 0, 0, 0, at(0), at(0))}
    }
    assert read_minutes(Reads(store).series(["mail"], 1)["mail"]) == {
        NOW: {"echo": Counts(1, 0, 0, 0, at(0), at(0))}
    }


def _name(lease: Lease) -> str:
    assert lease.spec is not None
    return lease.spec.name


def test_a_repeated_exchange_counts_once(submit: Submit, worker: ScriptedWorker, store: Store) -> None:
    submit()
    worker.lease()
    (lease,) = worker.repeat().leases
    worker.exchange(settle(lease, "succeeded", usage=ECHO))
    worker.repeat()
    worker.exchange(settle(lease, "succeeded", usage=ECHO))
    assert told(store) == {NOW: {"echo": Counts(1, 0, 0, 0, at(0), at(0))}}
    assert recent(store) == [0]


def test_an_outcome_of_a_worker_that_was_superseded_does_not_count(takeover: Takeover, store: Store) -> None:
    frozen, old, other, new = takeover
    frozen.exchange(settle(old, "failed", usage=ECHO))
    other.exchange(settle(new, "succeeded", usage=ECHO))
    assert told(store) == {NOW: {"echo": Counts(1, 0, 0, 0, at(0), at(LEASE_MS))}}


@pytest.mark.parametrize("upkeep", ["tick", "exchange"])
def test_what_ends_without_its_worker_counts_under_its_name(
    submit: Submit, hire: Hire, store: Store, clock: HandClock, upkeep: str
) -> None:
    submit(name="lost", max_attempts=1)
    submit(name="asked")
    asked = hire("dead").lease()[1]
    store.cancel(asked.id, "")
    submit(name="late", expires_ms=10)
    submit(name="overdue", deadline_ms=10)
    store.cancel(submit(name="unwanted"), "")
    clock.pass_ms(LEASE_MS)
    if upkeep == "tick":
        store.tick("default", 0)
    else:
        hire("heir").exchange()
    assert told(store) == {
        NOW: {
            "lost": Counts(0, 1, 0, 0, at(0), at(LEASE_MS)),
            "asked": Counts(0, 0, 1, 0, at(0), at(LEASE_MS)),
            "late": Counts(0, 0, 0, 1),
            "overdue": Counts(0, 1),
            "unwanted": Counts(0, 0, 1),
        }
    }
    assert [field for field in raw(store) if field.startswith(b"r")] == []


def test_the_series_may_be_left_out(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    store.records = False
    submit()
    worker.exchange(settle(worker.lease_one(), "succeeded", usage=ECHO))
    store.cancel(submit(), "")
    submit(expires_ms=5)
    clock.pass_ms(5)
    store.tick("default", 0)
    assert raw(store) == {}
    totals = Reads(store).totals()
    assert (totals.succeeded, totals.cancelled, totals.expired) == (1, 1, 1)


def test_an_end_without_a_name_is_in_the_totals_alone(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    submit()
    worker.exchange(settle(worker.lease_one(), "succeeded"))
    assert told(store) == {NOW: {"echo": Counts(start_delay=at(0))}}
    assert Reads(store).totals().succeeded == 1


def test_rounds_of_a_poller_are_no_tasks(worker: ScriptedWorker, store: Store, clock: HandClock) -> None:
    from scripted_worker import watch

    worker.exchange(watch(b"p" * 16, "vms", "a"))
    worker.exchange(settle(worker.lease_one(), "polled", b"vms", delay_ms=5, usage=Usage(calls=1)))
    assert raw(store) == {}


def test_the_names_after_the_64th_of_a_minute_are_told_together(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    for number in range(70):
        submit(name=f"t{number}")
    leases = worker.lease()
    worker.exchange(*(settle(each, "succeeded", usage=Usage(name=_name(each))) for each in leases))
    (found,) = told(store).values()
    assert len(found) == 65
    assert sum(counts.succeeded for counts in found.values()) == 70
    assert found[OTHERS].succeeded == 6
    assert {len(counts.start_delay) for counts in found.values()} == {1}


def test_minutes_are_kept_for_a_day(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for _ in range(3):
        submit()
        worker.exchange(settle(worker.lease_one(), "succeeded", usage=ECHO))
        clock.pass_ms(MINUTE_MS)
    clock.pass_ms((MINUTES - 3) * MINUTE_MS)
    submit()
    assert set(told(store)) == {NOW + 1, NOW + 2}
    worker.lease_one()
    assert set(raw(store)) == {b"m%d" % (NOW + minute) for minute in (1, 2, MINUTES)} | {b"recho"}


def test_after_a_long_silence_all_old_minutes_go_at_once(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for minute in range(MINUTES):
        store.command("HSET", store.keys.slot("default", ("series",))[0], f"m{NOW - minute}", b"\x80")
    clock.pass_ms(40 * MINUTES * MINUTE_MS)
    id = submit()
    for _ in range(2):
        store.cancel(id, "")
    assert {field: len(value) > 1 for field, value in raw(store).items()} == {
        b"m%d" % (NOW + 40 * MINUTES): True
    }


def test_only_the_minutes_asked_for_are_read(submit: Submit, store: Store, clock: HandClock) -> None:
    for _ in range(3):
        store.cancel(submit(), "")
        clock.pass_ms(MINUTE_MS)
    assert [len(told(store, minutes)) for minutes in (1, 2, 3, 4, 60)] == [0, 1, 2, 3, 3]


def test_the_last_32_durations_of_a_name_are_kept_up_to_eight_from_one_exchange(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for ms in range(40):
        submit()
        lease = worker.lease_one()
        clock.pass_ms(ms)
        worker.exchange(settle(lease, "succeeded", usage=ECHO))
    assert recent(store) == list(range(8, 40))
    for _ in range(20):
        submit()
    leases = worker.lease()
    clock.pass_ms(1_000)
    worker.exchange(*(settle(each, "succeeded", usage=ECHO) for each in leases))
    assert recent(store) == [*range(16, 40), *[1_000] * 8]


def test_one_exchange_adds_durations_to_sixteen_names_and_the_next_one_to_others(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    for number in range(20):
        submit(name=f"t{number}")
    leases = worker.lease()
    ended = [settle(each, "succeeded", usage=Usage(name=_name(each))) for each in leases]
    for some in (ended[:18], ended[18:]):
        worker.exchange(*some)
    assert [len(recent(store, f"t{number}")) for number in range(20)] == [1] * 16 + [0] * 2 + [1] * 2


def test_only_success_tells_how_long_a_task_takes(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    for end in ("failed", "cancelled"):
        submit()
        worker.exchange(settle(worker.lease_one(), end, usage=ECHO))
    assert recent(store) == []


@pytest.mark.parametrize("parked", [False, True])
def test_a_task_is_shown_with_the_durations_of_its_kind_until_it_is_done(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock, parked: bool
) -> None:
    submit()
    lease = worker.lease_one()
    clock.pass_ms(300)
    worker.exchange(settle(lease, "succeeded", usage=ECHO))
    id, other = submit(), submit(name="other")
    assert Reads(store).task(id, "").recent == (300,)
    assert Reads(store).task(other, "").recent == ()
    first, _ = worker.lease()
    if parked:
        worker.exchange(park(first, delay_ms=50))
    assert Reads(store).task(id, "").recent == (300,)
    store.cancel(id, "")
    if not parked:
        worker.exchange(settle(first, "cancelled", usage=ECHO))
    assert Reads(store).task(id, "").recent == ()


def test_a_submission_is_answered_with_the_durations_of_its_kind(
    store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    def accept(**given: Any) -> tuple[int, ...]:
        view = store.submit(submission(**given)).view
        assert view is not None
        return view.recent

    assert accept() == ()
    lease = worker.lease_one()
    clock.pass_ms(40)
    worker.exchange(settle(lease, "succeeded", usage=ECHO))
    assert [accept(), accept(delay_ms=1_000), accept(name="other")] == [(40,), (40,), ()]
