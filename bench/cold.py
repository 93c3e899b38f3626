"""Cold starts on the emulator: from the start of an environment to its first answer, against a bare app.

The bare app has one route and is packed by plain `chalice package`, as a newcomer would have it.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from bench import first_post, imports
from bench.bed import PREFIX, Bed, bed, submission
from bench.cold_packages import bare_package, our_package
from bench.errors import BenchFailed
from bench.line import Line, at_most
from bench.sample import median, spread
from local.emulator.emulator import Emulator
from local.emulator.function import Function

_API: Final = "app.app"
_WORKER: Final = "app.drain"
_DRAIN_FUNCTION: Final = "bide-bench-drain"
_TIMEOUT_S: Final = 60.0
_MEMORY_MB: Final = 512

_ROUNDS: Final = 15
_QUICK_ROUNDS: Final = 5
_WARM: Final = 300


class Packages(NamedTuple):
    """Zip files."""

    bare: Path
    plain: Path
    prepared: Path


def measure(quick: bool) -> Iterator[Line]:
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    with tempfile.TemporaryDirectory(prefix="bide-bench-cold-") as folder, bed() as store:
        ours = our_package(Path(folder) / "ours")
        made = Packages(bare_package(Path(folder) / "bare"), ours.plain, ours.prepared)
        times, warm = asyncio.run(_measure(made, store, rounds))
        tables = [
            imports.table("first POST", made.prepared, imports.POST, _variables(store)),
            imports.table("worker", made.prepared, imports.DRAIN, _of_worker(store)),
        ]
    yield from _lines(times, rounds)
    yield Line(
        "cold", "warm submit, p50", median(warm), "ms", at_most(3),
        note=f"{len(warm)} requests, the runtime client and its way here included",
    )  # fmt: skip
    print("\n".join(tables), flush=True)


async def _measure(made: Packages, store: Bed, rounds: int) -> tuple[dict[str, list[float]], list[float]]:
    async with _emulator() as emulator:
        ringing = {
            **_variables(store),
            "BIDE_WAKE": "invoke",
            "BIDE_DRAIN_FUNCTION": _DRAIN_FUNCTION,
            "AWS_ENDPOINT_URL_LAMBDA": emulator.url,
        }
        # Nobody comes when it is called: the caller alone is looked at.
        emulator.deploy([_function(_DRAIN_FUNCTION, made.bare, _API, {})])
        emulator.dispatcher.reserve(_DRAIN_FUNCTION, 0)

        async def ring() -> float:
            store.clear()  # nobody is awake, nor about to be
            return await _first_answer(emulator, made.prepared, ringing)

        contenders: dict[str, Callable[[], Awaitable[float]]] = {
            "bare": lambda: _first_answer(emulator, made.bare, {}),
            "plain": lambda: _first_answer(emulator, made.plain, _variables(store)),
            "http": lambda: _first_answer(emulator, made.prepared, _variables(store)),
            "ringing": ring,
            "worker": lambda: _first_task(emulator, made.prepared, store),
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(rounds + 1):
            names = list(contenders)
            for name in names if number % 2 else reversed(names):
                times[name].append(await contenders[name]())
        if (rung := emulator.account(_DRAIN_FUNCTION).events) < rounds:
            raise BenchFailed(f"{rung} calls in {rounds} rounds: who should, did not ring")
        warm = await _warm(emulator, made.prepared, _variables(store))
    # The first round fills the page cache.
    return {name: values[1:] for name, values in times.items()}, warm


def _lines(times: dict[str, list[float]], rounds: int) -> Iterator[Line]:
    """Each ratio is the median of the rounds' own ratios: what slows a round down slows both of its sides."""

    def compared(name: str, label: str, bound: float | None = None, note: str = "") -> Line:
        ratios = [own / bare for own, bare in zip(times[name], times["bare"], strict=True)]
        goal = None if bound is None else at_most(bound)
        return Line("cold", label, median(ratios), "x", goal, spread(ratios), note)

    def taken(name: str, label: str) -> Line:
        return Line("cold", label, median(times[name]), "ms", spread=spread(times[name]))

    note = f"{rounds} rounds in turn"
    yield compared("http", "first POST against a bare app's", 2.5, note)
    yield compared("plain", "first POST as Chalice packs it")
    yield compared("ringing", "first POST that rings for a worker", note="boto3 and a call of Lambda")
    yield compared("worker", "worker to its first task, against the same", 3, note)
    yield taken("bare", "a bare app, p50")
    yield taken("http", "first POST, p50")
    yield taken("worker", "worker to its first task, p50")


@asynccontextmanager
async def _emulator() -> AsyncIterator[Emulator]:
    """Nothing behind it: who asks for anything but an invocation is refused."""
    async with Emulator(upstream="http://127.0.0.1:9") as emulator:
        yield emulator


def _function(name: str, code: Path, handler: str, variables: dict[str, str]) -> Function:
    return Function(name, handler, code, _MEMORY_MB, _TIMEOUT_S, variables)


def _variables(store: Bed) -> dict[str, str]:
    digest = hashlib.sha256(first_post.KEY.encode()).hexdigest()
    return {"BIDE_REDIS_URL": store.url, "BIDE_PREFIX": PREFIX, "BIDE_API_KEY_HASHES": digest}


def _of_worker(store: Bed) -> dict[str, str]:
    """Of one that leaves when it has nothing to do; in Lambda its handler is named there, too."""
    return _variables(store) | {"BIDE_IDLE_SECONDS": "0", "BIDE_WORKERS_MIN": "0", "_HANDLER": _WORKER}


async def _first_answer(emulator: Emulator, code: Path, variables: dict[str, str]) -> float:
    """Milliseconds from the request to the answer of a fresh environment."""
    emulator.deploy([_function("cold", code, _API, variables)])  # a new version has no environment yet
    began = time.monotonic()
    outcome = await emulator.dispatcher.invoke("cold", msgspec.json.encode(first_post.event()))
    took = time.monotonic() - began
    answer: dict[str, Any] = msgspec.json.decode(outcome.payload)
    if answer.get("statusCode") not in (200, 202):
        raise BenchFailed(f"a first request was answered so: {answer}")
    return took * 1000


async def _first_task(emulator: Emulator, code: Path, store: Bed) -> float:
    """Milliseconds from the call to the first line of a task that waits for the worker."""
    store.clear()
    submitting = store.store()
    id = submitting.submit(submission("clock")).id
    variables = _of_worker(store)
    del variables["_HANDLER"]
    emulator.deploy([_function("cold", code, _WORKER, variables)])
    began = time.monotonic()
    await emulator.dispatcher.invoke("cold", b"{}")
    result: Any = store.outcome(id.key)
    submitting.client.close()
    if result is None:
        raise BenchFailed("the worker left its task undone")
    return int(result) / 1e6 - began * 1000


async def _warm(emulator: Emulator, code: Path, variables: dict[str, str]) -> list[float]:
    """Milliseconds of each of many answers of one environment."""
    await _first_answer(emulator, code, variables)
    times, event = [], msgspec.json.encode(first_post.event())
    for _ in range(_WARM):
        asked = time.monotonic()
        await emulator.dispatcher.invoke("cold", event)
        times.append((time.monotonic() - asked) * 1000)
    return times
