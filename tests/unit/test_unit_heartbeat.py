"""When leases are renewed, until when they last, and how soon again after the store did not hear of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from bide.clock import Clock
from bide.errors import StoreUnavailable
from bide.worker.heartbeat import STALL_S, Heartbeat

LEASE, LOST = (b"0123456789abcdef", 7), (b"fedcba9876543210", 8)
LEASE_S = 60.0


class Beats:
    """A store that hears or does not, and what became of the beats: as many as it says whether it hears."""

    def __init__(self, *hears: bool, is_hurried: bool = False) -> None:
        self._hears = list(hears)
        self._beats = len(hears)
        self._is_hurried = is_hurried
        self.local_s = 100.0
        self.clock = Clock(lambda: self.local_s)
        self.clock.record((1_800_000_000, 0), self.local_s - 0.25)
        self.pauses: list[float] = []
        self.renewed: list[str] = []
        self.kept: list[tuple[Sequence[tuple[bytes, int]], float]] = []
        self.lost: list[Sequence[tuple[bytes, int]]] = []

    def heartbeat(
        self, slot: str, worker: str, lease_ms: int, leases: Sequence[tuple[bytes, int]]
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        assert (worker, lease_ms) == ("w", LEASE_S * 1000)
        self.local_s += 2  # as long as its reply takes
        if not self._hears.pop(0):
            raise StoreUnavailable("it does not answer")
        self.renewed.append(slot)
        return tuple(id for id, _ in leases if id == LOST[0]), ()

    def run(self, *slots: str, stalled_s: float = 0.0, held: Sequence[tuple[bytes, int]] = (LEASE,)) -> None:
        """Let a thread's code beat as often as there is something to hear."""
        store: Any = self
        heartbeat = Heartbeat(
            store, "w", LEASE_S,
            held=lambda: [(slot, held) for slot in slots or ("default",)],
            stalled_s=lambda: stalled_s,
            on_renewed=lambda slot, leases, until: self.kept.append((leases, until)),
            on_lost=lambda slot, leases: self.lost.append(leases),
            on_cancel=lambda slot, ids: None,
        )  # fmt: skip
        event: Any = self
        heartbeat._called = event
        self._end = lambda: setattr(heartbeat, "_is_stopped", True)
        heartbeat._run()

    def wait(self, seconds: float) -> bool:
        """As of the event that the thread waits for: it comes at once, or never."""
        self.pauses.append(seconds)
        if not self._hears or len(self.pauses) > self._beats:
            self._end()
        return self._is_hurried

    def clear(self) -> None: ...


def test_leases_are_renewed_three_times_in_their_time() -> None:
    beats = Beats(True, True)
    beats.run()
    assert beats.pauses == [20, 20, 20]
    assert beats.renewed == ["default"] * 2


def test_a_renewed_lease_lasts_from_when_it_was_asked_for_by_a_clock_that_may_lag() -> None:
    """The reply took 2 s, and the time that was sent along may have been 0.25 s old."""
    beats = Beats(True)
    beats.run()
    assert beats.kept == [((LEASE,), 100 + LEASE_S - 0.25)]
    assert beats.lost == []


def test_a_lost_lease_is_not_among_those_that_are_renewed() -> None:
    beats = Beats(True)
    beats.run(held=(LEASE, LOST))
    assert [leases for leases, _ in beats.kept] == [[LEASE]]
    assert beats.lost == [[LOST]]


def test_what_the_store_has_not_heard_is_said_again_soon_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A third of a lease later it would often be too late: the store was away for a while already."""
    beats = Beats(True, False, False, False, True, True)
    with caplog.at_level(logging.WARNING):
        beats.run()
    assert beats.pauses == [20, 20, 3, 3, 3, 20, 20]
    assert caplog.messages == ["heartbeat: it does not answer"]
    assert len(beats.kept) == 3


def test_a_queue_that_is_not_heard_keeps_no_other_from_being_renewed() -> None:
    beats = Beats(False, True, True, True)
    beats.run("default", "vms")
    assert beats.renewed == ["vms", "default", "vms"]
    assert beats.pauses == [20, 3, 20]


def test_a_loop_that_stands_still_is_not_vouched_for() -> None:
    beats = Beats(True)
    beats.run(stalled_s=STALL_S + 1)
    assert beats.renewed == []


def test_a_loop_that_asks_for_an_answer_turns() -> None:
    """After a thaw it does so before it has shown that it turns again."""
    beats = Beats(True, is_hurried=True)
    beats.run(stalled_s=STALL_S + 1)
    assert beats.renewed == ["default"]


def test_a_failure_that_nobody_thought_of_is_logged_and_the_beats_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class FailsOnce(Beats):
        def heartbeat(self, *asked: Any) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
            if len(self.pauses) == 1:
                self._hears.pop(0)
                raise RuntimeError("dictionary changed size")
            return super().heartbeat(*asked)

    beats = FailsOnce(True, True, True)
    beats.run()
    assert beats.pauses == [20, 3, 20, 20]
    assert "dictionary changed size" in caplog.text
