"""When leases are renewed, and how soon again after the store did not hear of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from bide.errors import StoreUnavailable
from bide.worker.heartbeat import STALL_S, Heartbeat

LEASE = (b"0123456789abcdef", 7)


class Beats:
    """A store that hears or does not, an event that never comes, and what has become of the beats."""

    def __init__(self, *hears: bool) -> None:
        self._hears = list(hears)
        self.pauses: list[float] = []
        self.renewed: list[str] = []

    def heartbeat(
        self, slot: str, worker: str, lease_ms: int, leases: Sequence[tuple[bytes, int]]
    ) -> tuple[set[bytes], list[bytes]]:
        assert (worker, lease_ms, leases) == ("w", 60_000, [LEASE])
        if not self._hears.pop(0):
            raise StoreUnavailable("it does not answer")
        self.renewed.append(slot)
        return set(), []

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return not self._hears


def run(beats: Any, stalled_s: float = 0.0, *slots: str) -> None:
    """Let a thread's code beat until nobody is left to be heard."""
    held = [(slot, [LEASE]) for slot in slots or ("default",)]
    heartbeat = Heartbeat(
        beats, "w", 60.0,
        held=lambda: held,
        stalled_s=lambda: stalled_s,
        on_lost=lambda slot, leases: None,
        on_cancel=lambda slot, ids: None,
    )  # fmt: skip
    heartbeat._stopped = beats
    heartbeat._run()


def test_leases_are_renewed_three_times_in_their_time() -> None:
    beats = Beats(True, True)
    run(beats)
    assert beats.pauses == [20, 20, 20]
    assert beats.renewed == ["default"] * 2


def test_what_the_store_has_not_heard_is_said_again_soon_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A third of a lease later it would often be too late: the store was away for a while already."""
    beats = Beats(True, False, False, False, True, True)
    with caplog.at_level(logging.WARNING):
        run(beats)
    assert beats.pauses == [20, 20, 3, 3, 3, 20, 20]
    assert caplog.messages == ["heartbeat: it does not answer"]


def test_a_queue_that_is_not_heard_keeps_no_other_from_being_renewed() -> None:
    beats = Beats(False, True, True, True)
    run(beats, 0.0, "default", "vms")
    assert beats.renewed == ["vms", "default", "vms"]
    assert beats.pauses == [20, 3, 20]


def test_a_loop_that_stands_still_is_not_vouched_for() -> None:
    beats = Beats(True)
    steps = iter([False, False, True])
    beats.wait = lambda seconds: next(steps)  # type: ignore[method-assign]
    run(beats, STALL_S + 1)
    assert beats.renewed == []


def test_a_failure_that_nobody_thought_of_is_logged_and_the_beats_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beats, calls = Beats(True, True), iter((RuntimeError("dictionary changed size"), None, None))

    def held() -> list[Any]:
        if (error := next(calls)) is not None:
            raise error
        return [("default", [LEASE])]

    heartbeat = Heartbeat(
        beats, "w", 60.0,  # type: ignore[arg-type]
        held=held,
        stalled_s=lambda: 0.0,
        on_lost=lambda slot, leases: None,
        on_cancel=lambda slot, ids: None,
    )  # fmt: skip
    heartbeat._stopped = beats  # type: ignore[assignment]
    heartbeat._run()
    assert beats.pauses == [20, 3, 20, 20]
    assert "dictionary changed size" in caplog.text
