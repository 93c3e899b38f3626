"""A store over its limit of memory: what brings something new is refused, all that makes room goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from every_branch import play
from hand_clock import HandClock
from scripted_worker import LEASE_MS, ScriptedWorker, settle
from submissions import submission
from valkey_server import valkey

from bide import scripts
from bide.async_connection import connect_async
from bide.bulk import Bulk, Kind
from bide.connection import connect
from bide.errors import StoreUnavailable
from bide.keys import Keys
from bide.reads import Reads
from bide.records import TaskView
from bide.scripts import Script
from bide.state import State
from bide.store import Store
from bide.upkeep import Caretaker
from bide.wake import NoWake, Waker

pytestmark = pytest.mark.own_server("limit the server's memory, which may be somebody else's")

RETENTION_MS = 60_000


class Limited:
    """A server of the test's own, which is full when the test says so."""

    def __init__(self, url: str, clock: HandClock, runner: asyncio.Runner) -> None:
        self.store = Store(connect(url), Keys("full"), clock)
        self.store.register("default")
        self._client = connect_async(url)
        self._admin = redis.Redis.from_url(url)
        self._admin.config_set("loglevel", "nothing")  # nobody reads its warnings: the pipe would fill up
        self._runner = runner

    def hire(self, name: str = "worker", boot: int = 1, slot: str = "default") -> ScriptedWorker:
        return ScriptedWorker(self.store, self._runner, self._client, name, boot, slot)

    def fill(self) -> None:
        self._admin.config_set("maxmemory", 1)

    def make_room(self) -> None:
        self._admin.config_set("maxmemory", 0)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._admin.close()
        self.store.client.close()


@pytest.fixture
def limited(tmp_path: Path, clock: HandClock, runner: asyncio.Runner) -> Iterator[Limited]:
    with valkey(tmp_path) as place:
        limited = Limited(f"redis://{place}", clock, runner)
        yield limited
        limited.close()


def _when_full(script: Script) -> str:
    found = re.search(r"^-- When full: (.*)$", script.source, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("name", sorted(p.stem for p in scripts.FOLDER.glob("[a-z]*.lua")))
def test_a_header_says_what_becomes_of_the_script_when_the_store_is_full(name: str) -> None:
    assert _when_full(scripts.load(name)) in {"goes on", "refused", "reads"}


def test_every_command_of_a_script_that_goes_on_runs_in_a_full_store(
    limited: Limited, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: set[str] = set()
    run, run_async = Script.run, Script.run_async

    def run_full(script: Script, *args: Any) -> Any:
        if _when_full(script) == "refused":
            return run(script, *args)
        ran.add(script.name)
        limited.fill()
        try:
            return run(script, *args)
        finally:
            limited.make_room()

    async def run_full_async(script: Script, *args: Any) -> Any:
        ran.add(script.name)
        limited.fill()
        try:
            return await run_async(script, *args)
        finally:
            limited.make_room()

    monkeypatch.setattr(Script, "run", run_full)
    monkeypatch.setattr(Script, "run_async", run_full_async)
    play(limited.store, limited.hire, clock)
    go_on = {
        p.stem for p in scripts.FOLDER.glob("[a-z]*.lua") if _when_full(scripts.load(p.stem)) == "goes on"
    }
    assert go_on <= ran


def test_what_is_new_is_refused_and_leaves_nothing(limited: Limited, clock: HandClock) -> None:
    store, worker = limited.store, limited.hire()
    failed, waits = (store.submit(submission(name=name)).id for name in ("failed", "waits"))
    lease = {lease.id: lease for lease in worker.lease()}
    worker.exchange(settle(lease[failed], State.FAILED))
    before = [store.command("HLEN", store.keys.slot("default", (key,))[0]) for key in ("specs", "inbox")]
    limited.fill()
    for given in ({}, {"unique": "u"}, {"idempotency_key": "k", "fingerprint": b"f" * 16}, {"delay_ms": 5}):
        for rate_limit in (0, 10):
            with pytest.raises(StoreUnavailable, match="is full"):
                store.submit(submission(**given), rate_limit=rate_limit)
    with pytest.raises(StoreUnavailable, match="is full"):
        store.submit_all([submission(), submission(queue="new")])
    with pytest.raises(StoreUnavailable, match="is full"):
        store.send_event(waits, "", "go", b"1")
    with pytest.raises(StoreUnavailable, match="is full"):
        store.retry(failed, "")
    after = [store.command("HLEN", store.keys.slot("default", (key,))[0]) for key in ("specs", "inbox")]
    assert after == before


def _view(limited: Limited, id: Any) -> TaskView:
    return Reads(limited.store).task(id, "")


def test_a_worker_starts_keeps_and_ends_tasks_in_a_full_store(limited: Limited, clock: HandClock) -> None:
    """Else no task of a store that is full of tasks would ever end, and make room."""
    store, worker = limited.store, limited.hire()
    id = store.submit(submission()).id
    limited.fill()
    lease = worker.lease_one()
    clock.ms += LEASE_MS - 1
    assert worker.heartbeat(lease) == ((), ())
    clock.ms += LEASE_MS - 1
    assert worker.exchange(settle(lease, State.SUCCEEDED, outcome=b"1")).lost == ()
    run = _view(limited, id).run
    assert (run.state, run.attempt, run.outcome) == (State.SUCCEEDED, 1, "1")


def test_the_tick_forgets_what_is_past_its_retention_in_a_full_store(
    limited: Limited, clock: HandClock
) -> None:
    store, worker = limited.store, limited.hire()
    for _ in range(250):
        store.submit(submission(retention_ms=RETENTION_MS))
    while leases := worker.lease():
        worker.exchange(*(settle(lease, State.SUCCEEDED) for lease in leases), capacity=0)
    worker.retire(forced=True)
    limited.fill()
    clock.ms += 2 * RETENTION_MS
    report = Caretaker(store, Waker(store, NoWake())).look(1000)
    assert (report.complete, report.pruned) == (True, 250)
    assert store.command("HLEN", store.keys.slot("default", ("specs",))[0]) == 0


def test_an_operator_makes_room_in_a_full_store(limited: Limited) -> None:
    store, worker = limited.store, limited.hire()
    ids = [store.submit(submission()).id for _ in range(3)]
    worker.exchange(*(settle(lease, State.FAILED) for lease in worker.lease()))
    limited.fill()
    store.erase(ids[0], "")
    Bulk(store, Waker(store, NoWake())).begin("default", Kind.PURGE, dry_run=False, goes_on=lambda: True)
    assert store.command("HLEN", store.keys.slot("default", ("specs",))[0]) == 0
