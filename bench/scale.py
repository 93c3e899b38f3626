"""Reading a store of a million tasks, against reading one of a thousand."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from bench.bed import Bed, bed
from bench.errors import BenchFailed
from bench.filling import fill, finish
from bench.line import Line, at_most
from bench.sample import alternate, median
from bench.spinner import core_awake
from bide.clock import Clock
from bide.connection import connect
from bide.exchange import Settlement
from bide.ids import TaskId
from bide.keys import Keys
from bide.listing import NEWEST, Filter, Listing
from bide.reads import Reads
from bide.series import read_minutes
from bide.settings import DEFAULT_QUEUE
from bide.store import Store
from bide.submission import Submission

FEW: Final = 1_000
OTHER: Final = "other"
QUEUES: Final = (DEFAULT_QUEUE, OTHER)
TENANT: Final = "default"
PAGE: Final = 50

_FAILED: Final = 20
_REST_SECONDS: Final = 120.0

Read = Callable[[], object]


def _nth(number: int) -> Submission:
    """One task in ten is of another queue, one in twenty has a tag, one in fifty a rare name."""
    return Submission(
        "rare" if number % 50 == 7 else "noop",
        f'{{"value":{number}}}',
        OTHER if number % 10 == 3 else DEFAULT_QUEUE,
        TENANT,
        max_attempts=3,
        retention_ms=86_400_000,
        tags=("tagged",) if number % 20 == 5 else (),
    )


def _outcome(number: int) -> tuple[Settlement, bytes]:
    if number < _FAILED:
        return Settlement.FAILED, b'{"code":"ValueError","message":"no"}'
    return Settlement.SUCCEEDED, b"12345"


class Filled(NamedTuple):
    """A store under a prefix of its own, and how each of its reads is asked."""

    store: Store
    reads: dict[str, Read]


def measure(quick: bool) -> Iterator[Line]:
    many = 50_000 if quick else 1_000_000
    calls = 400 if quick else 2_000
    with bed() as store:
        started = time.monotonic()
        small, large = (_filled(store, Keys(f"bench-{tasks}"), tasks) for tasks in (FEW, many))
        filled_s = time.monotonic() - started
        _rest(store)
        with core_awake():
            times = {name: _compare(small.reads[name], large.reads[name], calls) for name in small.reads}
        for each in (small, large):
            each.store.client.close()
    ratios = {name: of_many / of_few for name, (of_few, of_many) in times.items()}
    worst = max(ratios, key=ratios.__getitem__)
    yield Line(
        "scale", f"the costliest read at {many:,} tasks against {FEW:,}", ratios[worst], "x", at_most(1.3),
        note=f"{worst}; the same server, medians of {calls:,} calls on either side in turn",
    )  # fmt: skip
    for name, (of_few, of_many) in times.items():
        yield Line(
            "scale", name, ratios[name], "x",
            note=f"{of_many * 1e6:,.0f} us at {many:,} tasks, {of_few * 1e6:,.0f} us at {FEW:,}",
        )  # fmt: skip
    yield Line("scale", f"filling the store with {many + FEW:,} tasks", filled_s, "s")


def _filled(bed: Bed, keys: Keys, tasks: int) -> Filled:
    """Of the tasks of `default` the older half has finished; a few of those have failed."""
    ids = fill(bed.url, keys, tasks, _nth)
    asyncio.run(finish(bed.url, keys, DEFAULT_QUEUE, tasks * 9 // 20, _outcome))
    store = Store(connect(bed.url), keys, Clock())
    return Filled(store, _reads(store, ids))


def _reads(store: Store, ids: list[bytes]) -> dict[str, Read]:
    reads, listing = Reads(store), Listing(store)
    everywhere, chosen = dict.fromkeys(QUEUES, NEWEST), random.Random(1)
    shown = [TaskId(_nth(number).queue, ids[number]) for number in chosen.choices(range(len(ids)), k=1_000)]

    def page(filter: Filter, queues: tuple[str, ...] = QUEUES) -> Read:
        position = {queue: everywhere[queue] for queue in queues}
        return lambda: listing.page(TENANT, filter, PAGE, position)

    return {
        "list, no filter": page(Filter()),
        "list, by queue": page(Filter(), (OTHER,)),
        "list, by name": page(Filter(name="rare")),
        "list, by tag": page(Filter(tag="tagged")),
        "list, by state": page(Filter(state="succeeded")),
        f"list, the {_FAILED} failed": page(Filter(state="failed")),
        "show, any of them": lambda: reads.task(chosen.choice(shown), TENANT),
        "stats": reads.tally,
        "series of an hour": lambda: [read_minutes(each) for each in reads.series(QUEUES, 60).values()],
        "queues": lambda: reads.depths(QUEUES),
    }


def _compare(few: Read, many: Read, calls: int) -> tuple[float, float]:
    """Seconds of a call on either side, the medians; calls take turns, so that all else hits both alike."""
    few()
    many()
    pairs = alternate(calls, lambda: _seconds(few), lambda: _seconds(many))
    of_few, of_many = zip(*pairs, strict=True)
    return median(of_few), median(of_many)


def _seconds(read: Read) -> float:
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


def _rest(store: Bed) -> None:
    """Wait until the store writes no file anew, which it does beside its work."""
    deadline = time.monotonic() + _REST_SECONDS
    while time.monotonic() < deadline:
        info: Any = store.client.info("persistence")
        if not (info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]):
            return
        time.sleep(0.2)
    raise BenchFailed(f"the store still writes its file after {_REST_SECONDS:g} s")
