"""Worker processes, what they are given to do, and what became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis
from prefixes import new_prefix

from bide import registry
from bide.clock import Clock
from bide.connection import connect
from bide.ids import TaskId
from bide.keys import Keys
from bide.reads import Reads
from bide.records import TaskView
from bide.state import State
from bide.store import Store
from bide.submission import Submission
from bide.worker.lane import REFRESH_S

HERE = Path(__file__).parent
SOON_MS: Final = REFRESH_S * 1000 / 2
"""Much less than it takes a worker to look for work of its own accord."""
TASKS = registry.load(
    ("worker_tasks", "program_tasks", "poller_tasks", "talking_tasks", "ending_tasks"), local=True
)


SHORT_LEASE: Final[dict[str, Any]] = {"lease_seconds": 0.6}
"""Of workers whose leases have to run out. On a slow machine they may do so at any time, too."""


def await_that(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Look again and again until the condition holds; the test fails when it never does."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def await_quiet(calls: Callable[[], int], seconds: float = 1.0) -> None:
    """Wait until there was none for so long: on a slow machine a worker makes its first ones late."""
    before = -1
    while (now := calls()) != before:
        before = now
        time.sleep(seconds)


class Zygote:
    """Forks workers; see zygote.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")],
            env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._speaking = threading.Lock()

    def fork(self, **wish: Any) -> int:
        """Start a worker; returns its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._speaking:
            self._process.stdin.write(json.dumps(wish) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Stage:
    """One test's tasks and workers, on keys of their own."""

    def __init__(self, zygote: Zygote, store_url: str, store: Store, prefix: str, effects: Path) -> None:
        self.store = store
        self.reads = Reads(store)
        self.prefix = prefix
        self.workers: list[int] = []
        self._zygote = zygote
        self._url = store_url
        self._effects = effects
        effects.touch()

    def submit(self, task: str, /, delay_ms: int = 0, queue: str | None = None, **args: Any) -> TaskId:
        definition = TASKS.get(task)
        submission = Submission(
            task, json.dumps(args), queue or definition.queue, "default",
            definition.retry.max_attempts, 3_600_000, delay_ms=delay_ms,
            expires_ms=round((definition.expires_s or 0) * 1000),
            deadline_ms=round((definition.deadline_s or 0) * 1000),
        )  # fmt: skip
        return self.store.submit(submission).id

    def start_worker(
        self,
        url: str | None = None,
        *,
        stays: bool = True,
        wish: dict[str, Any] | None = None,
        **settings: Any,
    ) -> int:
        """wish: what else zygote.py understands."""
        settings = {
            "workers_min": 0,
            "workers_max": 1_000,
            "lease_seconds": 20.0,
            "grace_seconds": 1.0,
            "idle_seconds": 0.3,
            **settings,
        }
        pid = self._zygote.fork(
            url=url or self._url,
            prefix=self.prefix,
            effects=str(self._effects),
            settings=settings,
            stays=stays,
            **(wish or {}),
        )
        self.workers.append(pid)
        return pid

    def view(self, id: TaskId) -> TaskView:
        return self.reads.task(id, "default")

    def state(self, id: TaskId) -> State:
        return self.view(id).run.state

    def outcome(self, id: TaskId) -> Any:
        """The result of a succeeded task, or the error of another, decoded."""
        return json.loads(self.view(id).run.outcome)

    def until(self, id: TaskId, *states: State) -> TaskView:
        """Wait until the task is in one of these states, by default until it is done."""
        wanted = states or tuple(state for state in State if state.done)
        await_that(lambda: self.state(id) in wanted)
        return self.view(id)

    def effects(self, name: str) -> list[str]:
        """The token of each start of the body, in order."""
        return [token for task, token in self.lines() if task == name]

    def wakes(self, what: str) -> list[int]:
        """The numbers with which workers called for `start`s and `alarm`s, or ended `unclean`."""
        file = self._effects.with_name(f"{self._effects.name}.wakes")
        lines = file.read_text().splitlines() if file.exists() else []
        return [int(number) for said, number in map(str.split, lines) if said == what]

    def lines(self) -> list[list[str]]:
        """Everything in the effects file: name and token of each line, in order."""
        return [line.split() for line in self._effects.read_text().splitlines()]

    def end(self, pid: int, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal that ends the worker, and wait until it has."""
        if is_alive(pid):
            os.kill(pid, number)
        await_that(lambda: not is_alive(pid))

    def close(self) -> None:
        for pid in self.workers:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        await_that(lambda: not any(map(is_alive, self.workers)))

    def erase(self) -> None:
        """Leave nothing of it in the store. No worker may be left."""
        self.store.client.close()
        with redis.Redis.from_url(self._url) as client:
            for key in client.scan_iter(match=f"{self.prefix}:*", count=1000):
                client.unlink(key)


@contextmanager
def a_stage(zygote: Zygote, store_url: str, folder: Path) -> Iterator[Stage]:
    """One stage of several that a test has."""
    prefix = new_prefix()
    store = Store(connect(store_url), Keys(prefix), Clock())
    stage = Stage(zygote, store_url, store, prefix, folder / prefix)
    try:
        yield stage
    finally:
        stage.close()
