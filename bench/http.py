"""The HTTP API of the whole stack, as `make up` runs it: how many submissions a second, and how fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from bench.bed import Bed, bed
from bench.errors import BenchFailed
from bench.line import Line, at_least, at_most
from bench.load import CONNECTIONS, Load
from bench.running_stack import generate, running_stack
from bench.sample import median, percentile, spread

_FINISH_SECONDS: Final = 30.0
"""How long the workers may take to finish what was submitted."""


def measure(quick: bool) -> Iterator[Line]:
    with bed() as store:
        yield from asyncio.run(_with_stack(store, quick))


async def _with_stack(store: Bed, quick: bool) -> list[Line]:
    async with running_stack(store, "workers.tasks") as url:
        return await _measure(_Api(url, store), quick)


class _Api:
    """The running API, loaded round by round."""

    def __init__(self, url: str, store: Bed) -> None:
        self._url = url
        self._store = store
        self._accepted = 0

    async def load(self, seconds: float, rate: float | None = None) -> tuple[Load, float]:
        """One round; returns what came of it, and the seconds that the workers had then still to do.

        Raises BenchFailed unless every submission was accepted and has the right result.
        """
        more = [] if rate is None else ["--rate", str(rate)]
        load = await generate(self._url, "--seconds", str(seconds), "--first", str(self._accepted), *more)
        answered = time.monotonic()
        self._accepted += len(load.accepted)
        finished = await asyncio.to_thread(
            self._store.wait_for_results, self._accepted, _FINISH_SECONDS, 0.01
        )
        await asyncio.to_thread(self._check)
        return load, finished - answered

    def _check(self) -> None:
        """Every number that was submitted has come back as a result."""
        if sorted(self._store.outcomes().values()) != list(range(self._accepted)):
            raise BenchFailed("a task that was submitted over HTTP has a wrong result")


async def _measure(api: _Api, quick: bool) -> list[Line]:
    rounds, seconds = 3, 1.5 if quick else 6.0
    await api.load(1.0)  # warm up
    saturated = [await api.load(seconds) for _ in range(rounds)]
    rates = [len(load.accepted) / load.seconds for load, _ in saturated]
    behind_ms = [behind * 1000 for _, behind in saturated]
    half = median(rates) / 2
    paced = [(await api.load(seconds, half))[0].latencies_ms for _ in range(rounds)]
    p50, p99 = ([percentile(latencies, p) for latencies in paced] for p in (50, 99))
    note = f"{rounds} x {seconds:g} s, {CONNECTIONS} connections"
    return [
        Line(
            "http", "submits at saturation", median(rates), "/s", at_least(1000), spread(rates),
            f"{note}; every result checked",
        ),
        Line("http", "last result after the last answer", max(behind_ms), "ms", spread=spread(behind_ms)),
        Line(
            "http", "submit at half of that, p50", median(p50), "ms", at_most(4), spread(p50),
            f"{note}, open loop of {half:,.0f}/s",
        ),
        Line("http", "submit at half of that, p99", median(p99), "ms", at_most(25), spread(p99)),
    ]  # fmt: skip
