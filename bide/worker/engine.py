"""What the operations of a context need of the attempt that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from bide.exchange import Event
from bide.poller import Poller
from bide.worker.journal import Journal
from bide.worker.waits import Waits


class Engine(Protocol):
    """What the operations need of the attempt that they belong to."""

    journal: Journal
    waits: Waits
    polls: int
    """Questions asked."""

    @property
    def attempt(self) -> int:
        """Its number, from 1."""

    @property
    def can_wait(self) -> bool:
        """False for a plain function."""

    def now_ms(self) -> int:
        """The store's time."""

    def loop_time(self, ms: int) -> float:
        """The time on the loop's clock when the store's is `ms`."""

    async def save(self, unsaved: Sequence[tuple[int, bytes, int]]) -> None:
        """Write entries; returns when they are committed."""

    async def assure(self) -> None:
        """Return once it is sure that the lease is held: to be awaited before whatever acts.

        Asks nobody while the lease cannot have run out. Raises Interrupted when another worker has the task.
        """

    def in_thread(self, call: Callable[[], Any]) -> Coroutine[Any, Any, Any]:
        """Call a plain function, likewise."""

    async def read_events(self, name: str) -> None:
        """Learn which events are unread now, and the bodies of those of this name."""

    def find_event(self, name: str) -> Event | None:
        """The first known event of this name that no branch has taken."""

    def take_event(self, event: Event) -> None:
        """A branch has it: no other finds it."""

    async def watch(self, poller: Poller, key: Any, token: str) -> None:
        """Ask a poller; returns when that is committed."""

    def unwatch(self, poller: Poller, key: Any, token: str) -> None:
        """No longer."""

    def report_progress(self, fraction: float, message: str) -> None:
        """Show with the task how far it is, from 0 to 1."""

    @property
    def owns_foreign(self) -> bool:
        """Whether asyncio tasks run that the task's code made itself."""
