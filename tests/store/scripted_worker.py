"""A worker without a loop: it makes an exchange when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import redis.asyncio

from bide.autoscaler import Departure
from bide.exchange import ExchangeReply, Lease, Message, Settlement, Usage, Verb
from bide.line import joined
from bide.replies import Need
from bide.store import Store

LEASE_MS = 10_000


class ScriptedWorker:
    """One start of a worker in one slot."""

    def __init__(
        self,
        store: Store,
        runner: asyncio.Runner,
        client: redis.asyncio.Redis,
        name: str,
        boot: int = 1,
        slot: str = "default",
    ) -> None:
        self.name = name
        self.slot = slot
        self._boot = boot
        self._store = store
        self._runner = runner
        self._client = client
        self._seq = 0
        self._latest: dict[str, Any] = {}

    def exchange(
        self,
        *messages: Message,
        capacity: int = 0,
        free: int = 100,
        isolate: bool = True,
        listen_ms: int = 0,
        lease_ms: int = LEASE_MS,
        lived_ms: int = 0,
    ) -> ExchangeReply:
        """The next exchange."""
        self._seq += 1
        self._latest = {
            "seq": self._seq,
            "messages": messages,
            "capacity": capacity,
            "free": free,
            "isolate": isolate,
            "listen_ms": listen_ms,
            "lease_ms": lease_ms,
            "lived_ms": lived_ms,
        }
        return self.repeat()

    def repeat(self, **changed: Any) -> ExchangeReply:
        """The latest exchange again, as after a lost reply; `changed` replaces arguments."""
        return self._runner.run(
            self._store.exchange(
                self._client,
                self.slot,
                worker=self.name,
                boot=self._boot,
                asked_at=0.0,
                **self._latest | changed,
            )
        )

    @property
    def has_exchanged(self) -> bool:
        """Whether there is an exchange to repeat."""
        return self._seq > 0

    def lease(self, capacity: int = 100, **options: Any) -> tuple[Lease, ...]:
        """Lease up to that many tasks."""
        return self.exchange(capacity=capacity, **options).leases

    def lease_one(self, **options: Any) -> Lease:
        """Lease the next task, which must be there."""
        (lease,) = self.lease(1, **options)
        return lease

    def heartbeat(self, *leases: Lease) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Renew these leases; ids lost and ids to cancel."""
        held = [(lease.id.key, lease.fence) for lease in leases]
        return self._store.heartbeat(self.slot, self.name, LEASE_MS, held)

    def leave(self, window_ms: int = 2_000, lived_ms: int = 0, *, forced: bool = False) -> Need | None:
        """Leave, and say what it takes that work goes on; None when it must stay."""
        return self._store.retire(self.slot, self.name, window_ms, lived_ms, Departure.IDLE, forced=forced)

    def retire(self, window_ms: int = 2_000, *, forced: bool = False) -> bool:
        """Leave; False when it must stay."""
        return self.leave(window_ms, forced=forced) is not None


Hire = Callable[..., ScriptedWorker]
"""Starts a worker: name, boot and slot."""

Sweep = Callable[[], object]
"""Upkeep of the slot `default`; leases nothing."""


class Takeover(NamedTuple):
    """A task whose lease ran out while its worker was frozen, and that another worker has now."""

    frozen: ScriptedWorker
    old: Lease
    other: ScriptedWorker
    new: Lease


def settle(
    lease: Lease,
    settlement: Settlement | str,
    outcome: bytes = b"",
    *,
    delay_ms: int = 0,
    fence: int | None = None,
    usage: Usage | None = None,
) -> Message:
    """The end of a lease; `fence` only where it is to be a wrong one."""
    if fence is None:
        fence = lease.fence
    extra = usage.packed() if usage else b""
    return Message(lease.id.key, fence, Settlement(settlement), delay_ms, outcome, extra)


def park(
    lease: Lease,
    awaits: str = "",
    *,
    delay_ms: int = -1,
    usage: Usage | None = None,
    fence: int | None = None,
) -> Message:
    """The task waits: for one of these events, names with spaces between, or so long; -1 for no time."""
    return settle(lease, Settlement.PARKED, awaits.encode(), delay_ms=delay_ms, usage=usage, fence=fence)


def entry(lease: Lease, position: int, packed: bytes = b"entry", *, event: int = 0) -> Message:
    """An entry of the task's journal; with the number of the event that it has read, if any."""
    return Message(lease.id.key, lease.fence, Verb.JOURNAL, position, packed, str(event))


def exits(lease: Lease) -> Message:
    """The task has asked for something to be run at its end."""
    return Message(lease.id.key, lease.fence, Verb.EXITS)


def progress(lease: Lease, said: bytes) -> Message:
    """What the task says of itself: JSON."""
    return Message(lease.id.key, lease.fence, Verb.PROGRESS, 0, said)


def lines(lease: Lease, *said: bytes) -> Message:
    """What the task has logged: packed lines."""
    return Message(lease.id.key, lease.fence, Verb.LINES, len(said), joined(said))


def deliver(key: bytes, token: str, answer: bytes = b"1", *, polls: int = 1, billed_us: int = 0) -> Message:
    """A poller's answer to the task with this key."""
    return Message(key, polls, Verb.DELIVER, billed_us, answer, token)


def watch(home: bytes, poller: str, waits: str, *, every_ms: int = 1_000) -> Message:
    """Somebody begins to wait for the poller that is at home there; `waits` tells who, and for what."""
    return Message(home, 0, Verb.WATCH, every_ms, f"{poller}\0{waits}", poller)


def unwatch(home: bytes, poller: str, waits: str) -> Message:
    """And waits no longer."""
    return Message(home, 0, Verb.UNWATCH, 0, f"{poller}\0{waits}")
