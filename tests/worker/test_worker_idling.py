"""An idle worker blocks on its bells; it does not ask again and again."""

from __future__ import annotations

import time

from fault_proxy import Fault, FaultProxy
from stage import SOON_MS, Stage, await_quiet, await_that

from bide.state import State

QUIET_S = 2.0


def test_an_idle_worker_makes_two_store_calls_a_second_at_most(stage: Stage, store_url: str) -> None:
    proxy = FaultProxy(store_url, 0, Fault.REPLY_LOST, lambda: None)
    stage.start_worker(proxy.url)
    listeners = [stage.store.keys.slot(queue, ("listeners",))[0] for queue in ("default", "other")]
    await_that(lambda: all(stage.store.command("ZCARD", key) for key in listeners))
    await_quiet(lambda: proxy.calls)
    before = proxy.calls
    time.sleep(QUIET_S)  # what does not happen cannot be awaited
    assert proxy.calls - before <= 2 * QUIET_S

    before = proxy.calls
    view = stage.until(stage.submit("succeed", name="s"))
    assert view.run.state is State.SUCCEEDED
    assert view.run.started_ms - view.submitted_ms < SOON_MS
    assert proxy.calls - before <= 10, "a lone task takes a bell, two exchanges, and the bells again"
    proxy.close()
