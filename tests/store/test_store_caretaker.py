"""The tick's look: upkeep of every slot, workers for what lacks, alarms for what is due."""

from __future__ import annotations

import itertools

import pytest
from hand_clock import START_MS as BEGAN_MS
from hand_clock import HandClock
from scripted_worker import Hire
from submissions import Submit, submission

from bide import scripts
from bide.autoscaler import Limits
from bide.store import Store
from bide.upkeep import START_MS, Caretaker
from bide.wake import Waker

HOUR_MS = 3_600_000


class Recorder:
    """A Wake that keeps what it was asked for."""

    farthest_ms = 900_000

    def __init__(self) -> None:
        self.started: list[int] = []
        self.alarms: list[int] = []

    def start(self, count: int) -> None:
        self.started.append(count)

    def alarm(self, delay_ms: int) -> None:
        self.alarms.append(delay_ms)

    def look(self) -> None:
        raise AssertionError("nothing is left to go on with")


@pytest.fixture
def wake() -> Recorder:
    return Recorder()


@pytest.fixture
def caretaker(store: Store, wake: Recorder) -> Caretaker:
    return Caretaker(store, Waker(store, wake))


def test_a_wake_that_got_lost_is_made_good(
    submit: Submit, caretaker: Caretaker, wake: Recorder, clock: HandClock
) -> None:
    submit()  # and whoever it told to start a worker never did
    clock.pass_ms(START_MS + 1)
    report = caretaker.look(HOUR_MS)
    assert (report.started, report.complete, wake.started) == (1, True, [1])


def test_nobody_is_started_for_a_paused_queue_and_no_alarm_is_set(
    store: Store, submit: Submit, caretaker: Caretaker, wake: Recorder, clock: HandClock
) -> None:
    store.pause("default", True)
    submit()
    submit(delay_ms=500)
    submit(delay_ms=60_000)
    clock.pass_ms(500)
    for every_alarm in (False, True):
        report = caretaker.look(HOUR_MS, every_alarm=every_alarm)
        assert report.complete
    assert report.promoted == 0, "what was due is ready already"
    assert (wake.started, wake.alarms) == ([], [])
    store.pause("default", False)
    assert (caretaker.look(HOUR_MS, every_alarm=True).started, wake.alarms) == (0, [START_MS + 1, 59_500])


def test_the_minimum_is_kept_of_a_paused_queue_too(
    store: Store, caretaker: Caretaker, wake: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "limits", lambda _: Limits(2, 5, 10))
    store.pause("default", True)
    caretaker.look(HOUR_MS)
    assert wake.started == [2]


def test_a_start_that_is_counted_on_is_looked_after_when_it_counts_no_more(
    submit: Submit, caretaker: Caretaker, wake: Recorder, clock: HandClock
) -> None:
    """So a wake that got lost is made good within one period, whenever the tick comes."""
    submit()
    assert caretaker.look(HOUR_MS).started == 0, "one may be on its way"
    assert wake.alarms == [START_MS + 1]
    clock.pass_ms(START_MS + 1)
    assert caretaker.look(HOUR_MS).started == 1
    assert wake.alarms == [START_MS + 1]


def test_a_start_by_somebody_gone_is_not_waited_for(
    submit: Submit, caretaker: Caretaker, wake: Recorder
) -> None:
    submit()
    assert caretaker.look(HOUR_MS, afresh=True).started == 1
    assert caretaker.look(HOUR_MS).started == 0
    assert wake.started == [1]


def test_the_caretaker_and_the_scripts_count_on_a_start_for_as_long() -> None:
    fleet = (scripts.FOLDER / "_fleet.lua").read_text(encoding="utf-8")
    assert f"local START_MS = {START_MS} " in fleet


def test_what_has_become_due_gets_a_worker(
    submit: Submit, caretaker: Caretaker, wake: Recorder, clock: HandClock
) -> None:
    for _ in range(150):
        submit(delay_ms=5)
    clock.pass_ms(5)
    report = caretaker.look(HOUR_MS)
    assert (report.promoted, report.started, wake.started) == (150, 2, [2])


