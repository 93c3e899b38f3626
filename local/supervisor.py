"""The process table: starts the roles, replaces what dies, swaps generations, stops all.

A restart follows at once, then after growing pauses while a role keeps dying young.

Workers beyond those that stay are started as somebody needs them, and leave by themselves. Only
the store knows how many are needed: it is told of each that comes and goes. An alarm starts
one unless one is awake. Whether that one will see to it cannot be known here: it may just have left
the store's lists. Therefore the tick looks once more when it has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from bide.duty import Duties
from local.alarm import AlarmClock
from local.children import Child, Role, shown, spawn
from local.emulator.keeper import Keeper
from local.line import (
    CANNOT_START,
    DRAIN,
    LOOK,
    SERVE,
    Alarm,
    Failed,
    Need,
    Problems,
    Report,
    Stopped,
    Tasks,
)

WORKER: Final = "worker"
API: Final = "api"
TICK: Final = "tick"

_SWAP_ORDER: Final = (WORKER, TICK, API)
"""A new API must not accept a task that an old worker might still lease."""

_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a restart, by how often the role died young in a row before."""

_YOUNG_SECONDS: Final = 10.0

_START_SECONDS: Final = 30.0
"""How long a new generation may take until it is ready."""

_LET_GO_SECONDS: Final = 2.0
"""How long a replaced process may take until it takes on nothing more."""

_STOP_SECONDS: Final = 8.5
"""How long children may take to stop, of the ten seconds that Ctrl-C has."""


