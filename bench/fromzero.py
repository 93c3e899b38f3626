"""From zero: how long a task waits for a worker that has to be started first, on the emulator.

Against the worker's cold start alone: from the call of the drain function, on no
environment, to the first line of a task that is there already. Then the same with an
idle environment, which is frozen; and with a worker awake, under a steady load.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import uvloop

from bench.bed import Bed, bed, submission
from bench.errors import BenchFailed
from bench.keep_alive import Address, Connection
from bench.line import Goal, Line, at_most
from bench.load import CONNECTIONS
from bench.running_lambda import API, DRAIN, Meter, at_rest, evict, running_lambda
from bench.running_stack import generate
from bench.sample import median, percentile, spread
from bide.ids import parse_id
from local.lambda_stack import LambdaStack

RATE: Final = 50
"""Submissions a second in steady load."""
STRETCHES: Final = 3

_WARM_UP: Final = 6
"""Rounds that do not count: an environment of the API that has rung once has boto3 loaded."""
_WARM_UP_SECONDS: Final = 3.0
_RESULT_SECONDS: Final = 10.0
_ASK_SECONDS: Final = 0.01
_CLOCK: Final = submission("clock")
_STAMP: Final = '{"name":"stamp","args":{"value":%d}}'
_DURATION: Final = re.compile(r"^REPORT RequestId: \S+\tDuration: ([0-9.]+) ms", re.MULTILINE)
"""Of an invocation, in Lambda's own log."""

_LEAVES_AT_ONCE: Final = {"BIDE_IDLE_SECONDS": "0"}
"""A worker with nothing to do leaves, so that the next round finds none."""


class Start(NamedTuple):
    """One round; milliseconds."""

    first_line: float
    """From the submission, or from the call of the drain function, to the first line of the task."""
    init: float
    """Of it: from the start of the environment's process until it asks for its first event."""
    answered: float = 0.0
    """Until the submission was answered."""
    handler: float = 0.0
    """Of that: in the API's handler, the call of Lambda included."""


def measure(quick: bool) -> Iterator[Line]:
    rounds = 5 if quick else 20
    with bed() as store:
        zero, cold, warm = uvloop.run(_starts(store, rounds))
        yield from _lines(zero, cold, warm)
    with bed() as store:
        stretches, seconds = (1, 5.0) if quick else (STRETCHES, 20.0)
        yield from _steady_lines(uvloop.run(_steady(store, stretches, seconds)), seconds)


def _lines(zero: list[Start], cold: list[Start], warm: list[Start]) -> Iterator[Line]:
    def of(starts: list[Start], name: str) -> list[float]:
        return [getattr(start, name) for start in starts]

    def printed(name: str, values: list[float], note: str = "") -> Line:
        return Line("fromzero", name, median(values), "ms", spread=spread(values), note=note)

    ratios = [ours.first_line / theirs.first_line for ours, theirs in zip(zero, cold, strict=True)]
    yield Line(
        "fromzero", "submit to first line, against the worker's cold start",
        median(ratios), "x", at_most(1.3), spread(ratios),
        f"{len(zero)} rounds in turn; no worker environment there, the API warm",
    )  # fmt: skip
    yield printed("from zero, submit to first line, p50", of(zero, "first_line"))
    yield printed(
        "worker's cold start, p50", of(cold, "first_line"),
        "call of the drain function to first line of a task that is there",
    )  # fmt: skip
    yield printed("of it: start of the process until it asks for an event", of(cold, "init"))
    rest = [start.first_line - start.init for start in cold]
    yield printed("of it: the rest, up to the first exchange and first line", rest)
    yield printed("from zero: submission answered, p50", of(zero, "answered"), "rings, and waits for that")
    yield printed("of it: the API's handler", of(zero, "handler"), "with its call of Lambda")
    yield printed("submit to first line, a frozen environment, p50", of(warm, "first_line"))


def _steady_lines(steady: list[Steady], seconds: float) -> Iterator[Line]:
    def line(name: str, of: str, percent: float, goal: Goal | None = None, note: str = "") -> Line:
        values = [percentile(getattr(stretch, of), percent) for stretch in steady]
        name = f"steady load: {name}, p{percent:g}"
        return Line("fromzero", name, median(values), "ms", goal, spread(values), note)

    count = sum(len(stretch.first_line) for stretch in steady)
    what = f"{count:,} over HTTP, {RATE}/s at random, {len(steady)} x {seconds:g} s, one worker awake"
    yield line("submit to first line", "first_line", 50, note=what)
    yield line("submit to first line", "first_line", 99, at_most(20))
    yield line("submit to its answer", "answered", 50)
    yield line("submit to its answer", "answered", 99)
    yield line("the API's handler", "handler", 50)


async def _starts(store: Bed, rounds: int) -> tuple[list[Start], list[Start], list[Start]]:
    """From zero, cold starts and from a frozen environment, in turn."""
    async with running_lambda(store, _LEAVES_AT_ONCE) as stack:
        caller = _Caller(store, stack)
        await caller.open()
        found: tuple[list[Start], list[Start], list[Start]] = ([], [], [])
        kinds = (caller.from_zero, caller.cold, caller.frozen)
        for number in range(_WARM_UP + rounds):
            order = list(zip(kinds, found, strict=True))
            for kind, starts in order if number % 2 else (*order[1::-1], order[2]):
                starts.append(await kind())
        caller.close()
    zero, cold, warm = (starts[_WARM_UP:] for starts in found)
    return zero, cold, warm


