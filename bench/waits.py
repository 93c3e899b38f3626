"""Ten thousand tasks that wait at once in one worker process: time, memory, memory per wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from bench.bed import Bed, bed, environ, submission
from bench.errors import BenchFailed
from bench.footprint import Footprint
from bench.line import Line, at_most
from bide.settings import DEFAULT_QUEUE

TASKS: Final = 10_000
_SPARE_SECONDS: Final = 30.0
_START_SECONDS: Final = 15.0
_SETTLED_SECONDS: Final = 1.0
"""How long an idle worker is left alone before its memory counts."""

_SETTINGS: Final = {"BIDE_CONCURRENCY": "1000", "BIDE_HOT_WAITS": str(TASKS)}
"""A task that waits takes no place of the concurrency."""


def measure(quick: bool) -> Iterator[Line]:
    seconds = 5.0 if quick else 10.0
    with bed() as store:
        settings = {**environ(store.url, "bench.tasks"), **_SETTINGS}
        worker = Footprint([sys.executable, "-m", "bench.worker"], settings, go=True, quiet=True)
        try:
            store.wait_for_listener(1, _START_SECONDS)
            time.sleep(_SETTLED_SECONDS)
            idle = worker.resident_bytes()
            wall, waiting = _wait(store, worker, seconds)
            results = list(store.outcomes().values())
        finally:
            worker.leave()
    _check(results)
    note = f"{TASKS:,} tasks of {seconds:g} s each"
    yield Line(
        "waits", f"{TASKS:,} tasks that each wait {seconds:g} s, wall", wall, "s", at_most(seconds + 2),
        note="one worker process, from the first submission to the last result; every result checked",
    )  # fmt: skip
    yield Line("waits", "peak RSS of the worker", worker.peak_bytes / 2**20, "MiB", at_most(250), note=note)
    yield Line(
        "waits", "memory per waiting task", (waiting - idle) / TASKS / 1024, "KiB", at_most(4),
        note=f"growth of RSS: {idle / 2**20:.1f} MiB idle, {waiting / 2**20:.1f} MiB while all wait",
    )  # fmt: skip
    yield Line("waits", "worker CPU", worker.cpu_s, "s", note="start and imports included")


def _wait(store: Bed, worker: Footprint, seconds: float) -> tuple[float, int]:
    """Seconds until all results are there, and the worker's memory while all tasks wait."""
    submitting = store.store()
    started = time.monotonic()
    for value in range(TASKS):
        submitting.submit(submission("pause", f'{{"seconds":{seconds},"value":{value}}}'))
    time.sleep(max(0.0, started + seconds * 0.75 - time.monotonic()))
    waiting = worker.resident_bytes()
    leased = store.client.zcard(store.keys.slot(DEFAULT_QUEUE, ("leased",))[0])
    if leased != TASKS or store.results():
        raise BenchFailed(f"{leased} of {TASKS} tasks wait in the worker after {seconds * 0.75:g} s")
    ended = store.wait_for_results(TASKS, seconds + _SPARE_SECONDS, 0.05)
    submitting.client.close()
    return ended - started, waiting


def _check(results: list[Any]) -> None:
    if sorted(results) != list(range(TASKS)):
        raise BenchFailed("a task that waited has a wrong result")
