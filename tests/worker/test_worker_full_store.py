"""A store over its limit of memory empties itself: what runs ends, and what is over makes room."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis
from stage import Stage, Zygote, a_stage, await_that, is_alive
from valkey_server import valkey

from bide.errors import StoreUnavailable
from bide.ids import TaskId
from bide.state import State
from bide.submission import Submission
from bide.upkeep import Caretaker
from bide.wake import NoWake, Waker

MIB: Final = 2**20
RETENTION_MS: Final = 4_000
"""Long enough that a slow machine accepts more meanwhile than there is room for."""
HELD: Final = 6
ROOM: Final = MIB


class Full:
    """A stage on a server of its own, whose limit the test sets; tasks are of about 8 kB."""

    def __init__(self, stage: Stage, admin: redis.Redis) -> None:
        self.stage = stage
        self._admin = admin
        self._numbers = itertools.count()
        self._empty = 0
        self.accepted: list[str] = []
        """The names of tasks that were accepted."""

    def start_workers(self, count: int) -> list[int]:
        """Start them, and wait until they and the store have all that they need for their work."""
        pids = [self.stage.start_worker() for _ in range(count)]
        self.stage.until(self.submit())
        self.tick()
        self._empty = self.used()
        return pids

    def used(self) -> int:
        """Bytes of the store's memory."""
        used: int = self._admin.info("memory")["used_memory"]
        return used

    def limit(self, beyond: int) -> None:
        """Let the limit be so many bytes above what the store takes without tasks."""
        self._admin.config_set("maxmemory", self._empty + beyond)

    def overfill(self, limit: int) -> None:
        """Submit more than there is to be room for, and set the limit; see `limit`."""
        while self.used() < self._empty + limit + MIB:
            for _ in range(10):
                self.submit()
        self.limit(limit)
        assert not self.is_accepting()

    def submit(self) -> TaskId:
        name = f"{next(self._numbers)}/{'x' * 7_500}"
        id = self.stage.store.submit(_submission("succeed", name=name)).id
        self.accepted.append(name)
        return id

    def is_accepting(self) -> bool:
        try:
            self.submit()
        except StoreUnavailable:
            return False
        return True

    def tick(self) -> None:
        """See to every queue, as the tick does."""
        store = self.stage.store
        assert Caretaker(store, Waker(store, NoWake())).look(1000).complete

    def fill(self) -> None:
        """Submit until the store is full."""
        while self.is_accepting():
            pass

    def await_room(self) -> None:
        """Wait until there is room again, for many tasks and not for one; the tick looks meanwhile."""

        def has_room() -> bool:
            time.sleep(0.1)  # its period
            self.tick()
            return self.used() < self._empty + ROOM // 2 and self.is_accepting()

        await_that(has_room)

    def ran(self) -> list[str]:
        """The names of what ran, in order of name, once for each attempt."""
        whole = (line for line in self.stage.lines() if len(line) == 2)  # the last is being written, perhaps
        return sorted(name for name, _ in whole)

    def await_the_end(self) -> None:
        """Wait until there is room, and all that was accepted has been run, each once."""
        self.await_room()
        await_that(lambda: len(self.ran()) >= len(self.accepted))
        assert self.ran() == sorted(self.accepted)


def _submission(task: str, **args: object) -> Submission:
    return Submission(task, json.dumps(args), "default", "default", 3, RETENTION_MS)


@pytest.fixture
def full(zygote: Zygote, tmp_path: Path) -> Iterator[Full]:
    with valkey(tmp_path) as place:
        url = f"redis://{place}"
        with redis.Redis.from_url(url) as admin, a_stage(zygote, url, tmp_path) as stage:
            admin.config_set("loglevel", "nothing")
            yield Full(stage, admin)
            stage.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_that_is_suddenly_over_its_limit_empties_itself(full: Full, workers: int) -> None:
    pids = full.start_workers(workers)
    held = [full.stage.submit("wait_for_cancel", name=f"held-{n}") for n in range(HELD)]
    for id in held:
        full.stage.until(id, State.RUNNING)
    full.overfill(ROOM)
    for id in held:
        full.stage.store.cancel(id, "default")
    for id in held:
        run = full.stage.until(id).run
        assert (run.state, run.attempt) == (State.CANCELLED, 1)
    full.await_room()
    assert all(map(is_alive, pids))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_that_fills_up_under_its_workers_empties_itself(full: Full, workers: int) -> None:
    pids = full.start_workers(workers)
    full.limit(ROOM)
    full.fill()
    full.await_the_end()
    assert all(map(is_alive, pids))


def test_a_store_that_is_full_of_tasks_which_nobody_ran_empties_itself(full: Full) -> None:
    """To end, each has to be leased first: nothing else would ever make room."""
    (worker,) = full.start_workers(1)
    full.stage.end(worker)
    full.limit(ROOM)
    full.fill()
    full.stage.start_worker()
    full.await_the_end()


def test_a_full_store_without_a_worker_is_emptied_by_the_tick(full: Full) -> None:
    (worker,) = full.start_workers(1)
    full.overfill(ROOM)
    await_that(lambda: len(full.ran()) == len(full.accepted))
    full.stage.end(worker)
    full.await_room()
