"""The test bed: an embedded store of the benchmark's own, and what is asked of it in passing."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from bench.errors import BenchFailed
from bide.clock import Clock
from bide.connection import connect
from bide.keys import Keys
from bide.records import read_run
from bide.settings import DEFAULT_QUEUE
from bide.store import Store
from bide.submission import Submission
from bide.tally import GAUGE
from local.store import EmbeddedStore

PREFIX: Final = "bench"

_ENDED: Final = ("succeeded", "failed")

OBSERVING: Final = ("info",)
"""Commands that the bench alone sends while it counts commands; no script uses them."""


class Bed:
    """One running store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url)
        self.keys = Keys(PREFIX)
        self._runs, self._stats = self.keys.slot(DEFAULT_QUEUE, ("runs", "stats"))
        self._looked = 0

    def store(self, url: str | None = None) -> Store:
        """Bide's store on it, over a connection of its own; by way of `url` if given."""
        return Store(connect(url or self.url), self.keys, Clock())

    def clear(self) -> None:
        self.client.flushdb()

    def version(self) -> str:
        """Of the Valkey that runs."""
        return str(self._info("server")["valkey_version"])

    def results(self) -> int:
        """How many tasks of the default queue have succeeded or failed."""
        self._looked += 1
        counts: Any = self.client.hmget(self._stats, [f"{GAUGE}{state}" for state in _ENDED])
        return sum(int(count) for count in counts if count)

    def outcomes(self) -> dict[bytes, Any]:
        """What each of them came to, by id, decoded."""
        runs: Any = self.client.hgetall(self._runs)
        return {id: _outcome(packed) for id, packed in runs.items() if read_run(packed).outcome}

    def outcome(self, id: bytes) -> Any:
        """What this one came to, decoded; None while it has not."""
        packed: Any = self.client.hget(self._runs, id)
        return None if packed is None else _outcome(packed)

    def wait_for_results(self, count: int, timeout: float, poll: float) -> float:
        """Look each `poll` seconds until `count` tasks have a result; returns the monotonic time of that."""
        deadline = time.monotonic() + timeout
        while (there := self.results()) < count:
            if time.monotonic() > deadline:
                raise BenchFailed(f"{there} of {count} tasks had a result after {timeout:g} s")
            time.sleep(poll)
        return time.monotonic()

    def wait_for_listener(self, bells: int, timeout: float = 10.0) -> None:
        """Return when `bells` connections block."""
        deadline = time.monotonic() + timeout
        while (blocked := self._info("clients")["blocked_clients"]) < bells:
            if time.monotonic() > deadline:
                raise BenchFailed(f"{blocked} connections block on a bell after {timeout:g} s, not {bells}")
            time.sleep(0.002)

    def commands(self) -> int:
        """How many commands the store has run, inside scripts or not, without our observing."""
        stats = self._info("commandstats")
        calls = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
        return sum(count for name, count in calls.items() if name not in OBSERVING) - self._looked

    def _info(self, section: str) -> dict[str, Any]:
        info: Any = self.client.info(section)
        return dict(info)


def _outcome(packed: bytes) -> Any:
    told = read_run(packed).outcome
    return msgspec.json.decode(told) if told else None


@contextmanager
def bed() -> Iterator[Bed]:
    """A store in a temporary folder, as `make up` starts it: append-only file, synced each second."""
    with tempfile.TemporaryDirectory(prefix="bide-bench-") as folder:
        store = EmbeddedStore(Path(folder))
        url = store.start()
        bed = Bed(url)
        try:
            yield bed
        finally:
            bed.client.close()
            store.stop()


def environ(redis_url: str, tasks: str) -> dict[str, str]:
    """The environment of a process on the test bed: none of the user's settings but these.

    It logs as quick mode does, without a line for each transition; `recording` measures those.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")}
    return {
        **kept,
        "BIDE_REDIS_URL": redis_url,
        "BIDE_PREFIX": PREFIX,
        "BIDE_TASKS": tasks,
        "BIDE_LOG_FORMAT": "text",
    }


def submission(name: str, args: str = "{}") -> Submission:
    """A submission with the defaults of a task that names none."""
    return Submission(name, args, DEFAULT_QUEUE, "default", max_attempts=3, retention_ms=86_400_000)
