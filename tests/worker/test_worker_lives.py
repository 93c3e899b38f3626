"""What becomes of tasks when a worker is killed, frozen, stopped, or loses its store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from stage import SHORT_LEASE, SOON_MS, Stage, Zygote, await_that, is_alive

from bide.clock import Clock
from bide.connection import connect
from bide.keys import Keys
from bide.state import State
from bide.store import Store
from local.store import EmbeddedStore


def test_a_killed_workers_task_goes_to_another_and_an_attempt_is_spent(stage: Stage) -> None:
    first = stage.start_worker(**SHORT_LEASE)
    id = stage.submit("doze", name="d", seconds=0.5)
    await_that(lambda: stage.effects("d"))
    stage.end(first, signal.SIGKILL)
    stage.start_worker(**SHORT_LEASE)
    view = stage.until(id)
    assert (view.run.state, view.run.attempt) == (State.SUCCEEDED, 2)
    assert stage.outcome(id) == stage.effects("d")[1]


def test_a_task_that_kills_its_workers_fails_and_its_neighbours_do_not(stage: Stage) -> None:
    innocents = [stage.submit("innocent", name=str(number)) for number in range(10)]
    killer = stage.submit("kill_worker", name="k")
    ids = (*innocents, killer)

    def done() -> bool:
        for _ in range(2 - sum(map(is_alive, stage.workers))):
            stage.start_worker(**SHORT_LEASE)
        return all(stage.state(id).done for id in ids)

    await_that(done, seconds=40)
    assert stage.outcome(killer)["code"] == "WORKER_LOST"
    assert len(stage.effects("k")) == stage.view(killer).run.max_attempts == 3
    assert {stage.state(id) for id in innocents} == {State.SUCCEEDED}


def test_a_frozen_workers_outcome_is_refused_once_it_thaws(stage: Stage) -> None:
    frozen = stage.start_worker(**SHORT_LEASE)
    id = stage.submit("doze", name="d", seconds=0.3)
    await_that(lambda: stage.effects("d"))
    os.kill(frozen, signal.SIGSTOP)
    stage.start_worker(**SHORT_LEASE)
    view = stage.until(id)
    os.kill(frozen, signal.SIGCONT)
    stage.end(frozen)
    first, second = stage.effects("d")
    assert stage.outcome(id) == second != first
    assert stage.view(id) == view


def test_leases_that_ran_out_while_frozen_are_not_started(stage: Stage) -> None:
    """One batch: a task that holds the loop up, and three that could start only after it."""
    stage.submit("compute", seconds=0.6)
    ids = [stage.submit("succeed", name=f"s{number}") for number in range(3)]
    frozen = stage.start_worker(**SHORT_LEASE)
    stage.until(ids[2], State.RUNNING)
    os.kill(frozen, signal.SIGSTOP)
    stage.start_worker(**SHORT_LEASE)
    for id in ids:
        stage.until(id)
    os.kill(frozen, signal.SIGCONT)
    stage.end(frozen)
    assert [len(stage.effects(f"s{number}")) for number in range(3)] == [1, 1, 1]


def test_a_worker_that_was_frozen_in_a_wait_does_not_repeat_what_another_has_done_meanwhile(
    stage: Stage,
) -> None:
    frozen = stage.start_worker(**SHORT_LEASE)
    ids = [stage.submit("nap_first", name=f"n{number}", seconds=1.2) for number in range(10)]
    await_that(lambda: all(stage.effects(f"n{number}:began") for number in range(10)))
    os.kill(frozen, signal.SIGSTOP)
    other = stage.start_worker(**SHORT_LEASE)
    for id in ids:
        stage.until(id)
    stage.end(other)
    os.kill(frozen, signal.SIGCONT)
    stage.until(stage.submit("succeed", name="s"))  # it goes on, and looks at those waits, too
    assert [len(stage.effects(f"n{number}:ran")) for number in range(10)] == [1] * 10
    assert {stage.state(id) for id in ids} == {State.SUCCEEDED}


def test_a_stopped_worker_finishes_what_it_can(stage: Stage) -> None:
    worker = stage.start_worker()
    id = stage.submit("doze", name="d", seconds=0.4)
    await_that(lambda: stage.effects("d"))
    stage.end(worker)
    assert stage.state(id) is State.SUCCEEDED


def test_a_stopped_worker_hands_the_rest_back_and_no_attempt_is_spent(stage: Stage) -> None:
    worker = stage.start_worker(grace_seconds=0.1)
    ids = [stage.submit("wait_for_cancel", name="a"), stage.submit("check_in_loop", name="b")]
    await_that(lambda: stage.effects("a") and stage.effects("b"))
    stage.end(worker)
    assert [(stage.state(id), stage.view(id).run.attempt) for id in ids] == [(State.READY, 0)] * 2


def test_a_stopped_worker_leaves_no_rows_behind(stage: Stage) -> None:
    worker = stage.start_worker()
    stage.until(stage.submit("succeed", name="s"))
    stage.end(worker)
    names = ("workers", "listeners", "ledgers", "signals", "bell")
    assert stage.store.command("EXISTS", *stage.store.keys.slot("default", names)) == 0


def test_an_idle_worker_leaves_where_it_may(stage: Stage) -> None:
    worker = stage.start_worker(stays=False)
    id = stage.submit("doze", name="d", seconds=0.6)
    await_that(lambda: not is_alive(worker))
    assert stage.state(id) is State.SUCCEEDED


def test_a_worker_that_stays_blocks_on_the_bell_and_starts_at_once(stage: Stage) -> None:
    stage.start_worker()
    listeners = stage.store.keys.slot("default", ("listeners",))[0]
    await_that(lambda: stage.store.command("ZCARD", listeners))
    view = stage.until(stage.submit("succeed", name="s"))
    assert view.run.started_ms - view.submitted_ms < SOON_MS


def test_nothing_is_lost_when_the_store_is_killed_and_comes_back(zygote: Zygote, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "data")
    url = store.start()
    stage = Stage(zygote, url, Store(connect(url), Keys("bide"), Clock()), "bide", tmp_path / "effects")
    try:
        stage.start_worker(lease_seconds=5)
        ids = [stage.submit("doze", name=f"d{number}", seconds=0.2) for number in range(20)]
        later = stage.submit("succeed", delay_ms=600, name="l")
        await_that(lambda: all(stage.effects(f"d{number}") for number in range(20)))
        os.kill(store.pid, signal.SIGKILL)
        store.wait()
        store.start()
        for id in (*ids, later):
            assert stage.until(id).run.state is State.SUCCEEDED
    finally:
        stage.close()
        store.stop()


def test_a_worker_says_in_one_line_when_its_store_is_away(tmp_path: Path) -> None:
    """It waits for the store; it does not end with a traceback."""
    code = (
        "import asyncio; from bide.worker.worker import Worker; from bide.settings import Settings\n"
        "from bide import registry\n"
        "async def main():\n"
        "    worker = Worker(Settings(), registry.load((), local=True), 'redis://127.0.0.1:1')\n"
        "    asyncio.get_running_loop().call_later(1, worker.stop)\n"
        "    await worker.run()\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("queue default: waiting for the store") == 1
