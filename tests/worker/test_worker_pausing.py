"""Workers of a paused queue: they end what they run, idle quietly, may leave, and go on once resumed."""

from __future__ import annotations

import time

from fault_proxy import Fault, FaultProxy
from stage import SOON_MS, Stage, await_quiet, await_that, is_alive

from bide.state import State

QUIET_S = 2.0


def test_a_worker_idles_on_a_paused_queue_and_goes_on_when_it_is_resumed(
    stage: Stage, store_url: str
) -> None:
    stage.store.pause("default", True)
    ids = [stage.submit("succeed", name="s") for _ in range(5)]
    proxy = FaultProxy(store_url, 0, Fault.REPLY_LOST, lambda: None)
    stage.start_worker(proxy.url)
    listeners = [stage.store.keys.slot(queue, ("listeners",))[0] for queue in ("default", "other")]
    await_that(lambda: all(stage.store.command("ZCARD", key) for key in listeners))
    await_quiet(lambda: proxy.calls)
    before = proxy.calls
    until = time.monotonic() + QUIET_S
    while time.monotonic() < until:  # what does not happen cannot be awaited
        ids += [stage.submit("succeed", name="s"), stage.submit("succeed", name="s", delay_ms=20)]
        stage.store.tick("default", 0)
        time.sleep(0.05)
    assert proxy.calls - before <= 2 * QUIET_S
    assert stage.effects("s") == []

    resumed_ms = stage.store.now_ms()
    stage.store.pause("default", False)
    views = [stage.until(id) for id in ids]
    assert {view.run.state for view in views} == {State.SUCCEEDED}
    assert min(view.run.started_ms for view in views) - resumed_ms < SOON_MS, "the bell was rung"
    proxy.close()


def test_a_task_that_runs_when_its_queue_is_paused_ends_as_ever(stage: Stage) -> None:
    stage.start_worker()
    running = stage.submit("doze", name="d", seconds=0.3)
    await_that(lambda: stage.effects("d"))
    stage.store.pause("default", True)
    later = stage.submit("succeed", name="s")
    assert stage.until(running).run.state is State.SUCCEEDED
    assert stage.state(later) is State.READY
    assert stage.effects("s") == []


def test_a_worker_that_may_leave_does_although_tasks_of_a_paused_queue_are_left(stage: Stage) -> None:
    stage.store.pause("default", True)
    ids = [stage.submit("succeed", name="s"), stage.submit("succeed", name="s", delay_ms=60_000)]
    worker = stage.start_worker(stays=False)
    await_that(lambda: not is_alive(worker))
    assert stage.wakes("start") == []
    assert stage.wakes("alarm") == []
    assert [stage.state(id) for id in ids] == [State.READY, State.SCHEDULED]


def test_other_queues_go_on(stage: Stage) -> None:
    stage.store.pause("default", True)
    stage.submit("succeed", name="s")
    stage.start_worker()
    other = stage.submit("succeed", name="o", queue="other")
    assert stage.until(other).run.state is State.SUCCEEDED
    assert stage.effects("s") == []
