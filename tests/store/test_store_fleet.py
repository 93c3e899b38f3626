"""The fleet: who is counted on, how many are started for what, and never more than may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import msgspec
import pytest
import redis.asyncio
from hand_clock import HandClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefixes import new_prefix
from scripted_worker import LEASE_MS, ScriptedWorker, park, settle
from slot_contents import wipe
from submissions import submission

from bide.autoscaler import Departure, Limits, Reason, Seen, missing
from bide.connection import connect
from bide.errors import Superseded
from bide.keys import SERVER_KEYS, Keys
from bide.replies import Need
from bide.store import FORGET_MS, Store

AWAKE_MS = 30_000
START_MS = 10_000


class Fleet:
    """A slot with limits of its own, and workers in it."""

    def __init__(self, url: str, limits: Limits, runner: asyncio.Runner, client: redis.asyncio.Redis) -> None:
        self.clock = HandClock()
        self.limits = limits
        keys = Keys(new_prefix())
        self.store = Store(connect(url), keys, self.clock, limits=lambda _: limits)
        self.store.register("default")
        self._url, self._runner, self._client = url, runner, client

    def hire(self, name: str = "worker") -> ScriptedWorker:
        return ScriptedWorker(self.store, self._runner, self._client, name)

    def submit(self, count: int = 1) -> list[int]:
        """Workers that each submission wants started."""
        return [self.store.submit(submission()).need.workers for _ in range(count)]

    def seen(self) -> Seen:
        return self.store.tick("default", 0).seen

    def decisions(self) -> list[tuple[str, int]]:
        """Reason and count of each decision, the latest first."""
        key = self.store.keys.slot("default", ("decisions",))[0]
        kept = self.store.command("LRANGE", key, 0, -1)
        return [(reason, count) for _, reason, count, *_ in map(msgspec.msgpack.decode, kept)]

    def close(self) -> None:
        with redis.Redis.from_url(self._url) as client:
            wipe(client, self.store.keys)
        self.store.command("DEL", *self.store.keys.server(SERVER_KEYS))
        self.store.client.close()


Found = Callable[..., Fleet]


@pytest.fixture
def found(store_url: str, runner: asyncio.Runner, async_client: redis.asyncio.Redis) -> Iterator[Found]:
    """Founds a fleet: `found(maximum=2, concurrency=10)`."""
    fleets = []

    def make(minimum: int = 0, maximum: int = 100, concurrency: int = 10) -> Fleet:
        fleets.append(Fleet(store_url, Limits(minimum, maximum, concurrency), runner, async_client))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.close()


# --- the doorbell -------------------------------------------------------------------------


def test_a_worker_is_started_for_every_so_many_tasks(found: Found) -> None:
    fleet = found(concurrency=3)
    assert fleet.submit(8) == [1, 0, 0, 1, 0, 0, 1, 0]


def test_nobody_is_started_for_tasks_that_find_a_place(found: Found) -> None:
    fleet = found()
    fleet.hire().exchange(capacity=4, free=4)
    assert fleet.submit(5) == [0, 0, 0, 0, 1]


def test_places_count_once_a_worker_has_told_of_them(found: Found) -> None:
    fleet = found()
    worker = fleet.hire()
    worker.exchange(free=0)
    assert fleet.submit() == [1]
    worker.exchange(free=5)
    assert fleet.seen() == Seen(ready=1, awake=1, free=5, starting=1)
    assert fleet.submit(3) == [0, 0, 0]


def test_what_a_worker_cannot_take_wants_others(found: Found) -> None:
    fleet = found(concurrency=2)
    worker = fleet.hire()
    worker.exchange(capacity=2, free=2)
    for _ in range(2):
        fleet.store.submit(submission(delay_ms=5))
    for _ in range(5):
        fleet.store.submit(submission(delay_ms=5))
    fleet.clock.pass_ms(5)
    reply = worker.exchange(capacity=2, free=2)
    assert (len(reply.leases), reply.workers) == (2, 3)
    assert worker.exchange(free=0).workers == 0, "they are on their way"


def test_a_start_that_nobody_hears_of_is_made_good(found: Found) -> None:
    fleet = found()
    assert fleet.submit(2) == [1, 0]
    fleet.clock.pass_ms(START_MS + 1)
    assert fleet.submit(2) == [1, 0]


def test_a_worker_that_comes_takes_the_place_of_a_start(found: Found) -> None:
    fleet = found(concurrency=1)
    assert fleet.submit(2) == [1, 1]
    assert fleet.seen().starting == 2
    fleet.hire("a").exchange(free=1)
    assert fleet.seen() == Seen(ready=2, awake=1, free=1, starting=1)


def test_a_silent_worker_is_no_longer_counted_on(found: Found) -> None:
    fleet = found()
    fleet.hire().exchange(free=10)
    fleet.clock.pass_ms(AWAKE_MS + 1)
    assert fleet.submit() == [1]
    assert fleet.seen() == Seen(ready=1, awake=0, free=0, starting=1)


def test_a_silent_worker_among_others_is_found_out_by_the_tick(found: Found) -> None:
    fleet = found()
    fleet.hire("silent").exchange(free=10)
    fleet.clock.pass_ms(AWAKE_MS + 1)
    fleet.hire("alive").exchange(free=3)
    assert fleet.seen() == Seen(ready=0, awake=1, free=3, starting=0)


def test_workers_whose_leases_run_out_in_turns_are_discounted_once_each(found: Found) -> None:
    fleet = found()
    first, second, alive = (fleet.hire(name) for name in ("first", "second", "alive"))
    alive.exchange(free=10)
    for worker in (first, second, first):
        fleet.submit()
        worker.lease_one(free=10)
        fleet.clock.pass_ms(1)
    fleet.clock.pass_ms(LEASE_MS)
    assert fleet.seen() == Seen(ready=3, awake=1, free=10, starting=0)


def test_a_worker_that_was_silent_counts_again_when_it_is_heard_of(found: Found) -> None:
    fleet = found()
    worker = fleet.hire()
    worker.exchange(free=10)
    fleet.clock.pass_ms(AWAKE_MS + 1)
    fleet.submit()
    worker.exchange(free=10)
    assert fleet.seen().awake == 1
    assert fleet.seen().free == 10


def test_a_worker_that_let_leases_run_out_is_not_counted_on_until_it_is_heard_of(found: Found) -> None:
    fleet = found(maximum=1)
    dead, heir = fleet.hire("dead"), fleet.hire("heir")
    fleet.submit()
    dead.lease_one(free=10)
    assert not heir.exchange().admitted
    fleet.clock.pass_ms(LEASE_MS)
    assert [lease.attempt for lease in heir.lease(1, free=5)] == [2]
    assert not dead.exchange().admitted


def test_a_worker_whose_own_exchange_reaps_its_leases_counts_once(found: Found) -> None:
    fleet = found()
    worker = fleet.hire()
    fleet.submit()
    worker.lease_one(free=10)
    fleet.clock.pass_ms(LEASE_MS)
    worker.exchange(free=10)
    assert fleet.seen() == Seen(ready=1, awake=1, free=10, starting=0)


def test_workers_that_let_leases_run_out_by_turns_count_off_once_each(found: Found) -> None:
    fleet = found()
    workers = fleet.hire("a"), fleet.hire("b")
    for _ in range(3):
        for worker in workers:
            fleet.submit()
            worker.exchange(capacity=1, free=5)
            fleet.clock.pass_ms(1)
    fleet.clock.pass_ms(LEASE_MS)
    assert fleet.seen() == Seen(ready=6, awake=0, free=0, starting=0)


def test_a_worker_that_is_forgotten_before_anybody_looked_is_counted_on_no_more(found: Found) -> None:
    fleet = found()
    fleet.hire("of yesterday").exchange(free=5)
    fleet.clock.pass_ms(FORGET_MS + 1)
    assert fleet.seen() == Seen(ready=0, awake=0, free=0, starting=0)
    fleet.hire().exchange(free=5)
    assert fleet.seen() == Seen(ready=0, awake=1, free=5, starting=0)


def test_the_same_exchange_again_counts_a_worker_once(found: Found) -> None:
    fleet = found()
    worker = fleet.hire()
    fleet.submit()
    worker.exchange(capacity=5, free=5)
    before = fleet.seen()
    worker.repeat()
    assert fleet.seen() == before == Seen(ready=0, awake=1, free=4, starting=0)


def test_an_event_and_a_cancel_start_a_worker_where_there_is_no_place(found: Found) -> None:
    fleet = found()
    worker = fleet.hire()
    ids = [fleet.store.submit(submission()).id for _ in range(2)]
    leases = worker.lease(2, free=2)
    worker.exchange(*(park(lease, "go") for lease in leases), free=0)
    assert fleet.store.send_event(ids[0], "", "go", b"1").need == Need(workers=1)
    assert fleet.store.send_event(ids[1], "", "go", b"1").need == Need(), "there will be a place"


# --- never more than may be ---------------------------------------------------------------


def test_no_more_are_started_than_may_be(found: Found) -> None:
    fleet = found(maximum=2, concurrency=1)
    fleet.hire("a").exchange(free=0)
    assert fleet.submit(5) == [1, 0, 0, 0, 0]


def test_a_worker_beyond_the_maximum_leases_nothing(found: Found) -> None:
    fleet = found(maximum=2)
    a, b, c = (fleet.hire(name) for name in "abc")
    for worker in (a, b):
        assert worker.exchange().admitted
    fleet.submit(3)
    reply = c.exchange(capacity=10, listen_ms=1_000)
    assert (reply.admitted, reply.leases, reply.seen.awake) == (False, (), 2)
    assert len(a.lease(10)) == 3, "who is in stays in"


def test_a_worker_that_leaves_or_says_it_will_makes_room_for_another(found: Found) -> None:
    fleet = found(maximum=1)
    a, b, c = (fleet.hire(name) for name in "abc")
    a.exchange()
    assert not b.exchange().admitted
    a.exchange(free=-1)
    assert b.exchange().admitted
    b.retire()
    assert c.exchange().admitted
    assert not a.exchange().admitted


def test_a_worker_beyond_the_maximum_may_leave_though_there_is_work(found: Found) -> None:
    fleet = found(maximum=1)
    fleet.hire("a").exchange(free=0)
    fleet.submit()
    b = fleet.hire("b")
    b.exchange()
    assert b.retire()


def test_a_worker_stays_while_the_minimum_needs_it(found: Found) -> None:
    fleet = found(minimum=1)
    a, b = fleet.hire("a"), fleet.hire("b")
    for worker in (a, b):
        worker.exchange()
    assert a.retire()
    assert not b.retire()
    assert b.retire(forced=True)


def test_work_that_is_due_soon_keeps_only_a_worker_that_it_needs(found: Found) -> None:
    fleet = found()
    a, b = fleet.hire("a"), fleet.hire("b")
    for worker in (a, b):
        worker.exchange(free=2)
    for _ in range(2):
        fleet.store.submit(submission(delay_ms=500))
    assert a.retire(window_ms=1_000)
    assert not b.retire(window_ms=1_000)


# --- the autoscaler -----------------------------------------------------------------------


def test_starts_are_counted_on_as_far_as_they_may_be(found: Found) -> None:
    fleet = found(maximum=3)
    assert fleet.store.note_starts("default", Reason.MINIMUM, 5) == 3
    assert fleet.store.note_starts("default", Reason.MINIMUM, 1) == 0
    assert fleet.seen().starting == 3


def test_only_the_latest_turn_has_a_say(found: Found) -> None:
    fleet = found()
    first = fleet.store.begin_turn()
    second = fleet.store.begin_turn()
    assert second > first
    fleet.store.tick("default", second)
    with pytest.raises(Superseded):
        fleet.store.tick("default", first)
    with pytest.raises(Superseded):
        fleet.store.note_starts("default", Reason.READY, 1, first)
    assert fleet.store.note_starts("default", Reason.READY, 1, second) == 1


def test_a_turn_goes_past_those_of_a_record_that_was_lost(found: Found) -> None:
    fleet = found()
    before = fleet.store.begin_turn()
    fleet.store.tick("default", before)
    fleet.store.command("DEL", *fleet.store.keys.server(("epochs",)))
    fleet.clock.pass_ms(10)
    after = fleet.store.begin_turn()
    assert after > before
    assert fleet.store.tick("default", after).seen.ready == 0, "it has the say"


def test_each_decision_is_kept_with_its_reason(found: Found) -> None:
    fleet = found(concurrency=1)
    fleet.submit(1)
    worker = fleet.hire()
    (lease,) = worker.lease(1, free=1)
    worker.exchange(settle(lease, "succeeded"), free=1)
    fleet.store.note_starts("default", Reason.MINIMUM, 2)
    fleet.store.retire("default", "worker", 0, 0, Departure.SPARE, forced=False)
    assert fleet.decisions() == [("spare", -1), ("minimum", 2), ("submitted", 1)]


def test_decisions_are_bounded(found: Found) -> None:
    fleet = found(maximum=1_000)
    for _ in range(105):
        fleet.store.note_starts("default", Reason.MINIMUM, 1)
    assert len(fleet.decisions()) == 100


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ready=st.integers(0, 40),
    places=st.integers(1, 7),
    workers=st.lists(st.integers(0, 7), max_size=6),
    starting=st.integers(0, 5),
    maximum=st.integers(1, 12),
)
def test_the_script_and_the_policy_want_the_same(
    found: Found, ready: int, places: int, workers: list[int], starting: int, maximum: int
) -> None:
    fleet = found(maximum=maximum, concurrency=places)
    for number, free in enumerate(workers):
        fleet.hire(f"w{number}").exchange(free=min(free, places))
    fleet.store.note_starts("default", Reason.READY, starting)
    for _ in range(ready):
        fleet.store.submit(submission(delay_ms=1))
    fleet.clock.pass_ms(1)
    seen = fleet.seen()
    assert seen.ready == ready
    wanted = missing(seen, fleet.limits)
    reply = fleet.hire("w0" if workers else "new").exchange(free=min(workers[0], places) if workers else -1)
    assert reply.workers == wanted
    fleet.close()
