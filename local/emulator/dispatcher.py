"""The functions of the account, and the way of an invocation to its environment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import msgspec

from local.emulator import supplied, trace
from local.emulator.concurrency import Concurrency
from local.emulator.environment import Place
from local.emulator.errors import EventTooLarge, NoSuchFunction, NotJson, RecursionStopped, Refused
from local.emulator.event_queue import EventQueue
from local.emulator.figures import Figures
from local.emulator.function import MAX_EVENT_BYTES, MAX_PAYLOAD_BYTES, Function, Rules
from local.emulator.keeper import Keeper
from local.emulator.output import Output
from local.emulator.package import Package, digest
from local.emulator.pool import Outcome, Pool, Request

_log = logging.getLogger(__name__)


@dataclass
class Deployed:
    """A function as it stands in the account."""

    function: Function
    package: Package
    pool: Pool
    events: EventQueue
    figures: Figures
    output: Output
    supplied: Path
    """The folder of what Lambda supplies."""
    recursion_allowed: bool = False
    retired: list[Pool] = field(default_factory=list)
    """Pools of older versions that still have a process."""


class Dispatcher:
    """Invokes functions by name. `variables` are what every environment is told, such as endpoints."""

    def __init__(self, directory: Path, rules: Rules, variables: Mapping[str, str]) -> None:
        self.rules = rules
        self._directory = directory
        self._variables = dict(variables)
        self._supplied = supplied.lay_out(directory / "runtime")
        self._concurrency = Concurrency(rules.account_concurrency)
        self._keeper = Keeper()
        self._packages: dict[str, Package] = {}
        self._functions: dict[str, Deployed] = {}
        self._running: set[asyncio.Task[Outcome]] = set()
        (directory / "logs").mkdir()

    def put(self, function: Function) -> Deployed:
        """Deploy a function, or a new version of it: later invocations get new environments."""
        key = digest(function.code)
        package = self._packages.get(key)
        if package is None:
            package = self._packages[key] = Package(function.code, self._directory / "code" / key)
        old = self._functions.get(function.name)
        figures = old.figures if old else Figures()
        figures.memory_mb = function.memory_mb
        output = old.output if old else self._new_output(function.name)
        place = Place(package.folder, self._supplied, self._variables, self._keeper)
        pool = Pool(function, place, self.rules, self._concurrency, figures, output)
        self._concurrency.reserve(function.name, function.reserved_concurrency)
        if old is not None:
            old.pool.retire()
            old.retired = [*(pool for pool in old.retired if not pool.empty), old.pool]
            old.function, old.package, old.pool = function, package, pool
            self._forget_packages()
            return old
        name = function.name
        events = EventQueue(lambda request: self._admit(self.find(name), request), self.rules, figures)
        deployed = Deployed(function, package, pool, events, figures, output, self._supplied)
        self._functions[name] = deployed
        return deployed

    def names(self) -> list[str]:
        """The functions there are, sorted."""
        return sorted(self._functions)

    def find(self, name: str) -> Deployed:
        """A function by its name or ARN, a version of it allowed. Raises NoSuchFunction."""
        deployed = self._functions.get(bare(name))
        if deployed is None:
            raise NoSuchFunction(f"Function not found: {name}")
        return deployed

    def reserve(self, name: str, count: int | None) -> None:
        """Change a function's reserved concurrency. Raises NoSuchFunction."""
        self._concurrency.reserve(self.find(name).function.name, count)

    def reserved(self, name: str) -> int | None:
        """A function's reserved concurrency, None when it has none. Raises NoSuchFunction."""
        return self._concurrency.reserved(self.find(name).function.name)

    async def invoke(self, name: str, event: bytes, header: str | None = None) -> Outcome:
        """Run a function and wait for its answer. `header` is the trace header of the caller.

        It runs to its end even when the caller is cancelled. Raises NoSuchFunction, Throttled,
        RecursionStopped, EventTooLarge, NotJson.
        """
        deployed = self.find(name)
        request = _request(deployed, event, header, MAX_PAYLOAD_BYTES)
        return await self._admit(deployed, request)

    def accept(self, name: str, event: bytes, header: str | None = None) -> str:
        """Take an event to be run later; returns its request id.

        Raises NoSuchFunction, EventTooLarge, NotJson.
        """
        deployed = self.find(name)
        request = _request(deployed, event, header, MAX_EVENT_BYTES)
        deployed.events.put(request)
        return request.id

    def figures(self) -> dict[str, Figures]:
        """A copy of each function's figures, by its name."""
        return {name: msgspec.structs.replace(self._functions[name].figures) for name in self.names()}

    async def remove(self, name: str) -> None:
        """Delete a function: its events are forgotten and its environments end. Raises NoSuchFunction."""
        deployed = self.find(name)
        del self._functions[deployed.function.name]
        await self._end(deployed)
        deployed.output.close()

    async def close(self) -> None:
        """End everything; the code folders are deleted."""
        functions = tuple(self._functions.values())
        self._functions.clear()
        for deployed in functions:
            await self._end(deployed)
        if self._running:
            await asyncio.wait(self._running)
        for deployed in functions:
            deployed.output.close()  # not before: an invocation that was ended has its last lines
        self._keeper.close()
        for package in self._packages.values():
            package.remove()
        self._packages.clear()

    def _forget_packages(self) -> None:
        """Delete the code folders that nobody runs from any more."""
        used = set()
        for deployed in self._functions.values():
            used.add(deployed.pool.code)
            used |= {pool.code for pool in deployed.retired if not pool.empty}
        for key in [key for key, package in self._packages.items() if package.folder not in used]:
            self._packages.pop(key).remove()

    async def _end(self, deployed: Deployed) -> None:
        await deployed.events.close()
        for pool in (*deployed.retired, deployed.pool):
            await pool.close()
        self._concurrency.reserve(deployed.function.name, None)

    async def _admit(self, deployed: Deployed, request: Request) -> Outcome:
        if request.chain > self.rules.max_chain and not deployed.recursion_allowed:
            deployed.figures.recursions_stopped += 1
            raise RecursionStopped(f"{deployed.function.arn} was invoked in a loop")
        run = asyncio.create_task(deployed.pool.invoke(request))
        self._running.add(run)
        run.add_done_callback(self._ran)
        return await asyncio.shield(run)

    def _ran(self, run: asyncio.Task[Outcome]) -> None:
        self._running.discard(run)
        error = None if run.cancelled() else run.exception()
        if error is not None and not isinstance(error, Refused):  # its caller may have gone
            _log.error("an invocation came to nothing", exc_info=error)

    def _new_output(self, name: str) -> Output:
        return Output(self._directory / "logs" / f"{name}.log", self.rules.log_bytes)


def bare(name: str) -> str:
    """A function's name out of its ARN, whole or in part, and without its version."""
    parts = name.split(":")
    if "function" in parts[:-1]:
        return parts[parts.index("function") + 1]
    return parts[0]


def _request(deployed: Deployed, event: bytes, header: str | None, limit_bytes: int) -> Request:
    if len(event) > limit_bytes:
        raise EventTooLarge(limit_bytes)
    try:
        msgspec.json.decode(event or b"{}", type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise NotJson(str(error)) from None
    extended, chain = trace.extend(header, deployed.function.arn)
    return Request(event or b"{}", extended, str(uuid4()), chain)
