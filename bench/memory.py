"""What the store's memory is taken up by: tasks that wait for a worker, and tasks that have finished."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Final

from bench.bed import Bed, bed, submission
from bench.errors import BenchFailed
from bench.filling import fill, finish
from bench.line import Line, at_most
from bide.exchange import Settlement
from bide.settings import DEFAULT_QUEUE
from bide.state import State
from bide.tally import GAUGE

_PAYLOAD: Final = '{"value":"' + "x" * 88 + '"}'
_RESULT: Final = b'"' + b"y" * 98 + b'"'
_BYTES: Final = 100
"""Of each, as JSON."""
_TIMEOUT_SECONDS: Final = 120.0


def measure(quick: bool) -> Iterator[Line]:
    tasks = 20_000 if quick else 100_000
    if (len(_PAYLOAD), len(_RESULT)) != (_BYTES, _BYTES):
        raise BenchFailed("the payload or the result is not as long as it should be")
    task = submission("noop", _PAYLOAD)
    with bed() as store:
        asyncio.run(_warm(store))
        before = _used(store)
        fill(store.url, store.keys, tasks, lambda _: task)
        pending = _used(store) - before
        _check(store, State.READY, tasks)
        asyncio.run(finish(store.url, store.keys, DEFAULT_QUEUE, tasks, _succeeded))
        finished = _used(store) - before
        _check(store, State.SUCCEEDED, tasks)
    note = f"{tasks:,} tasks; the store's used_memory, all indexes included"
    yield Line(
        "memory",
        f"a pending task, {_BYTES} bytes of arguments",
        pending / tasks,
        "B",
        at_most(330),
        note=note,
    )
    yield Line(
        "memory", f"the same finished, {_BYTES} bytes of result", finished / tasks, "B", at_most(450),
        note="the same tasks, with when they started and finished and what they cost",
    )  # fmt: skip


def _succeeded(_: int) -> tuple[Settlement, bytes]:
    return Settlement.SUCCEEDED, _RESULT


async def _warm(store: Bed) -> None:
    """Have the scripts loaded and connections made, which take memory of their own; then empty the store."""
    fill(store.url, store.keys, 100, lambda _: submission("noop", _PAYLOAD))
    await finish(store.url, store.keys, DEFAULT_QUEUE, 100, _succeeded)
    store.clear()


def _used(store: Bed) -> int:
    """Bytes, once the store rests: it neither writes its file anew nor moves entries between tables."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    before = -1
    while time.monotonic() < deadline:
        info: Any = store.client.info()
        rests = not (info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])
        used = int(info["used_memory"]) - int(info["mem_clients_normal"]) - int(info["mem_aof_buffer"])
        if rests and abs(used - before) < 4_096:
            return used
        before = used
        time.sleep(0.3)
    raise BenchFailed(f"the store did not come to rest within {_TIMEOUT_SECONDS:g} s")


def _check(store: Bed, state: State, tasks: int) -> None:
    """Every task is in this state."""
    ready, stats = store.keys.slot(DEFAULT_QUEUE, ("ready", "stats"))
    gauge: Any = store.client.hget(stats, f"{GAUGE}{state}") or 0
    found: Any = store.client.zcard(ready) if state is State.READY else int(gauge)
    if found != tasks:
        raise BenchFailed(f"{found:,} tasks are {state}, not {tasks:,}")
