"""From idle to start: how long a warm worker takes to begin a task, and what its idleness costs."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Final

from bench.bed import Bed, bed, submission
from bench.crew import crew
from bench.line import Line, at_most
from bench.relay import relay
from bench.sample import median, percentile, spread
from bench.spinner import core_awake
from bide.worker.lane import REFRESH_S

_SEED: Final = 2
_GAPS_MS: Final = (10, 60)
"""Pauses between submissions are drawn from this range, so that they keep step with no timer."""
_BELLS: Final = 1
"""An idle worker of one queue blocks on that queue's bell alone."""

_SUBMISSION: Final = submission("clock")


def measure(quick: bool) -> Iterator[Line]:
    samples = 40 if quick else 300
    with bed() as store:
        awake = _samples(store, samples, core_kept_awake=True)
        asleep = _samples(store, samples, core_kept_awake=False)
        yield Line(
            "wakeup", "idle to start, p50", median(awake), "ms", at_most(1.5), spread(awake),
            f"call of submit to first line of the task, {samples} samples",
        )  # fmt: skip
        yield Line("wakeup", "idle to start, p99", percentile(awake, 99), "ms")
        yield Line("wakeup", "idle to start with both cores left to sleep, p50", median(asleep), "ms")
        yield from _idle(store, seconds=6.0 if quick else REFRESH_S + 2)


def _samples(store: Bed, count: int, *, core_kept_awake: bool) -> list[float]:
    """Milliseconds from the call of submit to the task's first line."""
    store.clear()
    submitting = store.store()
    gaps = random.Random(_SEED)
    begun: list[tuple[bytes, int]] = []
    with crew(1, store.url) as worker, core_awake() if core_kept_awake else nullcontext():
        worker.go()
        for _ in range(count + 5):
            time.sleep(gaps.uniform(*_GAPS_MS) / 1000)
            store.wait_for_listener(_BELLS)
            called = time.monotonic_ns()
            begun.append((submitting.submit(_SUBMISSION).id.key, called))
        store.wait_for_results(len(begun), timeout=10.0, poll=0.01)
    submitting.client.close()
    started = [store.outcome(id) for id, _ in begun]
    times = [(int(start) - called) / 1e6 for start, (_, called) in zip(started, begun, strict=True)]
    return times[5:]  # without the warm-up


def _idle(store: Bed, seconds: float) -> Iterator[Line]:
    """One worker with the default tasks and nothing to do, from when it blocks on its bell."""
    store.clear()
    with relay(store.url) as counted, crew(1, counted.url, tasks="workers.tasks") as worker:
        worker.go()
        store.wait_for_listener(_BELLS)
        time.sleep(1.0)
        counted.reset()
        commands, cpu, started = store.commands(), worker.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - started
        commands, cpu = store.commands() - commands, worker.cpu_seconds() - cpu
        sent = counted.commands
    note = f"over {seconds:g} s"
    yield Line("wakeup", "idle worker, CPU", cpu / elapsed * 100, "%", at_most(1.0), note=note)
    yield Line(
        "wakeup", "idle worker, store commands", commands / elapsed, "/s", at_most(2.0),
        note=f"those inside scripts included, {note}",
    )  # fmt: skip
    yield Line("wakeup", "idle worker, commands it sends", sent / elapsed, "/s")