def test_the_minimum_is_kept(store: Store, caretaker: Caretaker, wake: Recorder, hire: Hire) -> None:
    store.limits = lambda _: Limits(3, 10, 100)
    hire("one").exchange()
    assert caretaker.look(HOUR_MS).started == 2
    assert caretaker.look(HOUR_MS).started == 0
    assert wake.started == [2]


def test_the_maximum_is_kept(store: Store, submit: Submit, caretaker: Caretaker, clock: HandClock) -> None:
    store.limits = lambda _: Limits(0, 3, 1)
    for _ in range(9):
        submit(delay_ms=5)
    clock.pass_ms(5)
    assert caretaker.look(HOUR_MS).started == 3


def test_every_slot_is_seen_to(store: Store, caretaker: Caretaker, wake: Recorder) -> None:
    for queue in ("a", "b", "c"):
        store.submit(submission(queue=queue, delay_ms=1))
    wake.started.clear()
    store.clock.pass_ms(1)
    assert caretaker.look(HOUR_MS).started == 3


def test_an_alarm_is_set_for_what_is_due_soon_and_only_once(
    submit: Submit, caretaker: Caretaker, wake: Recorder
) -> None:
    submit(delay_ms=50_000)
    submit(delay_ms=40_000)
    caretaker.look(60_000)
    caretaker.look(60_000)
    assert wake.alarms == [40_000]


def test_an_alarm_that_somebody_gone_has_set_is_set_afresh(
    store: Store, submit: Submit, caretaker: Caretaker, wake: Recorder
) -> None:
    submit(delay_ms=40_000)
    store.arm("default", BEGAN_MS + 40_000)
    caretaker.look(60_000)
    assert wake.alarms == []
    caretaker.look(60_000, every_alarm=True)
    assert wake.alarms == [40_000]


def test_what_is_due_later_is_left_to_a_later_look(
    submit: Submit, caretaker: Caretaker, wake: Recorder, clock: HandClock
) -> None:
    submit(delay_ms=2 * HOUR_MS)
    caretaker.look(3 * HOUR_MS)
    assert wake.alarms == [], "farther ahead than the alarm clock goes"
    clock.pass_ms(2 * HOUR_MS - 600_000)
    caretaker.look(3 * HOUR_MS)
    assert wake.alarms == [600_000]


def test_a_look_that_runs_out_of_time_is_gone_on_with_by_the_next(
    store: Store, caretaker: Caretaker, wake: Recorder
) -> None:
    queues = ("a", "b", "c", "d")
    for queue in queues:
        store.submit(submission(queue=queue, delay_ms=1))
    for _ in range(40):
        store.clock.pass_ms(START_MS + 1)
        calls = itertools.count()
        assert not caretaker.look(HOUR_MS, goes_on=lambda calls=calls: next(calls) < 1).complete
    seen = [store.tick(queue, store.begin_turn()).seen for queue in queues]
    assert [each.ready for each in seen] == [1, 1, 1, 1], "every queue had its turn"
    assert sum(wake.started) >= len(queues)


def test_a_look_that_was_overtaken_stops(
    store: Store, submit: Submit, caretaker: Caretaker, wake: Recorder, clock: HandClock
) -> None:
    submit(delay_ms=5)
    clock.pass_ms(5)

    def overtaken() -> bool:
        store.tick("default", store.begin_turn())
        return True

    report = caretaker.look(HOUR_MS, goes_on=overtaken)
    assert (report.complete, report.started, wake.started) == (False, 0, [])


def test_a_hundred_at_a_time_until_nothing_is_left(
    submit: Submit, hire: Hire, caretaker: Caretaker, clock: HandClock
) -> None:
    for _ in range(250):
        submit(max_attempts=1)
    worker = hire()
    for _ in range(3):
        worker.lease(100, free=1_000)
    clock.pass_ms(HOUR_MS)
    assert caretaker.look(HOUR_MS).reaped == 250


def test_a_server_without_a_queue_needs_nothing(store: Store, caretaker: Caretaker, wake: Recorder) -> None:
    store.command("DEL", *store.keys.server(("slots",)))
    assert caretaker.look(HOUR_MS) == (0, 0, 0, 0, True, False)
