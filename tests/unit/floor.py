"""Where an attempt runs without a worker: what it says is kept, and nobody takes its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from bide.exchange import Event, Lease, Message
from bide.ids import TaskId
from bide.records import Run, Spec
from bide.state import State
from bide.worker.attempt import Attempt
from bide.worker.limits import Limits
from bide.worker.meter import Meter
from bide.worker.runner import Runner
from bide.worker.scribe import Scribe

KEY = bytes(range(16))
FENCE = 7
NEVER = 1e12
NOW_MS = 1_800_000_000_000


class QuietFloor:
    """A worker's side of an attempt. What is sent counts at once, unless `counts` is False."""

    def __init__(self, executor: Executor, *, counts: bool = True) -> None:
        self.meter = Meter(time.monotonic)
        self.limits = Limits()
        self.scribe = Scribe(self.send, self.now_ms)
        self.executor = executor
        self.counts = counts
        self.sent: list[Message] = []
        self.events: list[Event] = []
        """What the store would tell of a task's events."""
        self.idle: list[Attempt] = []
        """Attempts that only wait."""
        self.clock_s = 0.0
        """The local clock; leases last until NEVER, unless the test says otherwise."""
        self.answer: Callable[[Attempt], object] = Attempt.lose
        """What the store says of an attempt whose lease is to be renewed."""
        self.asked = 0
        """How often it was."""

    def local(self) -> float:
        return self.clock_s

    async def renewal(self, attempt: Attempt) -> None:
        """As of a floor: the answer comes from elsewhere on the loop."""
        self.asked += 1
        heard = asyncio.get_running_loop().create_future()

        def hear() -> None:
            self.answer(attempt)
            if not heard.done():
                heard.set_result(None)

        asyncio.get_running_loop().call_soon(hear)
        await heard

    def now_ms(self) -> int:
        return NOW_MS

    def send(self, slot: str, message: Message, answered: Callable[[bool], object] | None = None) -> None:
        self.sent.append(message)
        if answered is not None:
            answered(self.counts)

    async def read_events(self, id: TaskId, name: str) -> Sequence[Event]:
        return tuple(self.events)

    def on_idle(self, attempt: Attempt) -> None:
        self.idle.append(attempt)

    def on_busy(self, attempt: Attempt) -> None:
        self.idle.remove(attempt)

    def readmit(self, attempt: Attempt, go_on: Callable[[], bool]) -> None:
        """There is always room."""
        go_on()

    def on_end(self, attempt: Attempt, work: asyncio.Task[Message | None]) -> None:
        """The test looks at the work itself."""


async def settle_of(attempt: Attempt, runner: Runner) -> Message | None:
    """Run it, as a worker does; what it has said last is sent."""
    attempt.start(runner.run(attempt))
    assert attempt.work is not None
    settle = await attempt.work
    attempt.scribe.finish(attempt)
    return settle


def lease(
    name: str,
    args: str = "{}",
    attempt: int = 1,
    expires_at: float = NEVER,
    *,
    refused_ms: int = 0,
    journal: tuple[bytes, ...] = (),
) -> Lease:
    """A lease of a task in queue `default`."""
    run = Run(State.RUNNING, attempt, 3, FENCE, "worker", started_ms=NOW_MS, refused_ms=refused_ms)
    spec = Spec(name, "default", 3, args=args)
    return Lease(TaskId("default", KEY), run, spec, False, expires_at, journal)
