"""A disk that is full: what of an accepted task survives that, and the store's death after it."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from hand_clock import HandClock
from submissions import submission
from test_store_doctor import look
from valkey_server import valkey

from bide.connection import connect
from bide.errors import StoreUnavailable
from bide.ids import TaskId
from bide.keys import Keys
from bide.operate.finding import Level
from bide.reads import Reads
from bide.store import Store

pytestmark = pytest.mark.own_server("fill and kill the server, which may be somebody else's")


class Disk:
    """Whether the store's files may grow: a limit on them is to the store what a full disk is."""

    def __init__(self, url: str, folder: Path) -> None:
        with redis.Redis.from_url(url) as client:
            self._pid: int = client.info("server")["process_id"]
        self._folder = folder

    def fill(self, left: int) -> None:
        """Leave so many bytes."""
        written = max(file.stat().st_size for file in self._folder.glob("appendonlydir/*.aof"))
        self._limit(written + left)

    def make_room(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def kill_store(self) -> None:
        os.kill(self._pid, signal.SIGKILL)


@contextmanager
def _running(folder: Path, how_often: str, clock: HandClock) -> Iterator[tuple[Store, Disk, str]]:
    with valkey(folder, "--appendonly", "yes", "--appendfsync", how_often) as place:
        url = f"redis://{place}"
        store = Store(connect(url), Keys("disk"), clock)
        yield store, Disk(url, folder), url
        store.client.close()


def _submit_until_refused(store: Store) -> tuple[list[TaskId], str]:
    """The tasks that were accepted, and why the next was not."""
    accepted: list[TaskId] = []
    while True:
        try:
            accepted.append(store.submit(submission()).id)
        except StoreUnavailable as error:
            return accepted, str(error)


def _await_room(store: Store) -> TaskId:
    """Submit until that is accepted: the store tries to write once a second."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            return store.submit(submission()).id
        except StoreUnavailable:
            continue
    raise AssertionError("it writes no more")


def _all_there(store: Store, ids: list[TaskId]) -> bool:
    return all(Reads(store).task(id, "").spec.name == "echo" for id in ids)


def test_with_room_before_its_death_a_store_keeps_all_that_it_accepted(
    tmp_path: Path, clock: HandClock
) -> None:
    with _running(tmp_path, "everysec", clock) as (store, disk, url):
        store.register("default")
        disk.fill(left=5_000)
        accepted, why = _submit_until_refused(store)
        assert accepted
        assert "cannot write to its disk" in why
        durability = look(url)["durability"]
        assert (durability.level, "in its memory alone" in durability.what) == (Level.FAIL, True)
        assert "before anything ends the store" in durability.remedy
        disk.make_room()
        accepted.append(_await_room(store))
        disk.kill_store()
    with _running(tmp_path, "everysec", clock) as (store, _, _):
        assert _all_there(store, accepted)


def test_a_store_that_syncs_always_accepts_nothing_that_it_cannot_write(
    tmp_path: Path, clock: HandClock
) -> None:
    with _running(tmp_path, "always", clock) as (store, disk, _):
        store.register("default")
        disk.fill(left=5_000)
        accepted, why = _submit_until_refused(store)
        assert accepted
        assert "cannot be used" in why  # it has ended
    with _running(tmp_path, "always", clock) as (store, _, _):
        assert _all_there(store, accepted)
