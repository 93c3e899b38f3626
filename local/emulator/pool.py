"""The environments of one function: an invocation takes an idle one, or starts another."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from local.emulator.concurrency import Concurrency
from local.emulator.environment import (
    Environment,
    EnvironmentFailed,
    InitRefused,
    Place,
    RuntimeEnded,
    TimedOut,
)
from local.emulator.errors import Throttled
from local.emulator.figures import Figures
from local.emulator.function import MAX_ANSWER_BYTES, Function, Rules
from local.emulator.output import Output
from local.emulator.runtime_api import Answer


@dataclass(frozen=True)
class Request:
    """One invocation that is asked for. A repetition of it keeps its id."""

    event: bytes
    """JSON."""
    trace: str
    """The trace header that it runs under."""
    id: str
    chain: int
    """How often its chain has invoked the function, this time included."""


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation: the handler's answer or an error, both JSON."""

    payload: bytes
    failed: bool
    duration_ms: float
    init_ms: float
    """0 in an environment that was there already."""
    billed_ms: int


class Pool:
    """Runs invocations of `function`."""

    def __init__(
        self,
        function: Function,
        place: Place,
        rules: Rules,
        concurrency: Concurrency,
        figures: Figures,
        output: Output,
    ) -> None:
        self.function = function
        self._place = place
        self._rules = rules
        self._concurrency = concurrency
        self._figures = figures
        self._output = output
        self._environments: set[Environment] = set()
        self._idle: list[tuple[Environment, asyncio.TimerHandle]] = []
        self._retired = False

    async def invoke(self, request: Request) -> Outcome:
        """Run one invocation to its end. Raises Throttled."""
        with self._admitted():
            return await self._run(request)

    def retire(self) -> None:
        """End every environment, busy ones with their invocation."""
        self._retired = True
        while self._idle:
            environment, timer = self._idle.pop()
            timer.cancel()
            environment.kill()

    @property
    def code(self) -> Path:
        """The folder of the package that it runs."""
        return self._place.code

    @property
    def empty(self) -> bool:
        """It has no process any more."""
        return not self._environments

    async def close(self) -> None:
        """Kill every environment, and wait until it is gone."""
        self.retire()
        for environment in tuple(self._environments):
            environment.kill()
            await environment.ended.wait()

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        try:
            self._concurrency.enter(self.function.name)
        except Throttled:
            self._figures.throttles += 1
            raise
        self._figures.busy += 1
        self._figures.most_busy = max(self._figures.most_busy, self._figures.busy)
        try:
            yield
        finally:
            self._figures.busy -= 1
            self._concurrency.leave(self.function.name)

    async def _run(self, request: Request) -> Outcome:
        environment = self._take()
        init_s = 0.0
        if environment is None:
            environment, init_s = await self._start()
        self._output.line(f"START RequestId: {request.id} Version: $LATEST")
        began = time.monotonic()
        status = ""
        try:
            if environment is None:
                # Lambda tries a failed start again, in the time of the invocation.
                environment = self._new()
                await environment.start(self.function.timeout_s)
            answer = await environment.invoke(
                request.id, request.event, request.trace, self.function.timeout_s - (time.monotonic() - began)
            )
            ended = environment.answered_at
            if answer.too_large:
                answer = _error("Function.ResponseSizeTooLarge", _TOO_LARGE)
        except TimedOut:
            ended, status = began + self.function.timeout_s, "timeout"
            message = f"Task timed out after {self.function.timeout_s:.2f} seconds"
            answer = _error("Sandbox.Timedout", f"RequestId: {request.id} Error: {message}")
            self._output.line(f"{_stamp()} {request.id} {message}\n")
            self._figures.timeouts += 1
        except RuntimeEnded as failure:
            ended, status = time.monotonic(), "error\tError Type: Runtime.ExitError"
            answer = _error("Runtime.ExitError", f"RequestId: {request.id} Error: {failure}")
            self._output.line(f"RequestId: {request.id} Error: {failure}\nRuntime.ExitError")
        except InitRefused as refusal:
            ended, answer = time.monotonic(), refusal.answer
        assert environment is not None
        outcome = _outcome(answer, ended - began, init_s)
        self._account(request, environment, outcome, status)
        await self._give(environment)
        return outcome

    def _take(self) -> Environment | None:
        """The idle environment that was used last."""
        while self._idle:
            environment, timer = self._idle.pop()
            timer.cancel()
            if environment.alive:
                return environment
        return None

    async def _give(self, environment: Environment) -> None:
        """The environment has nothing to do."""
        if not environment.alive or self._retired:
            environment.kill()
            await environment.ended.wait()
            return
        timer = asyncio.get_running_loop().call_later(self._rules.idle_s, self._reap, environment)
        self._idle.append((environment, timer))

    def _reap(self, environment: Environment) -> None:
        self._idle = [entry for entry in self._idle if entry[0] is not environment]
        environment.kill()

    def _new(self) -> Environment:
        environment = Environment(self.function, self._place, self._output, self._ended)
        self._environments.add(environment)
        self._figures.environments += 1
        return environment

    def _ended(self, environment: Environment) -> None:
        self._environments.discard(environment)
        self._figures.environments -= 1

    async def _start(self) -> tuple[Environment | None, float]:
        """A new environment, None when it did not become ready; and how long that took, in seconds."""
        self._figures.cold_starts += 1
        environment = self._new()
        began = time.monotonic()
        try:
            await environment.start(self._rules.init_s)
        except EnvironmentFailed as failure:
            took = time.monotonic() - began
            status = "timeout" if isinstance(failure, TimedOut) else "error"
            self._output.line(
                f"INIT_REPORT Init Duration: {took * 1000:.2f} ms\tPhase: init\tStatus: {status}"
            )
            await environment.ended.wait()
            return None, took
        return environment, time.monotonic() - began

    def _account(self, request: Request, environment: Environment, outcome: Outcome, status: str) -> None:
        figures = self._figures
        figures.invocations += 1
        figures.errors += outcome.failed
        figures.billed_ms += outcome.billed_ms
        figures.init_ms += outcome.init_ms
        figures.max_rss_bytes = max(figures.max_rss_bytes, environment.max_rss_bytes)
        parts = [
            f"REPORT RequestId: {request.id}",
            f"Duration: {outcome.duration_ms:.2f} ms",
            f"Billed Duration: {outcome.billed_ms} ms",
            f"Memory Size: {self.function.memory_mb} MB",
            f"Max Memory Used: {math.ceil(environment.max_rss_bytes / 1024 / 1024)} MB",
        ]
        if outcome.init_ms:
            parts.append(f"Init Duration: {outcome.init_ms:.2f} ms")
        if status:
            parts.append(f"Status: {status}")
        self._output.line("\n".join((f"END RequestId: {request.id}", "\t".join(parts))))


_TOO_LARGE: Final = f"Response payload size exceeded maximum allowed payload size ({MAX_ANSWER_BYTES} bytes)."


def _outcome(answer: Answer, duration_s: float, init_s: float) -> Outcome:
    duration_ms, init_ms = duration_s * 1000, init_s * 1000
    return Outcome(answer.payload, answer.failed, duration_ms, init_ms, math.ceil(duration_ms + init_ms))


def _error(kind: str, message: str) -> Answer:
    return Answer(msgspec.json.encode({"errorType": kind, "errorMessage": message}), failed=True)


def _stamp() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
