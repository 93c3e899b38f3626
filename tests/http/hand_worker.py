"""A worker that does one thing at a time, when a test says so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bide.connection import connect_async
from bide.exchange import ExchangeReply, Lease, Settle, Settlement
from bide.store import Store


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

    def succeed(self, lease: Lease, result: Any = None) -> None:
        self._settle(lease, Settlement.SUCCEEDED, outcome=json.dumps(result).encode())

    def fail(self, lease: Lease, code: str, message: str, **more: str) -> None:
        outcome = json.dumps({"code": code, "message": message, **more}).encode()
        self._settle(lease, Settlement.FAILED, outcome=outcome)

    def retry(self, lease: Lease, message: str, delay_ms: int) -> None:
        outcome = json.dumps({"code": "ERROR", "message": message}).encode()
        self._settle(lease, Settlement.RETRYING, delay_ms=delay_ms, outcome=outcome)

    def hand_back(self, lease: Lease) -> None:
        self._settle(lease, Settlement.HANDED_BACK)

    def cancel(self, lease: Lease) -> None:
        self._settle(lease, Settlement.CANCELLED)

    def _settle(
        self, lease: Lease, settlement: Settlement, *, delay_ms: int = 0, outcome: bytes = b""
    ) -> None:
        settle = Settle(lease.id.key, lease.fence, settlement, delay_ms, outcome)
        assert self._turn(settle).lost == ()

    def _turn(self, *settles: Settle, capacity: int = 0) -> ExchangeReply:
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
                    settles=settles,
                    capacity=capacity,
                    lease_ms=60_000,
                    isolate=False,
                    listen_ms=0,
                    asked_at=self._store.clock.local(),
                )
            finally:
                await client.aclose()

        return asyncio.run(turn())