class Supervisor:
    """Keeps `wanted` processes of each role running. `say` prints one line for each event."""

    def __init__(
        self,
        roles: Sequence[Role],
        wanted: Mapping[str, int],
        most: Mapping[str, int],
        environ: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        """wanted: processes of each role that are kept. most: processes of a role that may be started as
        they are needed, those that are kept included.
        """
        self._roles = {role.name: role for role in roles}
        self._wanted = wanted
        self._most = most
        self._environ = environ
        self._say = say
        self._keeper = Keeper()
        self._duties = Duties()
        self._children: dict[Child, asyncio.Task[None]] = {}
        self._coming: dict[str, set[asyncio.Task[None]]] = {role.name: set() for role in roles}
        self._died_young: dict[str, int] = dict.fromkeys(self._roles, 0)
        self._trial: set[Child] = set()
        self.tasks: Tasks | None = None
        """What can be submitted; None until an API process has said it."""
        self.problems: frozenset[str] = frozenset()
        """What of the tasks could not be loaded, as it was said last."""
        self._alarms = AlarmClock(self._on_alarm)
        self._woken_again = False
        """Whether a worker was needed while one was awake, since when nobody has looked."""
        self._swap = asyncio.Lock()
        self._stopping = False

    def children(self, role: str) -> list[Child]:
        """Those of a role that run or start, without the ones that were asked to end."""
        return [child for child in self._children if child.role.name == role and not child.leaving]

    async def start(self) -> bool:
        """Start everything; True when all of it is ready, False when a part could not start (yet)."""
        first = [await self._add(name) for name in self._roles for _ in range(self._wanted[name])]
        await _all_set([child.ready for child in first], _START_SECONDS)
        for child in first:
            child.command(SERVE)
        return all(child.serves for child in first)

    async def reload(self) -> bool:
        """Swap every process for a new one, started first; False when the new ones cannot start.

        No connection is lost and no task interrupted: the old ones finish what they have.
        """
        async with self._swap:
            sizes = {name: self._size(name) for name in self._roles}
            self._call_off()
            fresh, complete = await self._generation(sizes)
            await _all_set([child.ready for child in fresh], _START_SECONDS)
            self._trial -= set(fresh)
            # A worker may have come, found nothing to do and left meanwhile.
            if not (complete and all(child.serves or child.process.returncode == 0 for child in fresh)):
                for child in fresh:
                    child.leaving = True
                    child.signal(signal.SIGKILL)
                for name in self._roles:
                    self._heal(name)
                if sizes[WORKER] > self._wanted[WORKER]:
                    self._wake(1)
                return False
            for name in sorted(self._roles, key=_SWAP_ORDER.index):
                for child in self.children(name):
                    if child in fresh:
                        child.command(SERVE)
                await self._retire([child for child in self.children(name) if child not in fresh])
            return True

    async def stop(self) -> None:
        """End every child in good order, and by force what does not end in time."""
        self._stopping = True
        self._alarms.stop()
        self._call_off()
        for child in self._children:
            child.leaving = True
            child.signal(signal.SIGTERM)
        following = list(self._children.values())
        if following:
            await asyncio.wait(following, timeout=_STOP_SECONDS)
        self.kill()
        if following:
            await asyncio.wait(following)
        await asyncio.to_thread(self._keeper.close)

    def kill(self) -> None:
        """End every child at once."""
        self._stopping = True
        self._alarms.stop()
        for child in self._children:
            child.signal(signal.SIGKILL)

    async def _add(self, name: str) -> Child:
        child = await spawn(self._roles[name], self._environ)
        self._keeper.watch(child.pid)
        self._children[child] = self._duties.begin(
            f"following {name} {child.pid}", partial(self._follow, child)
        )
        return child

    def _size(self, name: str) -> int:
        """Processes that a generation must have: no fewer than the present one."""
        return max(self._wanted[name], len(self.children(name)) + len(self._coming[name]))

    async def _generation(self, sizes: Mapping[str, int]) -> tuple[list[Child], bool]:
        """New processes of every role, so many, and whether all of them could be started."""
        generation: list[Child] = []
        try:
            for name, size in sizes.items():
                for _ in range(size):
                    generation.append(await self._add(name))
                    self._trial.add(generation[-1])
        except OSError as error:
            self._say(f"a process could not be started: {error}")
            return generation, False
        return generation, True

    async def _retire(self, old: list[Child]) -> None:
        for child in old:
            child.leaving = True
            if child.role.name == API:
                child.command(DRAIN)
            else:
                child.signal(signal.SIGTERM)
        await _all_set([child.stopped for child in old], _LET_GO_SECONDS)

    async def _follow(self, child: Child) -> None:
        code = await child.follow(self._on_report)
        self._keeper.release(child.pid)
        self._children.pop(child, None)
        if self._stopping or child.leaving or child in self._trial:
            return
        name = child.role.name
        if name == WORKER and code == 0 and len(self.children(name)) >= self._wanted[name]:
            self._died_young[name] = 0  # it found nothing to do and left
            return
        young = time.monotonic() - child.started_at < _YOUNG_SECONDS
        self._died_young[name] = self._died_young[name] + 1 if young else 0
        if not child.failed:
            another = "; starting another" if self._wanted[name] else ""
            self._say(f"{name} {child.pid} {_ending(code)}{another}")
        self._heal(name)
        if name == WORKER:
            self._look(child.name)  # it had not taken its leave, so it may have had work

    def _heal(self, name: str) -> None:
        for _ in range(self._wanted[name] - len(self.children(name)) - len(self._coming[name])):
            self._bring(name)

    def _wake(self, count: int) -> None:
        """Start workers, as many of `count` as may be."""
        if self._stopping:
            return
        room = self._most[WORKER] - self._awake()
        if count > room:
            self._woken_again = True
        for _ in range(min(count, room)):
            self._bring(WORKER)

    def _on_alarm(self) -> None:
        """Start a worker, unless one is awake or on its way."""
        if self._awake():
            self._woken_again = True
        else:
            self._wake(1)

    def _awake(self) -> int:
        """Workers that are on their way or have not left."""
        return len(self._coming[WORKER]) + sum(not c.stopped.is_set() for c in self.children(WORKER))

    def _look(self, lost: str = "") -> None:
        """Have the tick look at once for what the worker that has gone may not have seen; `lost` has died."""
        self._woken_again = False
        for tick in self.children(TICK):
            tick.command(f"{LOOK} {lost}".strip())

    def _bring(self, name: str) -> None:
        pause = _PAUSES[max(0, min(self._died_young[name] - 1, len(_PAUSES) - 1))]

        async def bring() -> None:
            await asyncio.sleep(pause)
            if not self._stopping:
                child = await self._add(name)
                child.command(SERVE)
                self._say(f"{name} {child.pid} started")

        task = self._duties.begin(f"the start of another {name}", bring)
        self._coming[name].add(task)
        task.add_done_callback(self._coming[name].discard)

    def _call_off(self) -> None:
        """Give up every restart that waits for its time."""
        for coming in self._coming.values():
            for task in coming:
                task.cancel()

    def _on_report(self, child: Child, report: Report) -> None:
        match report:
            case Problems(problems):
                self._on_problems(frozenset(problems))
            case Tasks():
                self.tasks = report
            case Failed(problem):
                self._say(f"{child.role.name} cannot start: {shown(problem)}")
            case Need(workers):
                self._wake(workers)
            case Alarm(delay_ms):
                self._alarms.set(delay_ms)
            case Stopped() if child.role.name == WORKER and not child.leaving and self._woken_again:
                self._look()

    def _on_problems(self, problems: frozenset[str]) -> None:
        for problem in sorted(problems - self.problems):
            self._say(f"not loaded: {shown(problem)}")
        if self.problems and not problems:
            self._say("every task module loads again")
        self.problems = problems


async def _all_set(events: Sequence[asyncio.Event], timeout: float) -> None:
    """Wait until all of these are set, at most `timeout` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            for event in events:
                await event.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return "could not start" if code == CANNOT_START else f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
