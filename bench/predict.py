"""How often the Python client asks for a task whose kind is known, and how late it learns of the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from bench.bed import Bed, bed
from bench.errors import BenchFailed
from bench.line import Line, at_most, shown
from bench.running_stack import running_stack
from bide_client.answer import Answer
from bide_client.submission import Options, Submitter
from bide_client.transport import Transport

KINDS: Final = {"blink": 0.1, "breath": 1.0, "stroll": 10.0, "nap": 60.0}
"""Tasks, and the seconds that each takes."""
BEFORE: Final = 20
"""Of each kind that have finished before."""
MEASURED: Final = 6
PREFER_WAIT: Final = 2
"""Seconds: the client's own default."""

_QUICK_SECONDS: Final = 10.0
_SPARE_SECONDS: Final = 30.0
_APART_SECONDS: Final = 0.13
"""What begins are apart, so that those of one kind do not end together."""
_CLOCK_SECONDS: Final = 0.02
"""What two readings of the store's clock, each a round trip old, may be off."""
_ALLOWED_SHARE: Final = 0.1
_ALLOWED_SECONDS: Final = 0.2


class Followed(NamedTuple):
    """What one client saw of its task."""

    kind: str
    polls: int
    late_s: float
    """From the task's end, by the store's clock, until the client had it."""
    took_s: float
    """From the task's start to its end."""

    @property
    def over_allowance(self) -> float:
        """The lateness, over a tenth of the duration or 200 ms, whichever is more."""
        return self.late_s / max(_ALLOWED_SECONDS, _ALLOWED_SHARE * self.took_s)


class _Counted(Transport):
    """Counts the polls of one task."""

    polls = 0

    def call(self, method: str, path: str, **options: Any) -> Answer:
        self.polls += method == "GET"
        return super().call(method, path, **options)


def measure(quick: bool) -> Iterator[Line]:
    kinds = {kind: seconds for kind, seconds in KINDS.items() if seconds <= _QUICK_SECONDS or not quick}
    with bed() as store:
        followed = asyncio.run(_with_stack(store, kinds))
    left_out = "; the task of 60 s is left out of a quick run" if quick else ""
    yield Line(
        "predict", "polls until a client has the result, most", max(each.polls for each in followed), "",
        at_most(3),
        note=f"{_told(kinds, followed, lambda each: each.polls, '')}; {MEASURED} of each kind, "
        f"{BEFORE} of it had finished before{left_out}",
    )  # fmt: skip
    yield Line(
        "predict", "learning of the end, over its allowance, most",
        max(each.over_allowance for each in followed), "x", at_most(1),
        note=f"{_told(kinds, followed, lambda each: each.late_s * 1000, 'ms')}; "
        "allowed are a tenth of the duration, or 200 ms",
    )  # fmt: skip


def _told(
    kinds: dict[str, float], followed: list[Followed], value: Callable[[Followed], float], unit: str
) -> str:
    """The highest value of each kind."""
    most = {kind: max(value(each) for each in followed if each.kind == kind) for kind in kinds}
    return ", ".join(f"{seconds:g} s: {shown(most[kind], unit)}" for kind, seconds in kinds.items())


async def _with_stack(store: Bed, kinds: dict[str, float]) -> list[Followed]:
    patience_s = max(kinds.values()) + _SPARE_SECONDS
    async with running_stack(store, "bench.tasks") as url:
        with ThreadPoolExecutor(BEFORE * len(kinds)) as clients:
            await asyncio.to_thread(_acquaint, url, clients, kinds, patience_s)
            return await asyncio.to_thread(_follow_all, url, clients, kinds, patience_s)


def _acquaint(url: str, clients: ThreadPoolExecutor, kinds: dict[str, float], patience_s: float) -> None:
    """Have so many of each kind finish, all at once."""
    everybody = [clients.submit(_follow, url, kind, 0.0, patience_s) for kind in kinds for _ in range(BEFORE)]
    for one in everybody:
        one.result()


def _follow_all(
    url: str, clients: ThreadPoolExecutor, kinds: dict[str, float], patience_s: float
) -> list[Followed]:
    tasks = [kind for _ in range(MEASURED) for kind in kinds]
    running = [
        clients.submit(_follow, url, kind, number * _APART_SECONDS, patience_s)
        for number, kind in enumerate(tasks)
    ]
    return [each.result() for each in running]


def _follow(url: str, kind: str, begin_s: float, patience_s: float) -> Followed:
    """Begin in so many seconds, and see one task through."""
    time.sleep(begin_s)
    transport = _Counted(url, None, connect_timeout=5.0, read_timeout=30.0, patience=30.0, retry_closed=False)
    task = Submitter(transport, Options(), prefer_wait=PREFER_WAIT).submit(kind)
    status = task.wait(patience_s)
    known_at = time.time()
    transport.disconnect()
    if status.state != "succeeded" or status.started_at is None or status.finished_at is None:
        raise BenchFailed(f"a task {kind} ended {status.state}: {status.error}")
    took_s = (status.finished_at - status.started_at).total_seconds()
    if took_s < KINDS[kind] - _CLOCK_SECONDS:
        raise BenchFailed(f"a task {kind} took {took_s:g} s, not {KINDS[kind]:g} s")
    return Followed(kind, transport.polls, max(0.0, known_at - status.finished_at.timestamp()), took_s)
