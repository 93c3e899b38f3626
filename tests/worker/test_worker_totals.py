"""What real workers report of themselves: how many were started, and for how long they lived."""

from __future__ import annotations

import time

from stage import Stage, await_that


def test_each_worker_is_counted_once_and_its_whole_life(stage: Stage) -> None:
    began = time.monotonic()
    for number in (1, 2):
        worker = stage.start_worker()
        stage.until(stage.submit("innocent", name=str(number)))
        stage.end(worker)
    lived_ms = (time.monotonic() - began) * 1000
    tally = stage.reads.tally(["other"])
    assert tally.total.starts == 2
    assert {part.starts for part in tally.queues.values()} == {2}
    assert 0 < tally.total.worker_ms <= lived_ms + 1_000
    assert sum(day.worker_ms for day in tally.days.values()) == tally.total.worker_ms


def test_what_its_tasks_were_charged_is_part_of_a_workers_life(stage: Stage) -> None:
    worker = stage.start_worker()
    for name in ("a", "b"):
        stage.submit("doze", name=name, seconds=0.2)
    await_that(lambda: stage.reads.totals().succeeded == 2)
    stage.end(worker)
    totals = stage.reads.tally(["other"]).total
    assert 0 < totals.billed_us <= totals.worker_ms * 1000
