"""A worker that does one thing at a time, when a test says so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bide.async_connection import connect_async
from bide.exchange import Event, ExchangeReply, Lease, Message, Settlement, Usage, Verb
from bide.line import Line, pack_lines
from bide.reads import Reads
from bide.store import Store

NOTHING = Usage()
"""What a lease cost."""


class HandWorker:
    """Leases and settles tasks of one queue through the real exchange."""

    def __init__(self, store: Store, url: str, queue: str = "default") -> None:
        self._store = store
        self._url = url
        self._queue = queue
        self._seq = 0

    def lease(self) -> Lease:
        """Start the next ready task."""
        (lease,) = self._turn(capacity=1).leases
        return lease

    def lease_all(self) -> tuple[Lease, ...]:
        """Start every task that is ready."""
        return self._turn(capacity=100).leases

    def succeed(self, lease: Lease, result: Any = None, usage: Usage = NOTHING) -> None:
        self._settle(lease, Settlement.SUCCEEDED, body=json.dumps(result).encode(), usage=usage)

    def fail(self, lease: Lease, code: str, message: str, **more: str) -> None:
        outcome = json.dumps({"code": code, "message": message, **more}).encode()
        self._settle(lease, Settlement.FAILED, body=outcome)

    def retry(self, lease: Lease, message: str, delay_ms: int) -> None:
        outcome = json.dumps({"code": "ERROR", "message": message}).encode()
        self._settle(lease, Settlement.RETRYING, delay_ms=delay_ms, body=outcome)

    def park(self, lease: Lease, delay_ms: int = -1, awaits: str = "", usage: Usage = NOTHING) -> None:
        """delay_ms: -1 is without a time. awaits: names of events, separated by spaces."""
        self._settle(lease, Settlement.PARKED, delay_ms=delay_ms, body=awaits, usage=usage)

    def unread(self, lease: Lease) -> tuple[Event, ...]:
        """The unread events of a lease, with their bodies."""
        reads = Reads(self._store)
        return tuple(
            event if event.body is not None else read
            for event in lease.events
            for read in reads.unread_events(lease.id, event.name)
            if read.number == event.number
        )

    def read(self, lease: Lease, event: Event) -> None:
        """Journal that the task has read an event of its inbox."""
        entry = Message(
            lease.id.key, lease.fence, Verb.JOURNAL, lease.run.journal + 1, b"x", str(event.number)
        )
        self._tell(entry)

    def progress(self, lease: Lease, **said: Any) -> None:
        self._tell(Message(lease.id.key, lease.fence, Verb.PROGRESS, body=json.dumps(said).encode()))

    def say(self, lease: Lease, *lines: Line) -> None:
        """Log these lines."""
        self._tell(Message(lease.id.key, lease.fence, Verb.LINES, len(lines), pack_lines(lines)))

    def hand_back(self, lease: Lease) -> None:
        self._settle(lease, Settlement.HANDED_BACK)

    def cancel(self, lease: Lease) -> None:
        self._settle(lease, Settlement.CANCELLED)

    def live(self, ms: int) -> None:
        """Have lived that much longer."""
        self._turn(lived_ms=ms)

    def _settle(
        self,
        lease: Lease,
        settlement: Settlement,
        *,
        delay_ms: int = 0,
        body: bytes | str = b"",
        usage: Usage = NOTHING,
    ) -> None:
        self._tell(Message(lease.id.key, lease.fence, settlement, delay_ms, body, usage.packed()))

    def _tell(self, message: Message) -> None:
        assert self._turn(message).lost == ()

    def _turn(self, *messages: Message, capacity: int = 0, lived_ms: int = 0) -> ExchangeReply:
        self._seq += 1

        async def turn() -> ExchangeReply:
            client = connect_async(self._url)
            try:
                return await self._store.exchange(
                    client,
                    self._queue,
                    worker="hand",
                    boot=1,
                    seq=self._seq,
                    messages=messages,
                    capacity=capacity,
                    free=100,
                    lease_ms=60_000,
                    isolate=False,
                    listen_ms=0,
                    lived_ms=lived_ms,
                    asked_at=self._store.clock.local(),
                )
            finally:
                await client.aclose()

        return asyncio.run(turn())
