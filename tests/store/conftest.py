"""A store whose scripts guard their keys, a clock that the test moves, and workers without a loop.

Every test of this folder runs under the guard of key_guard.py, but for those that say otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache

import pytest
import redis.asyncio
from hand_clock import HandClock
from key_guard import guarded, load_plain
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, Sweep, Takeover
from slot_contents import Look, read_slot
from submissions import Submit, submission

from bide import scripts
from bide.async_connection import connect_async
from bide.connection import connect
from bide.gate import Gatekeeper
from bide.ids import TaskId
from bide.keys import Keys
from bide.store import Store


@pytest.fixture(autouse=True)
def _guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts fail when they touch a key that they have not declared."""
    monkeypatch.setattr(scripts, "load", cache(lambda name: guarded(load_plain(name))))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(store_url: str, prefix: str, clock: HandClock) -> Iterator[Store]:
    """A Store on this test's keys, with a clock that stands still; queue `default` is registered."""
    store = Store(connect(store_url), Keys(prefix), clock)
    store.register("default")
    yield store
    store.client.close()


@pytest.fixture
def gate(store: Store) -> Gatekeeper:
    return Gatekeeper(store)


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop that the exchanges run on."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def async_client(store_url: str, runner: asyncio.Runner) -> Iterator[redis.asyncio.Redis]:
    client = connect_async(store_url)
    yield client
    runner.run(client.aclose())


@pytest.fixture
def hire(store: Store, runner: asyncio.Runner, async_client: redis.asyncio.Redis) -> Hire:
    """Starts a worker: `hire("a")`; again, as a later boot: `hire("a", boot=2)`."""

    def start(name: str = "worker", boot: int = 1, slot: str = "default") -> ScriptedWorker:
        return ScriptedWorker(store, runner, async_client, name, boot, slot)

    return start


@pytest.fixture
def worker(hire: Hire) -> ScriptedWorker:
    return hire()


@pytest.fixture
def submit(store: Store) -> Submit:
    """Submits an echo task and returns its id; keyword arguments are Submission's, and rate_limit."""

    def send(*, rate_limit: int = 0, **given: object) -> TaskId:
        return store.submit(submission(**given), rate_limit=rate_limit).id

    return send


@pytest.fixture
def look(store: Store, redis_client: redis.Redis) -> Look:
    """What a slot holds now."""
    return lambda slot="default": read_slot(redis_client, store.keys, slot)


@pytest.fixture(params=["exchange", "tick"])
def sweep(request: pytest.FixtureRequest, hire: Hire, store: Store) -> Sweep:
    """Upkeep, by either of the two that do it."""
    if request.param == "tick":
        return lambda: store.tick("default", 0)
    janitor = hire("janitor")
    return lambda: janitor.exchange()


@pytest.fixture
def takeover(submit: Submit, hire: Hire, clock: HandClock) -> Takeover:
    """Of a submitted task."""
    submit()
    frozen, other = hire("frozen"), hire("other")
    old = frozen.lease_one()
    clock.pass_ms(LEASE_MS)
    return Takeover(frozen, old, other, other.lease_one())
