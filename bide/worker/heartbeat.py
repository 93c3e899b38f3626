"""Renews a worker's leases from a thread of its own.

A task that computes on the event loop would otherwise cost its hundreds of
neighbours their leases. But a loop that has not turned for long is stuck, and its
tasks are better off elsewhere: then the thread stops vouching for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bide.duty import Failures
from bide.errors import BideError
from bide.store import Store

STALL_S: Final = 10.0
"""A loop that has stood still for this long is not vouched for."""

PER_LEASE: Final = 3
"""Beats in the time of a lease."""

TRIES_PER_LEASE: Final = 20
"""While the store does not answer: leases that have been out of its hearing are close to their end."""

Held = tuple[str, Sequence[tuple[bytes, int]]]
"""A slot, and (id, fence) of up to BATCH leases held there."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """The thread. Its callbacks are called in it; the worker passes them on to its loop."""

    def __init__(
        self,
        store: Store,
        worker: str,
        lease_s: float,
        *,
        held: Callable[[], Iterable[Held]],
        stalled_s: Callable[[], float],
        on_renewed: Callable[[str, Sequence[tuple[bytes, int]], float], object],
        on_lost: Callable[[str, Sequence[tuple[bytes, int]]], object],
        on_cancel: Callable[[str, Sequence[bytes]], object],
    ) -> None:
        """held: what to renew now. stalled_s: how long the loop has stood still, in seconds.
        on_renewed, on_lost, on_cancel: called with a slot and its leases (id, fence), or its ids; on_renewed
        also with the time, by the local boot-time clock in seconds, until which nobody else can have them.
        """
        self._store = store
        self._worker = worker
        self._lease_s = lease_s
        self._held = held
        self._stalled_s = stalled_s
        self._on_renewed = on_renewed
        self._on_lost = on_lost
        self._on_cancel = on_cancel
        self._called = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended, or after 2 s."""
        self._is_stopped = True
        self._called.set()
        self._thread.join(2)

    def hurry(self) -> None:
        """Renew everything at once. Called by the loop, so that is known to turn."""
        self._called.set()

    def _run(self) -> None:
        pause_s, is_heard = self._lease_s / PER_LEASE, True
        failures = Failures("the heartbeat")
        while True:
            is_hurried = self._called.wait(pause_s)
            if self._is_stopped:
                return
            self._called.clear()
            try:
                is_stuck = not is_hurried and self._stalled_s() > STALL_S
                is_heard = is_stuck or self._beat(quiet=not is_heard)
            except Exception as error:  # without this thread all leases would end
                failures.add(error)
                is_heard = False
            pause_s = self._lease_s / (PER_LEASE if is_heard else TRIES_PER_LEASE)

    def _beat(self, *, quiet: bool) -> bool:
        """Renew everything; whether the store has heard of all of it. quiet: do not say why it has not."""
        unheard = set[str]()
        for slot, leases in self._held():
            if slot in unheard:
                continue
            try:
                self._renew(slot, leases)
            except BideError as error:
                if not (unheard or quiet):
                    _log.warning("heartbeat: %s", error)
                unheard.add(slot)
        return not unheard

    def _renew(self, slot: str, leases: Sequence[tuple[bytes, int]]) -> None:
        asked_at = self._store.clock.local()
        lost, cancels = self._store.heartbeat(slot, self._worker, round(self._lease_s * 1000), leases)
        kept = [lease for lease in leases if lease[0] not in lost] if lost else leases
        self._on_renewed(slot, kept, asked_at + self._lease_s - self._store.clock.lag_s)
        if lost:
            self._on_lost(slot, [lease for lease in leases if lease[0] in lost])
        if cancels:
            self._on_cancel(slot, cancels)
