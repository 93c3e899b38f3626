"""What an attempt needs of the worker that it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol, TypeVar

from bide.exchange import Event, Message
from bide.ids import TaskId
from bide.worker.limits import Limits
from bide.worker.meter import Meter
from bide.worker.scribe import Scribe

Attempt = TypeVar("Attempt", contravariant=True)


class Workplace(Protocol[Attempt]):
    """What an attempt needs of its worker."""

    meter: Meter
    limits: Limits
    scribe: Scribe

    @property
    def executor(self) -> Executor:
        """Holds the threads of plain functions."""

    def local(self) -> float:
        """Seconds on the boot-time clock, by which leases run out here."""

    def now_ms(self) -> int:
        """The store's time."""

    def send(self, slot: str, message: Message, answered: Callable[[bool], object] | None = None) -> None:
        """Tell the store with the next exchange; `answered` is told whether it counted."""

    async def renewal(self, attempt: Attempt) -> None:
        """Have the attempt's lease renewed at once; returns when the store has said whether it is."""

    async def read_events(self, id: TaskId, name: str) -> Sequence[Event]:
        """Unread events, as the store has them now, those of that name with their bodies."""

    def on_end(self, attempt: Attempt, work: asyncio.Task[Message | None]) -> None:
        """The attempt's work is done."""

    def on_idle(self, attempt: Attempt) -> None:
        """The attempt only waits: keep it, or stop it with PARK."""

    def on_busy(self, attempt: Attempt) -> None:
        """The attempt goes on."""

    def readmit(self, attempt: Attempt, go_on: Callable[[], bool]) -> None:
        """Call `go_on` as soon as there is room for an attempt whose wait is over."""
