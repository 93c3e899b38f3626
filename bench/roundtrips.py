"""What one task costs the store: round trips and commands, in a drain and on its own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from bench.bed import Bed, bed, submission
from bench.crew import crew
from bench.drain import WORKERS, fill
from bench.line import Line
from bench.relay import Relay, relay

_TIMEOUT_SECONDS: Final = 60.0
_GAPS_MS: Final = (5, 15)
_SUBMISSION: Final = submission("noop", '{"value":1}')


class _Cost(NamedTuple):
    """Of all tasks of a case together, in the order in which it is reported."""

    round_trips: int
    sent: int
    """Commands that clients sent."""
    run: int
    """Commands that the store ran, those inside scripts included."""


def measure(quick: bool) -> Iterator[Line]:
    with bed() as store:
        yield from _in_a_drain(store, 1_000 if quick else 5_000)
        yield from _alone(store, 30 if quick else 200)


def _in_a_drain(store: Bed, tasks: int) -> Iterator[Line]:
    store.clear()
    with relay(store.url) as counted, crew(WORKERS, counted.url) as workers:
        submitting = store.store(counted.url)
        submitting.submit(_SUBMISSION)  # connects, registers the queue and loads the script
        count = _counter(store, counted)
        fill(submitting, tasks)
        submits = count()
        workers.go()
        store.wait_for_results(tasks + 1, _TIMEOUT_SECONDS, poll=0.01)
        total = count()
        submitting.client.close()
    for line, of_submits, of_all in zip(_lines("in a drain", tasks, total), submits, total, strict=True):
        split = f"submit {of_submits / tasks:.3g}, workers {(of_all - of_submits) / tasks:.3g}"
        yield msgspec.structs.replace(line, note=split)


def _alone(store: Bed, tasks: int) -> Iterator[Line]:
    """Tasks that come one by one to a worker which blocks on its bell."""
    store.clear()
    gaps = random.Random(tasks)
    with relay(store.url) as counted, crew(1, counted.url) as worker:
        submitting = store.store(counted.url)
        submitting.submit(_SUBMISSION)
        worker.go()
        store.wait_for_results(1, _TIMEOUT_SECONDS, poll=0.01)
        store.wait_for_listener(1)
        count = _counter(store, counted)
        for done in range(1, tasks + 1):
            submitting.submit(_SUBMISSION)
            store.wait_for_results(done + 1, _TIMEOUT_SECONDS, poll=0.002)
            time.sleep(gaps.uniform(*_GAPS_MS) / 1000)
            store.wait_for_listener(1)
        total = count()
        submitting.client.close()
    yield from _lines("alone", tasks, total)


def _lines(case: str, tasks: int, total: _Cost) -> Iterator[Line]:
    for what, cost in zip(("round trips", "commands sent", "commands run"), total, strict=True):
        yield Line("roundtrips", f"a task {case}, {what}", cost / tasks, "")


def _counter(store: Bed, counted: Relay) -> Callable[[], _Cost]:
    """What has passed since this call."""
    counted.reset()
    before = store.commands()

    def count() -> _Cost:
        return _Cost(counted.round_trips, counted.commands, store.commands() - before)

    return count
