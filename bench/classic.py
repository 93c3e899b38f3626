"""The classic's worst case: many clients within a second, each with a job of ten seconds.

Bide is asked by 1,000 clients in quick mode and by 50 in Lambda mode, and so is a Flask
server that does the jobs within its requests, on fifty threads. All the while somebody
else asks for something trivial: an API that answers that late has stopped to respond.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import uvloop

from bench.bed import bed
from bench.child import child
from bench.clients import OVER_SECONDS, Visits
from bench.errors import BenchFailed
from bench.keep_alive import Address, Connection
from bench.line import Goal, Line, at_least, at_most
from bench.peer_environment import NotInstalled, peer_environment
from bench.probe import PER_SECOND, Probed, probed
from bench.running_lambda import API, at_rest, running_lambda
from bench.running_stack import running_stack
from bench.sample import median, percentile, spread
from local.lambda_stack import LambdaStack
from local.ports import LOOPBACK

MANY: Final = 1_000
"""Clients in quick mode."""
FEW: Final = 50
"""Clients in Lambda mode, and threads of the Flask server."""
API_ENVIRONMENTS: Final = 8
"""At most, in Lambda mode."""

ROUNDS: Final = 3
LATEST_MS: Final = 50.0
"""What a submission, or the probe, may take."""

_CAP_SECONDS: Final = 55.0
"""When everybody gives up; not a multiple of the jobs' time, at which some have just had their answer."""
_SPARE_SECONDS: Final = 30.0
_START_SECONDS: Final = 20.0
_SETTLE_SECONDS: Final = 1.0

_LEAVES_SOON: Final = {"BIDE_IDLE_SECONDS": "0.1"}
"""So that no worker is awake when the next round begins."""
_FIRST_RING_MS: Final = 100.0
"""An environment that takes longer to ring has loaded boto3 for it, and will not again."""
_QUICK_RINGS: Final = 20
_MOST_RINGS: Final = 200


class Site(NamedTuple):
    """Where the clients go."""

    url: str
    key: str = ""
    inline: bool = False
    """Whether the answer to a job is its result."""
    note: str = ""
    """What state it is in."""


class Outcome(NamedTuple):
    """One round."""

    visits: Visits
    probed: Probed

    @property
    def done(self) -> int:
        """Clients that have the right result."""
        return sum(visit.done_ms is not None for visit in self.visits.clients)

    @property
    def answers_ms(self) -> list[float]:
        """When each submission was accepted; of those that never were, when everybody gave up."""
        latest_ms = self.visits.seconds * 1000
        return [
            latest_ms if visit.answered_ms is None else visit.answered_ms for visit in self.visits.clients
        ]

    @property
    def last_s(self) -> float:
        """From when the first client began until the last result that came."""
        apart_ms = OVER_SECONDS * 1000 / len(self.visits.clients)
        there = [v.number * apart_ms + v.done_ms for v in self.visits.clients if v.done_ms is not None]
        return max(there, default=0.0) / 1000

    @property
    def failed_probes(self) -> int:
        return len(self.probed.failures) + self.probed.unanswered


class Contender(NamedTuple):
    """A server, and how many clients come at once."""

    name: str
    clients: int
    rounds: int
    serve: Callable[[], AbstractAsyncContextManager[Site]]
    held: bool
    """Whether it is held to the goals."""


def measure(quick: bool) -> Iterator[Line]:
    seconds, many = (2.0, 200) if quick else (10.0, MANY)
    rounds = 1 if quick else ROUNDS
    yield from _run(Contender("Bide, quick mode", many, rounds, _quick_mode, True), seconds)
    yield from _run(Contender("Bide, Lambda mode", FEW, rounds, _lambda_mode, True), seconds)
    try:
        with peer_environment("flask") as python:
            for clients in (many, FEW):
                contender = Contender(
                    f"Flask, {clients:,} clients", clients, 1, lambda: _flask(python), False
                )
                yield from _run(contender, seconds)
    except NotInstalled as error:
        raise BenchFailed(f"Flask could not be installed: {error}") from error


def _run(contender: Contender, seconds: float) -> Iterator[Line]:
    yield from _lines(contender, seconds, *uvloop.run(_rounds(contender, seconds)))


async def _rounds(contender: Contender, seconds: float) -> tuple[list[Outcome], str]:
    cap = _CAP_SECONDS if seconds * contender.clients / FEW > _CAP_SECONDS else seconds + _SPARE_SECONDS
    async with contender.serve() as site:
        await _visit(site, contender.clients, 0.0, _CAP_SECONDS)  # warm up
        outcomes = []
        for _ in range(contender.rounds):
            await asyncio.sleep(_SETTLE_SECONDS)
            async with probed(site.url, "/healthz") as found:
                visits = await _visit(site, contender.clients, seconds, cap)
            outcomes.append(Outcome(visits, found))
    return outcomes, site.note


