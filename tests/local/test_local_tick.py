"""The tick's process bears whatever error the store answers, and forgets nothing over it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from refusals import FAULTS, REFUSALS
from store_proxy import RefusingProxy

from bide.store import Store
from local import tether
from local.line import LOOK


@pytest.fixture
def proxy(store_url: str) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy(store_url)
    yield proxy
    proxy.close()


@pytest.fixture
def ask(proxy: RefusingProxy, prefix: str) -> Iterator[Callable[[str], None]]:
    """Starts a tick and asks it for looks, in the supervisor's words. It ends in good order."""
    ours, its = socket.socketpair()
    environ = {
        **os.environ,
        "BIDE_REDIS_URL": proxy.url,
        "BIDE_PREFIX": prefix,
        "BIDE_TICK_SECONDS": "1",
        "BIDE_LOCAL": "1",
    }
    with ours, its:
        tick = subprocess.Popen(
            [sys.executable, "-m", "local.tick", "--line", str(its.fileno())],
            env=environ,
            pass_fds=(its.fileno(),),
            preexec_fn=tether.die_with_parent(),
        )

        def ask(words: str) -> None:
            assert tick.poll() is None, "the tick has ended"
            ours.sendall(f"{words}\n".encode())

        yield ask
        tick.terminate()
        assert tick.wait(60) == 0


def test_no_error_of_the_store_ends_the_tick(
    proxy: RefusingProxy, store: Store, ask: Callable[[str], None]
) -> None:
    store.register("default")
    for said in (*REFUSALS, *FAULTS):
        proxy.refuse(said)
        ask(LOOK)
        proxy.await_refusals(1)
    proxy.lift()
    before = store.begin_turn()
    ask(LOOK)
    _await_that(lambda: int(store.command("HGET", store.keys.server(("epochs",))[0], "tick")) > before)


def test_a_worker_that_died_while_the_store_was_away_is_not_counted_on_when_it_is_back(
    proxy: RefusingProxy, store: Store, ask: Callable[[str], None]
) -> None:
    store.register("default")
    workers = store.keys.slot("default", ("workers",))[0]
    store.command("ZADD", workers, store.now_ms(), "dead")
    proxy.refuse("LOADING it is")
    ask(f"{LOOK} dead")
    proxy.await_refusals(2)
    proxy.lift()
    _await_that(lambda: store.command("ZSCORE", workers, "dead") is None)


def _await_that(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
