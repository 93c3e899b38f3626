"""The same waits on Bide, Celery and arq: many tasks that wait some seconds each and return their number.

All tasks are in the store before the worker starts, as each system's own client submits
them. A run is measured from the start of the worker's process until the last result is
seen; then the worker is told to leave, and what it cost counts up to its exit.
docs/benchmarks.md has the configurations, and why they are what they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from bench.bed import Bed, bed, environ, submission
from bench.errors import BenchFailed
from bench.footprint import Footprint
from bench.line import Line, at_least
from bench.peer_environment import NotInstalled, peer_environment
from local.children import ROOT

MANY: Final = 10_000
PROCESSES_PER_CORE: Final = 16
MOST_PROCESSES: Final = 64
TURNS: Final = 3
"""How many tasks one after another each of those processes gets."""

_CAP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_SUBMIT_SECONDS: Final = 90.0


@dataclass(frozen=True)
class System:
    """A task server, and how it runs the workload."""

    name: str
    tasks: int
    submit: Callable[[Bed, int, float], None]
    """Put that many tasks into the store, each of so many seconds."""
    start: Callable[[Bed], Footprint]
    results: Callable[[Bed], list[int]]
    """What the tasks that are done have returned; read once, at the end."""
    done: Callable[[Bed], int]
    """How many have a result; cheap enough to be asked ten times a second."""
    note: str


@dataclass(frozen=True)
class Outcome:
    """What one run of one system came to."""

    done: int
    wall_s: float
    worker: Footprint


def measure(quick: bool) -> Iterator[Line]:
    many, seconds = (500, 3.0) if quick else (MANY, 10.0)
    missing = ""
    with bed() as store:
        yield from _lines(_bide(many), many, seconds, _run(store, _bide(many), seconds))
        measured = 0
        for peer, systems in (("celery", _celery), ("arq", _arq)):
            try:
                with peer_environment(peer) as python:
                    for system in systems(python, many):
                        yield from _lines(system, many, seconds, _run(store, system, seconds))
                        measured += 1
            except NotInstalled as error:
                missing += f"NOT MEASURED: {peer} could not be installed: {error}. "
    yield Line("peers", "configurations of peers measured", measured, "", at_least(3), note=missing.strip())


def _run(store: Bed, system: System, seconds: float) -> Outcome:
    store.clear()
    system.submit(store, system.tasks, seconds)
    worker = system.start(store)
    try:
        done = 0
        while (wall := time.monotonic() - worker.started) < _CAP_SECONDS and done < system.tasks:
            time.sleep(_POLL_SECONDS)
            done = system.done(store)
    finally:
        worker.leave()
    if done < system.tasks:
        wall = worker.lived_s  # it has finished what it had begun
    results = system.results(store)
    if len(set(results)) != len(results) or not set(results) <= set(range(system.tasks)):
        raise BenchFailed(f"{system.name}: a task has a wrong result")
    if not results:
        raise BenchFailed(f"{system.name}: no task was done within {_CAP_SECONDS:g} s")
    return Outcome(len(results), wall, worker)


def _lines(system: System, many: int, seconds: float, outcome: Outcome) -> Iterator[Line]:
    done, worker = outcome.done, outcome.worker
    wall_note = "from the start of the worker's process to the last result"
    if done < many:
        wall_note = f"extrapolated: {done:,} tasks of {seconds:g} s were done in {outcome.wall_s:.1f} s"
    waited = done * seconds
    for name, value, unit, note in (
        ("tasks done", done, "", f"{system.tasks:,} tasks of {seconds:g} s; {system.note}"),
        (f"wall for {many:,} tasks", outcome.wall_s * many / done, "s", wall_note),
        ("peak RSS", worker.peak_bytes / 2**20, "MiB", f"{worker.processes} processes"),
        ("CPU per 1,000 tasks", worker.cpu_s / done * 1000, "s", "user and system, with start and imports"),
        (
            "billed of waited", worker.lived_s / waited * 100, "%",
            f"{worker.lived_s:.1f} s from start to exit, once for the worker with all its processes, "
            f"of {waited:,.0f} s",
        ),
    ):  # fmt: skip
        yield Line("peers", name, value, unit, note=note, of=system.name)


# --- Bide ---------------------------------------------------------------------------------------


def _bide(tasks: int) -> System:
    def submit(store: Bed, count: int, seconds: float) -> None:
        submitting = store.store()
        for value in range(count):
            submitting.submit(submission("pause", f'{{"seconds":{seconds},"value":{value}}}'))
        submitting.client.close()

    def start(store: Bed) -> Footprint:
        settings = {**environ(store.url, "bench.tasks"), "BIDE_CONCURRENCY": str(tasks)}
        return Footprint([sys.executable, "-m", "bench.worker"], settings, go=True, quiet=True)

    def results(store: Bed) -> list[int]:
        return list(store.outcomes().values())

    note = f"one worker, BIDE_CONCURRENCY={tasks}"
    return System("Bide", tasks, submit, start, results, Bed.results, note)


# --- peers --------------------------------------------------------------------------------------


def _celery(python: Path, many: int) -> tuple[System, ...]:
    def start(pool: str, width: int) -> Callable[[Bed], Footprint]:
        command = (
            "-m", "celery", "-A", "bench.peer_celery", "worker", "--loglevel", "ERROR",
            "--pool", pool, "--concurrency", str(width),
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        )  # fmt: skip
        return lambda store: _start(python, command, store)

    def system(pool: str, tasks: int, width: int, note: str = "") -> System:
        return System(
            f"Celery {pool}", tasks, _submitter(python, "bench.peer_celery"), start(pool, width),
            _celery_results, _counter(b"celery-task-meta-"), f"one worker, --concurrency {width}{note}",
        )  # fmt: skip

    width = min(PROCESSES_PER_CORE * (psutil.cpu_count() or 1), MOST_PROCESSES)
    return (
        system("prefork", TURNS * width, width, ", a process per waiting task"),
        system("gevent", many, many),
    )


def _arq(python: Path, many: int) -> tuple[System, ...]:
    def start(store: Bed) -> Footprint:
        return _start(python, ("-m", "arq", "bench.peer_arq.WorkerSettings"), store)

    return (
        System(
            "arq", many, _submitter(python, "bench.peer_arq"), start, _arq_results, _counter(b"arq:result:"),
            f"one worker, max_jobs {MANY}",
        ),
    )  # fmt: skip


def _submitter(python: Path, module: str) -> Callable[[Bed, int, float], None]:
    def run(store: Bed, count: int, seconds: float) -> None:
        command = [str(python), "-m", module, str(count), str(seconds)]
        done = subprocess.run(command, cwd=ROOT, env=_environ(store), timeout=_SUBMIT_SECONDS, check=False)
        if done.returncode:
            raise BenchFailed(f"{module} did not submit; its complaint is above")

    return run


def _environ(store: Bed) -> dict[str, str]:
    return {**os.environ, "PEER_STORE": store.url, "PYTHONDONTWRITEBYTECODE": "1"}


def _start(python: Path, command: Sequence[str], store: Bed) -> Footprint:
    return Footprint([str(python), *command], _environ(store), quiet=True)


def _counter(prefix: bytes) -> Callable[[Bed], int]:
    """Counts results by their keys, which takes some milliseconds of the store for 10,000."""
    return lambda store: len(_keys(store, prefix))


def _keys(store: Bed, prefix: bytes) -> list[Any]:
    return list(store.client.scan_iter(match=prefix + b"*", count=10_000))


def _values(store: Bed, prefix: bytes) -> list[Any]:
    keys = _keys(store, prefix)
    found: Any = store.client.mget(keys) if keys else []
    return [msgspec.json.decode(value) for value in found if value is not None]


def _celery_results(store: Bed) -> list[int]:
    return [record["result"] for record in _values(store, b"celery-task-meta-")]


def _arq_results(store: Bed) -> list[int]:
    return [record["r"] for record in _values(store, b"arq:result:")]
