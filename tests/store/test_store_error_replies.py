"""Whatever error the store answers, each client understands it by its code, and nothing ends by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hand_clock import HandClock
from refusals import FAULTS, REFUSALS
from scripted_worker import ScriptedWorker
from store_proxy import RefusingProxy
from submissions import Submit

from bide.async_connection import connect_async
from bide.connection import PAUSES_S, connect
from bide.error_replies import DISCARDED, NoScript, Passing, explain
from bide.errors import ScriptError, StoreUnavailable
from bide.keys import Keys
from bide.store import Store
from bide.upkeep import Caretaker
from bide.wake import NoWake, Waker
from bide.worker.heartbeat import Heartbeat

pytestmark = pytest.mark.plain_tcp


@pytest.fixture(scope="module")
def proxy(store_url: str) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy(store_url)
    yield proxy
    proxy.close()


@pytest.fixture
def behind(proxy: RefusingProxy, prefix: str, clock: HandClock, store: Store) -> Iterator[Store]:
    """The same store, by way of the proxy."""
    behind = Store(connect(proxy.url), Keys(prefix), clock)
    yield behind
    proxy.lift()
    behind.client.close()


@pytest.mark.parametrize(("said", "words"), REFUSALS.items())
def test_a_reply_is_understood_by_its_code(said: str, words: str) -> None:
    error = explain(said)
    assert isinstance(error, StoreUnavailable)
    assert words in str(error)


@pytest.mark.parametrize("said", FAULTS)
def test_a_fault_of_ours_is_told_from_the_stores_state(said: str) -> None:
    assert isinstance(explain(said), ScriptError)


@pytest.mark.parametrize(("said", "words"), REFUSALS.items())
def test_a_thread_hears_why_and_goes_on_when_it_is_over(
    proxy: RefusingProxy, behind: Store, said: str, words: str
) -> None:
    for ask in (
        lambda: behind.client.execute_command("ECHO", "a"),
        lambda: behind.client.transaction(("ECHO", "a"), ("ECHO", "b")),
        lambda: behind.slots(),
        lambda: behind.each_slot("depth", ["default"]),
    ):
        proxy.refuse(said)
        with pytest.raises(StoreUnavailable) as refused:
            ask()
        assert words in str(refused.value)
        proxy.lift()
        ask()


@pytest.mark.parametrize(("said", "words"), REFUSALS.items())
def test_a_loop_hears_why_and_goes_on_when_it_is_over(
    proxy: RefusingProxy, runner: asyncio.Runner, said: str, words: str
) -> None:
    async def ask(reply_s: float | None) -> None:
        client = connect_async(proxy.url, reply_s=reply_s)
        proxy.refuse(said)
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as refused:
                await client.execute_command("ECHO", "a")
            # Of a reply that redis-py cannot read the code alone is known.
            assert words in str(refused.value)
        proxy.lift()
        assert await client.execute_command("ECHO", "a") == b"a"
        await client.aclose()

    for reply_s in (3.0, None):
        runner.run(ask(reply_s))


@pytest.mark.parametrize("said", FAULTS)
def test_a_fault_of_ours_is_one_to_each_kind_of_client(
    proxy: RefusingProxy, behind: Store, runner: asyncio.Runner, said: str
) -> None:
    async def ask() -> Any:
        client = connect_async(proxy.url)
        try:
            return await client.execute_command("ECHO", "a")
        finally:
            await client.aclose()

    proxy.refuse(said, "ECHO")
    for attempt in (lambda: behind.command("ECHO", "a"), lambda: runner.run(ask())):
        with pytest.raises(ScriptError):
            attempt()


@pytest.mark.parametrize("said", [said for said in REFUSALS if isinstance(explain(said), Passing)])
def test_a_state_that_passes_is_met_with_another_try(
    proxy: RefusingProxy, behind: Store, runner: asyncio.Runner, said: str
) -> None:
    """It is over as soon as the first try has met it."""

    def once(ask: Callable[[], Any]) -> Any:
        proxy.refuse(said, "ECHO")
        lifting = threading.Thread(target=lambda: (proxy.await_refusals(1), proxy.lift()))
        lifting.start()
        for _ in range(5):  # on a slow machine it is lifted after all tries
            try:
                return ask()
            except StoreUnavailable:
                continue
            finally:
                lifting.join()
        return None

    client = connect_async(proxy.url)
    assert once(lambda: behind.command("ECHO", "a")) == b"a"
    assert once(lambda: runner.run(client.execute_command("ECHO", "a"))) == b"a"
    runner.run(client.aclose())


@pytest.mark.parametrize(
    ("said", "tries"),
    [
        ("TRYAGAIN Multiple keys request", 1 + len(PAUSES_S)),
        ("OOM command not allowed", 1),
        ("BUSY it is", 1),
    ],
)
def test_what_no_second_try_would_help_is_asked_once(
    proxy: RefusingProxy, behind: Store, runner: asyncio.Runner, said: str, tries: int
) -> None:
    async def ask() -> None:
        client = connect_async(proxy.url)
        try:
            await client.execute_command("ECHO", "a")
        finally:
            await client.aclose()

    for attempt in (lambda: behind.command("ECHO", "a"), lambda: runner.run(ask())):
        proxy.refuse(said, "ECHO")
        with pytest.raises(StoreUnavailable):
            attempt()
        assert proxy.refused == tries


def test_a_transaction_tells_what_one_of_its_commands_was_refused_with(
    proxy: RefusingProxy, behind: Store, prefix: str
) -> None:
    proxy.refuse("OOM command not allowed when used memory > 'maxmemory'.", "RPUSH")
    with pytest.raises(StoreUnavailable, match="is full"):
        behind.client.transaction(("RPUSH", f"{prefix}:a", "1"), ("EXPIRE", f"{prefix}:a", 60))
    proxy.refuse(f"{DISCARDED} Transaction discarded because of previous errors.", "EXEC")
    with pytest.raises(ScriptError, match="unknown command"):
        behind.client.transaction(("NO-SUCH-COMMAND",))


def test_an_error_among_the_replies_of_a_transaction_is_one(behind: Store, prefix: str) -> None:
    key = f"{prefix}:text"
    with pytest.raises(ScriptError, match="WRONGTYPE"):
        behind.client.transaction(("SET", key, "a", "EX", 60), ("RPUSH", key, "b"), ("GET", key))
    assert behind.command("GET", key) == b"a"


def test_a_script_that_stays_unknown_is_no_fault_of_ours(proxy: RefusingProxy, behind: Store) -> None:
    proxy.refuse("NOSCRIPT No matching script.", "EVALSHA", "EVAL")
    with pytest.raises(NoScript):
        behind.slot_script("depth", "default")
    with pytest.raises(NoScript):
        behind.each_slot("depth", ["default"])


def test_a_cancel_that_is_recorded_is_answered_though_nobody_can_be_rung(
    proxy: RefusingProxy, behind: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    id = submit()
    assert worker.lease()
    proxy.refuse("OOM command not allowed when used memory > 'maxmemory'.", "RPUSH", "MULTI", "EXEC")
    assert behind.cancel(id, "").now is False
    assert proxy.refused


def test_a_heartbeat_outlives_every_refusal(proxy: RefusingProxy, behind: Store) -> None:
    lost = threading.Semaphore(0)
    heartbeat = Heartbeat(
        behind, "worker", 0.3,
        held=lambda: [("default", [(b"\1" * 16, 1)])], stalled_s=lambda: 0.0,
        on_renewed=lambda *_: None, on_lost=lambda *_: lost.release(), on_cancel=lambda *_: None,
    )  # fmt: skip
    heartbeat.start()
    try:
        for said in (*REFUSALS, *FAULTS):
            proxy.refuse(said, "EVALSHA", "EVAL")
            proxy.await_refusals(2)
            proxy.lift()
            while lost.acquire(blocking=False):
                pass
            assert lost.acquire(timeout=60), f"it is silent after {said}"
    finally:
        heartbeat.stop()


def test_a_tick_bears_every_refusal(proxy: RefusingProxy, behind: Store) -> None:
    """What calls it, the tick's process and the triggers, waits out a StoreError."""
    caretaker = Caretaker(behind, Waker(behind, NoWake()))
    for said in REFUSALS:
        proxy.refuse(said)
        with pytest.raises(StoreUnavailable):
            caretaker.look(1000)
        proxy.lift()
        assert caretaker.look(1000).complete


def test_the_damage_of_one_queue_keeps_no_other_from_its_upkeep(
    store: Store, submit: Submit, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    for queue in ("a", "b", "c"):
        submit(queue=queue, delay_ms=10)
    store.command("DEL", store.keys.slot("b", ("due",))[0])
    store.command("SET", store.keys.slot("b", ("due",))[0], "damaged", "EX", 60)
    clock.ms += 20
    for _ in range(3):  # each look begins with another queue
        report = Caretaker(store, Waker(store, NoWake())).look(1000)
        assert not report.complete
    depths = {queue: store.each_slot("depth", [queue])[queue] for queue in ("a", "c")}
    assert all(depths.values())
    ready = [store.command("ZCARD", store.keys.slot(queue, ("ready",))[0]) for queue in ("a", "c")]
    assert ready == [1, 1]
    assert "queue b has no upkeep" in caplog.text