class _Caller:
    """Submits a task, and learns when it began."""

    def __init__(self, store: Bed, stack: LambdaStack) -> None:
        self._store = store
        self._submitting = store.store()
        self._stack = stack
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {stack.key}"}

    async def open(self) -> None:
        self._connection = await Connection.open(Address(self._stack.url))

    def close(self) -> None:
        self._connection.close()
        self._submitting.client.close()

    async def from_zero(self) -> Start:
        """No environment, and over HTTP."""
        await self._rest()
        evict(self._stack)
        start = await self._over_http()
        if not start.init:
            raise BenchFailed("a worker's environment was there, where none should be")
        return start

    async def frozen(self) -> Start:
        """An environment that has just come to rest, and over HTTP."""
        await self._rest()
        start = await self._over_http()
        if start.init:
            raise BenchFailed("a worker's environment was started, where one should be there")
        return start

    async def cold(self) -> Start:
        """No environment, the task in the store already, and nobody in between."""
        await self._rest()
        evict(self._stack)
        id = await asyncio.to_thread(lambda: self._submitting.submit(_CLOCK).id.key)
        before_ms, called = self._init_ms(), time.monotonic_ns()
        invocation = asyncio.create_task(self._stack.emulator.dispatcher.invoke(DRAIN, b'{"hops":0}'))
        first_line = await self._first_line(id, called)
        outcome = await invocation
        if outcome.failed:
            raise BenchFailed(f"the drain function failed: {outcome.payload.decode()}")
        return Start(first_line, self._init_ms() - before_ms)

    async def _over_http(self) -> Start:
        before_ms, called = self._init_ms(), time.monotonic_ns()
        body = b'{"name":"clock"}'
        reply = await self._connection.ask("POST", "/v1/tasks", self._headers, body)
        answered = time.monotonic_ns()
        if reply.status != 202:
            raise BenchFailed(f"a submission was answered {reply.status}: {reply.body.decode()}")
        handler = _handler_ms(self._stack)[-1]
        id = parse_id(msgspec.json.decode(reply.body)["id"])
        assert id is not None
        first_line = await self._first_line(id.key, called)
        await self._rest()
        return Start(first_line, self._init_ms() - before_ms, (answered - called) / 1e6, handler)

    async def _rest(self) -> None:
        await at_rest(self._stack)

    async def _first_line(self, id: bytes, since_ns: int) -> float:
        """Milliseconds until the task began, once it has ended."""
        deadline = time.monotonic() + _RESULT_SECONDS
        while time.monotonic() < deadline:
            found: Any = await asyncio.to_thread(self._store.outcome, id)
            if found is not None:
                return (int(found) - since_ns) / 1e6
            await asyncio.sleep(_ASK_SECONDS)
        raise BenchFailed(f"a task was not done within {_RESULT_SECONDS:g} s")

    def _init_ms(self) -> float:
        return self._stack.emulator.account(DRAIN).init_ms


def _handler_ms(stack: LambdaStack) -> list[float]:
    """What each of the API's latest invocations took, as Lambda reports it."""
    return [float(took) for took in _DURATION.findall(stack.emulator.deployed(API).output.text())]


class Steady(NamedTuple):
    """Milliseconds of each submission."""

    first_line: list[float]
    answered: list[float]
    handler: list[float]


async def _steady(store: Bed, stretches: int, seconds: float) -> list[Steady]:
    """So many stretches of it, through which the same worker stays awake."""
    async with running_lambda(store, api_concurrency=CONNECTIONS) as stack:
        count = 0
        for rate, warm_up_s in ((2, 1.0), (4 * RATE, _WARM_UP_SECONDS)):
            count += len((await generate(stack.url, *_load(stack, count, rate, warm_up_s))).accepted)
            await asyncio.to_thread(store.wait_for_results, count, _RESULT_SECONDS, 0.05)
        meter = Meter(stack)
        found = []
        for _ in range(stretches):
            handled = len(_handler_ms(stack))
            load = await generate(stack.url, *_load(stack, count, RATE, seconds))
            count += len(load.accepted)
            await asyncio.to_thread(store.wait_for_results, count, _RESULT_SECONDS, 0.05)
            found.append((load, _handler_ms(stack)[handled:]))
        busy, left = stack.emulator.account(DRAIN).busy, meter.read().drains
        if (busy, left) != (1, 0):
            raise BenchFailed(f"one worker was to stay awake, but {busy} were there and {left} left")
    began = dict(store.outcomes().values())
    if sorted(began) != list(range(count)):
        raise BenchFailed("a task that was submitted has a wrong result")
    return [
        Steady(
            [began[number] / 1e6 - at * 1000 for number, at in zip(load.accepted, load.since, strict=True)],
            list(load.latencies_ms),
            handler,
        )
        for load, handler in found
    ]


def _load(stack: LambdaStack, first: int, rate: float, seconds: float) -> tuple[str, ...]:
    wanted = ("--rate", str(rate), "--seconds", str(seconds), "--first", str(first))
    return (*wanted, "--body", _STAMP, f"--key={stack.key}")