def _lines(contender: Contender, seconds: float, outcomes: list[Outcome], note: str) -> Iterator[Line]:
    clients, held = contender.clients, contender.held
    done = min(outcome.done for outcome in outcomes)
    visits = [visit for outcome in outcomes for visit in outcome.visits.clients]
    again = sorted(visit.again for visit in visits if visit.again)
    problems = [visit.problem for visit in visits if visit.problem]
    answers = [outcome.answers_ms for outcome in outcomes]
    probes = [outcome.probed.latencies_ms for outcome in outcomes]
    failures = [failure for outcome in outcomes for failure in outcome.probed.failures]
    unfinished = done < clients
    bound = (
        "at least: who had no answer when everybody gave up, counts as answered then" if unfinished else ""
    )

    def line(name: str, values: list[float], unit: str, goal: Goal | None = None, note: str = "") -> Line:
        return Line(
            "classic", name, median(values), unit, goal if held else None,
            spread(values) if len(values) > 1 else None, note, contender.name,
        )  # fmt: skip

    yield line(
        "clients with their result", [done], "", at_least(clients),
        f"of {clients:,}, each with a job of {seconds:g} s, all within {OVER_SECONDS:g} s; "
        f"{len(outcomes)} rounds, the worst one" + (f"; first problem: {problems[0]}" if problems else ""),
    )  # fmt: skip
    yield line("answer, p50", [percentile(values, 50) for values in answers], "ms", note=bound)
    yield line(
        "answer, p99", [percentile(values, 99) for values in answers], "ms", at_most(LATEST_MS), bound or note
    )
    yield line(
        "throttled", [len(again)], "", note=f"answered {', '.join(sorted(set(again)))} first" if again else ""
    )
    waiting = sum(outcome.probed.unanswered for outcome in outcomes)
    yield line(
        "probe, p99", [percentile(values, 99) for values in probes], "ms", at_most(LATEST_MS),
        "at least: the last ones were never answered" if waiting else
        f"GET /healthz {PER_SECOND} times a second throughout, {sum(map(len, probes)):,} in all",
    )  # fmt: skip
    yield line(
        "probes failed", [sum(outcome.failed_probes for outcome in outcomes)], "", at_most(0),
        "; ".join(filter(None, (f"{waiting} without an answer" if waiting else "", *failures[:1]))),
    )  # fmt: skip
    last = [outcome.last_s for outcome in outcomes]
    if unfinished and done:
        estimate = f"extrapolated: {done:,} of {clients:,} had their result after {last[0]:.1f} s"
        yield line("last result", [last[0] * clients / done], "s", note=estimate)
    else:
        yield line("last result", last, "s")


# --- servers --------------------------------------------------------------------------------


@asynccontextmanager
async def _quick_mode() -> AsyncIterator[Site]:
    with bed() as store:
        async with running_stack(store, "bench.tasks") as url:
            yield Site(url)


@asynccontextmanager
async def _lambda_mode() -> AsyncIterator[Site]:
    with bed() as store:
        async with running_lambda(store, _LEAVES_SOON, api_concurrency=API_ENVIRONMENTS) as stack:
            site = Site(stack.url, stack.key)
            await _visit(site, FEW, 0.0, _CAP_SECONDS)
            first_ms = await _ring_all(stack)
            yield site._replace(
                note=f"no worker awake; every environment of the API has rung before, which at the first "
                f"time took up to {first_ms:.0f} ms"
            )
            if (most := stack.emulator.account(API).most_busy) > API_ENVIRONMENTS:
                raise BenchFailed(f"{most} environments of the API were at work")


async def _ring_all(stack: LambdaStack) -> float:
    """Have each environment of the API start a worker once; returns the milliseconds of the longest time.

    The latest used one gets the next request. So let all of them answer at once, which mixes them, and
    see whose turn it is to ring, until that has long been none for which it was the first time.
    """
    connections = [await Connection.open(Address(stack.url)) for _ in range(API_ENVIRONMENTS)]
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {stack.key}"}
    body = b'{"name":"pause","args":{"seconds":0,"value":0}}'
    longest_ms, quick = 0.0, 0
    for _ in range(_MOST_RINGS):
        await asyncio.gather(*(each.ask("GET", "/v1/server", headers) for each in connections))
        await at_rest(stack)
        rang = time.monotonic()
        await connections[0].ask("POST", "/v1/tasks", headers, body)
        took_ms = (time.monotonic() - rang) * 1000
        longest_ms = max(longest_ms, took_ms)
        quick = quick + 1 if took_ms < _FIRST_RING_MS else 0
        if quick == _QUICK_RINGS:
            break
    for connection in connections:
        connection.close()
    return longest_ms


@asynccontextmanager
async def _flask(python: Path) -> AsyncIterator[Site]:
    async with child("the Flask server", str(python), "-B", "-m", "bench.classic_flask") as server:
        port = await server.first_line(_START_SECONDS)
        if not port:
            raise BenchFailed("the Flask server did not start; its complaint is above")
        yield Site(f"http://{LOOPBACK}:{port}", inline=True)


# --- clients --------------------------------------------------------------------------------


async def _visit(site: Site, clients: int, seconds: float, patience_s: float) -> Visits:
    """Have a process of clients do their jobs. Raises BenchFailed."""
    command = (
        sys.executable, "-m", "bench.clients", site.url,
        "--clients", str(clients), "--seconds", str(seconds), "--patience", str(patience_s),
        f"--key={site.key}", *(["--inline"] if site.inline else []),
    )  # fmt: skip
    async with child("the process of clients", *command) as visiting:
        return msgspec.json.decode(await visiting.output(patience_s + _SPARE_SECONDS), type=Visits)
