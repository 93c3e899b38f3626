"""Whatever error the store answers, a worker waits it out: it does not end, and no task loses an attempt."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from refusals import FAULTS, REFUSALS
from stage import Stage, Zygote, a_stage, await_that, is_alive
from store_proxy import RefusingProxy
from valkey_server import valkey

from bide import scripts
from bide.state import State
from bide.worker import lane

pytestmark = pytest.mark.plain_tcp

HELD = 5
"""Tasks that a worker runs all the while."""


@pytest.fixture
def proxy(store_url: str) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy(store_url)
    yield proxy
    proxy.close()


def test_no_error_of_the_store_ends_a_worker_or_costs_an_attempt(stage: Stage, proxy: RefusingProxy) -> None:
    """In an exchange, and at the bell."""
    worker = stage.start_worker(proxy.url)
    held = [stage.submit("wait_for_cancel", name=f"held-{number}") for number in range(HELD)]
    for id in held:
        stage.until(id, State.RUNNING)
    for commands in (("EVALSHA", "EVAL", "TIME"), ("BLPOP",)):
        for said in REFUSALS:
            proxy.refuse(said, *commands)
            id = stage.submit("succeed", name=secrets.token_hex(4))
            proxy.await_refusals(1)
            proxy.lift()
            assert stage.until(id).run.attempt == 1, said
            assert is_alive(worker), said
    for id in held:
        assert stage.view(id).run.attempt == 1
        stage.store.cancel(id, "default")
    for id in held:
        assert stage.until(id).run.state is State.CANCELLED


def test_a_fault_of_a_script_ends_no_worker(stage: Stage, proxy: RefusingProxy) -> None:
    worker = stage.start_worker(proxy.url)
    proxy.refuse(FAULTS[0], "EVALSHA", "EVAL")
    id = stage.submit("succeed", name="first")
    proxy.await_refusals(1)
    proxy.lift()
    assert stage.until(id).run.attempt == 1
    assert is_alive(worker)


def test_a_wait_that_looks_for_its_event_waits_for_the_store_too(stage: Stage, proxy: RefusingProxy) -> None:
    """The read before its timeout: its failure would cost the attempt."""
    stage.start_worker(proxy.url)
    id = stage.submit("give_up_waiting", caught=True)
    proxy.refuse("BUSY Valkey is busy running a script.", scripts.load("unread").sha)
    proxy.await_refusals(1)
    proxy.lift()
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 1)


def test_a_script_that_keeps_the_store_busy_costs_nobody_an_attempt(zygote: Zygote, tmp_path: Path) -> None:
    with valkey(tmp_path, "--busy-reply-threshold", "20") as place:
        url = f"redis://{place}"
        with a_stage(zygote, url, tmp_path) as stage, redis.Redis.from_url(url) as client:
            workers = [stage.start_worker() for _ in range(2)]
            ids = [stage.submit("doze", name=str(number), seconds=0.5) for number in range(3 * HELD)]
            await_that(lambda: any(stage.state(id) is State.RUNNING for id in ids))
            spinning = threading.Thread(target=_spin, args=(url,))
            spinning.start()
            _await_busy(client)
            time.sleep(4 * lane._PAUSE_S)  # everybody meets it more than once
            client.execute_command("SCRIPT KILL")
            spinning.join()
            for id in ids:
                run = stage.until(id).run
                assert (run.state, run.attempt) == (State.SUCCEEDED, 1)
            assert all(map(is_alive, workers))


def _spin(url: str) -> None:
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ResponseError, match="killed"):
        client.eval("while true do end", 0)


def _await_busy(client: redis.Redis) -> None:
    def is_busy() -> bool:
        try:
            client.get("anything")
        except redis.ResponseError as error:
            return "busy" in str(error)
        return False

    await_that(is_busy)
