"""What it costs to go through a journal again, per journaled step."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from bench.errors import BenchFailed
from bench.line import Line, at_most
from bench.sample import median, spread
from bide import registry
from bide.exchange import Event, Lease, Message, Settlement, Verb
from bide.ids import TaskId, new_id
from bide.records import Run, Spec
from bide.settings import DEFAULT_QUEUE
from bide.state import State
from bide.worker.attempt import Attempt
from bide.worker.branches import adopt
from bide.worker.limits import Limits
from bide.worker.meter import Meter
from bide.worker.runner import Runner
from bide.worker.scribe import Scribe

STEPS: Final = 200

_SPEC: Final = Spec("climb", "default", args=f'{{"steps":{STEPS}}}')


class Ground:
    """An attempt's Workplace without a store: it keeps what is journaled, and commits it at once."""

    def __init__(self, executor: Executor) -> None:
        self.meter = Meter(time.monotonic)
        self.limits = Limits()
        self.scribe = Scribe(self.send, self.now_ms)
        self.executor = executor
        self.settled: asyncio.Future[Message | None] | None = None
        self.journal: dict[int, bytes] = {}

    def local(self) -> float:
        return time.monotonic()

    async def renewal(self, attempt: Attempt) -> None:
        pass

    def now_ms(self) -> int:
        return round(time.time() * 1000)

    def send(self, slot: str, message: Message, answered: Callable[[bool], object] | None = None) -> None:  # noqa: ARG002
        if message.verb is Verb.JOURNAL:
            assert isinstance(message.body, bytes)
            self.journal[message.number] = message.body
        if answered is not None:
            answered(True)

    async def read_events(self, id: TaskId, name: str) -> Sequence[Event]:  # noqa: ARG002
        return ()

    def on_end(self, attempt: Attempt, work: asyncio.Task[Message | None]) -> None:  # noqa: ARG002
        assert self.settled is not None
        self.settled.set_result(work.result())

    def on_idle(self, attempt: Attempt) -> None:
        pass

    def on_busy(self, attempt: Attempt) -> None:
        pass

    def readmit(self, attempt: Attempt, go_on: Callable[[], bool]) -> None:  # noqa: ARG002
        go_on()


def measure(quick: bool) -> Iterator[Line]:
    rounds = 30 if quick else 200
    costs = asyncio.run(_rounds(rounds))
    yield Line(
        "replay", "a journaled step, replayed", median(costs), "us", at_most(20), spread(costs),
        f"{rounds} rounds of a task with {STEPS} steps, from its lease to its result; "
        "reading the journal included",
    )  # fmt: skip


async def _rounds(rounds: int) -> list[float]:
    """Microseconds per step, of each replay."""
    asyncio.get_running_loop().set_task_factory(adopt)
    tasks = registry.load(("bench.tasks",), local=True)
    with ThreadPoolExecutor(1) as threads:
        runner = Runner(tasks)
        ground = Ground(threads)
        await _climb(runner, ground, ())
        journal = tuple(ground.journal[position] for position in sorted(ground.journal))
        if len(journal) != STEPS:
            raise BenchFailed(f"the journal holds {len(journal)} entries, not {STEPS}")
        ground.journal.clear()
        await _climb(runner, ground, journal)  # warm up
        costs = []
        for _ in range(rounds):
            gc.collect()
            costs.append(await _climb(runner, ground, journal) / STEPS * 1e6)
        if ground.journal:
            raise BenchFailed("a replay has journaled something")
    return costs


async def _climb(runner: Runner, ground: Ground, journal: tuple[bytes, ...]) -> float:
    """Seconds from the lease to the result."""
    run = Run(State.RUNNING, attempt=1, max_attempts=3, fence=1, journal=len(journal))
    id = new_id(DEFAULT_QUEUE, ground.now_ms(), os.urandom)
    lease = Lease(id, run, _SPEC, isolated=False, expires_at=math.inf, journal=journal)
    started = time.perf_counter()
    ground.settled = asyncio.get_running_loop().create_future()
    attempt = Attempt(lease, ground)
    attempt.start(runner.run(attempt))
    settle = await ground.settled
    took = time.perf_counter() - started
    if settle is None or settle.verb is not Settlement.SUCCEEDED or settle.body != b"%d" % STEPS:
        raise BenchFailed(f"the task with {STEPS} steps ended as {settle}")
    return took
