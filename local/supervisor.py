"""The process table: starts the roles, replaces what dies, swaps generations, stops all.

A restart follows at once, then after growing pauses while a role keeps dying young.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from local.children import Child, Role, shown, spawn
from local.line import CANNOT_START, DRAIN, SERVE, Failed, Need, Problems, Report

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
        environ: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._roles = {role.name: role for role in roles}
        self._wanted = wanted
        self._environ = environ
        self._say = say
        self._children: dict[Child, asyncio.Task[None]] = {}
        self._coming: dict[str, set[asyncio.Task[None]]] = {role.name: set() for role in roles}
        self._died_young: dict[str, int] = dict.fromkeys(self._roles, 0)
        self._trial: set[Child] = set()
        self._problems: frozenset[str] = frozenset()
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
            self._call_off()
            fresh = {name: await self._generation(name) for name in self._roles}
            everyone = [child for children in fresh.values() for child in children]
            await _all_set([child.ready for child in everyone], _START_SECONDS)
            self._trial -= set(everyone)
            if not all(child.serves for child in everyone):
                for child in everyone:
                    child.leaving = True
                    child.signal(signal.SIGKILL)
                for name in self._roles:
                    self._heal(name)
                return False
            for name in sorted(self._roles, key=_SWAP_ORDER.index):
                for child in fresh[name]:
                    child.command(SERVE)
                await self._retire([child for child in self.children(name) if child not in fresh[name]])
            return True

    async def stop(self) -> None:
        """End every child in good order, and by force what does not end in time."""
        self._stopping = True
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

    def kill(self) -> None:
        """End every child at once."""
        self._stopping = True
        for child in self._children:
            child.signal(signal.SIGKILL)

    async def _add(self, name: str) -> Child:
        child = await spawn(self._roles[name], self._environ)
        self._children[child] = asyncio.create_task(self._follow(child))
        return child

    async def _generation(self, name: str) -> list[Child]:
        count = max(self._wanted[name], len(self.children(name)))
        generation = []
        for _ in range(count):
            child = await self._add(name)
            self._trial.add(child)
            generation.append(child)
        return generation

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
        del self._children[child]
        if self._stopping or child.leaving or child in self._trial:
            return
        name = child.role.name
        if name == WORKER and code == 0 and not self._wanted[name]:
            return  # it was idle and left
        young = time.monotonic() - child.started_at < _YOUNG_SECONDS
        self._died_young[name] = self._died_young[name] + 1 if young else 0
        if not child.failed:
            self._say(f"{name} {child.pid} {_ending(code)}; starting another")
        self._heal(name)

    def _heal(self, name: str) -> None:
        missing = self._wanted[name] - len(self.children(name)) - len(self._coming[name])
        pause = _PAUSES[max(0, min(self._died_young[name] - 1, len(_PAUSES) - 1))]
        for _ in range(missing):
            self._bring(name, pause)

    def _bring(self, name: str, pause: float) -> None:
        async def bring() -> None:
            await asyncio.sleep(pause)
            if not self._stopping:
                child = await self._add(name)
                child.command(SERVE)
                self._say(f"{name} {child.pid} started")

        task = asyncio.create_task(bring())
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
            case Failed(problem):
                self._say(f"{child.role.name} cannot start: {shown(problem)}")
            case Need() if not (self.children(WORKER) or self._coming[WORKER] or self._stopping):
                self._bring(WORKER, 0.0)

    def _on_problems(self, problems: frozenset[str]) -> None:
        for problem in sorted(problems - self._problems):
            self._say(f"not loaded: {shown(problem)}")
        if self._problems and not problems:
            self._say("every task module loads again")
        self._problems = problems


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
