"""Asynchronous events of one function: accepted at once, run when there is room, tried again on errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local.emulator.errors import RecursionStopped, Throttled
from local.emulator.figures import Figures
from local.emulator.function import AsyncRules, Rules
from local.emulator.pool import Outcome, Request


@dataclass
class Chaos:
    """What goes wrong on demand with accepted events; Lambda promises at least one delivery, some time."""

    duplicate_every: int = 0
    """Every nth event is delivered twice; 0: none."""
    drop_every: int = 0
    """Every nth event is lost without a trace; 0: none."""
    delay_s: float = 0.0
    """How long each event lies in the queue first."""


class EventQueue:
    """Events on their way to a function. `invoke` runs one; it may raise Throttled and RecursionStopped."""

    def __init__(
        self, invoke: Callable[[Request], Awaitable[Outcome]], rules: Rules, figures: Figures
    ) -> None:
        self.chaos = Chaos()
        self.rules = AsyncRules()
        self._invoke = invoke
        self._service = rules
        self._figures = figures
        self._deliveries: set[asyncio.Task[None]] = set()

    def put(self, request: Request) -> None:
        """Accept an event."""
        figures, chaos = self._figures, self.chaos
        figures.events += 1
        if chaos.drop_every and figures.events % chaos.drop_every == 0:
            figures.events_lost += 1
            return
        self._begin(request)
        if chaos.duplicate_every and figures.events % chaos.duplicate_every == 0:
            figures.events_doubled += 1
            self._begin(request)

    async def drained(self) -> None:
        """Wait until no event is on its way."""
        while self._deliveries:
            await asyncio.wait(self._deliveries)

    async def close(self) -> None:
        """Forget every event."""
        for delivery in self._deliveries:
            delivery.cancel()
        await self.drained()

    def _begin(self, request: Request) -> None:
        delivery = asyncio.create_task(self._deliver(request))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, request: Request) -> None:
        accepted = time.monotonic()
        await asyncio.sleep(self.chaos.delay_s)
        errors = 0
        pause, longest = self._service.backoff_s
        while True:
            try:
                outcome = await self._invoke(request)
            except RecursionStopped:
                break
            except Throttled:
                wait, pause = pause, min(pause * 2, longest)
            except Exception:  # of the emulator itself, which has logged it; Lambda treats its own like this
                wait, pause = pause, min(pause * 2, longest)
            else:
                if not outcome.failed:
                    return
                if errors >= self.rules.retries:
                    break
                wait = self._service.retry_s[min(errors, len(self._service.retry_s) - 1)]
                errors += 1
                self._figures.events_retried += 1
            if time.monotonic() + wait - accepted > self.rules.max_age_s:
                break
            await asyncio.sleep(wait)
        self._figures.events_dropped += 1
