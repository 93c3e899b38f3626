"""The tick's process bears whatever error the store answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from refusals import FAULTS, REFUSALS
from store_proxy import RefusingProxy

from bide.store import Store
from local import tether


@pytest.fixture
def proxy(store_url: str) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy(store_url)
    yield proxy
    proxy.close()


def test_no_error_of_the_store_ends_the_tick(proxy: RefusingProxy, store: Store, prefix: str) -> None:
    store.register("default")
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
        try:
            for said in (*REFUSALS, *FAULTS):
                proxy.refuse(said)
                ours.sendall(b"look\n")
                proxy.await_refusals(1)
                assert tick.poll() is None, said
            proxy.lift()
            before = store.begin_turn()
            ours.sendall(b"look\n")
            _await_turn_after(store, before)
        finally:
            tick.terminate()
        assert tick.wait(60) == 0


def _await_turn_after(store: Store, epoch: int) -> None:
    """Wait until somebody has begun a look."""
    until = time.monotonic() + 60
    while int(store.command("HGET", store.keys.server(("epochs",))[0], "tick")) <= epoch:
        assert time.monotonic() < until, "nobody looked"
        time.sleep(0.01)
