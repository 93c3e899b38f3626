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
RETENTION_MS: Final = 2_000
HELD: Final = 6


class Full:
    """A stage on a server of its own, whose limit the test sets; tasks are of about 4 kB."""

    def __init__(self, stage: Stage, admin: redis.Redis) -> None:
        self.stage = stage
        self._admin = admin
        self._numbers = itertools.count()
        self.accepted: list[str] = []
        """The names of tasks that were accepted."""

    def limit(self, beyond: int) -> None:
        """Let the limit be so many bytes above what is used now; below, where it is negative."""
        used = self._admin.info("memory")["used_memory"]
        self._admin.config_set("maxmemory", used + beyond)

    def submit(self) -> TaskId:
        name = f"{next(self._numbers)}/{'x' * 4_000}"
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
        """Wait until tasks are accepted again; the tick looks meanwhile."""

        def has_room() -> bool:
            time.sleep(0.1)  # its period
            self.tick()
            return self.is_accepting()

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
    pids = [full.stage.start_worker() for _ in range(workers)]
    for _ in range(800):
        full.submit()
    held = [
        full.stage.store.submit(_submission("doze", name=f"held-{n}", seconds=1.5)).id for n in range(HELD)
    ]
    for id in held:
        full.stage.until(id, State.RUNNING)
    full.limit(-2 * MIB)
    with pytest.raises(StoreUnavailable, match="is full"):
        full.submit()
    for id in held:
        run = full.stage.until(id).run
        assert (run.state, run.attempt) == (State.SUCCEEDED, 1)
    full.await_room()
    assert all(map(is_alive, pids))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_that_fills_up_under_its_workers_empties_itself(full: Full, workers: int) -> None:
    pids = [full.stage.start_worker() for _ in range(workers)]
    full.stage.until(full.submit())
    full.limit(2 * MIB)
    for _ in range(2):
        full.fill()
        full.await_the_end()
    assert all(map(is_alive, pids))


def test_a_store_that_is_full_of_tasks_which_nobody_ran_empties_itself(full: Full) -> None:
    """To end, each has to be leased first: nothing else would ever make room."""
    full.limit(2 * MIB)
    full.fill()
    full.stage.start_worker()
    full.await_the_end()


def test_a_full_store_without_a_worker_is_emptied_by_the_tick(full: Full) -> None:
    worker = full.stage.start_worker()
    for _ in range(800):
        full.submit()
    await_that(lambda: len(full.ran()) == 800)
    full.stage.end(worker)
    full.limit(-2 * MIB)
    with pytest.raises(StoreUnavailable, match="is full"):
        full.submit()
    full.await_room()
