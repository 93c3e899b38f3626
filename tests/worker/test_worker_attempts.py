"""Attempts of real workers, told afterwards; and what a retry makes of a task that had failed."""

from __future__ import annotations

from stage import SHORT_LEASE, Stage, await_that, is_alive

from bide.history import Outcome
from bide.state import State


def test_a_task_that_fails_three_times_tells_each_and_can_be_retried(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("fail_until", attempts=3)
    assert stage.until(id).run.state is State.FAILED
    history = stage.reads.attempts(id, "default")
    assert [(each.number, each.outcome) for each in history.attempts] == [
        (1, Outcome.RETRYING),
        (2, Outcome.RETRYING),
        (3, Outcome.FAILED),
    ]
    assert {(each.code, each.message) for each in history.attempts} == {
        ("TASK_FAILED", "ValueError: not yet")
    }
    assert all(0 < each.began_ms <= each.ended_ms for each in history.attempts)
    assert len({each.worker for each in history.attempts} - {""}) == 1
    assert "fail_until" in history.traceback
    stage.store.retry(id, "default")
    view = stage.until(id, State.SUCCEEDED)
    assert (view.run.attempt, view.run.max_attempts) == (4, 6)
    assert stage.outcome(id) == 4
    last = stage.reads.attempts(id, "default").attempts[-1]
    assert (last.number, last.outcome) == (4, Outcome.SUCCEEDED)


def test_attempts_whose_workers_died_are_lost_and_a_retry_succeeds(stage: Stage) -> None:
    id = stage.submit("kill_until", attempts=2)

    def done() -> bool:
        if not any(map(is_alive, stage.workers)):
            stage.start_worker(**SHORT_LEASE)
        return stage.state(id).done

    await_that(done, seconds=40)
    assert stage.outcome(id)["code"] == "WORKER_LOST"
    history = stage.reads.attempts(id, "default").attempts
    assert [(each.number, each.outcome) for each in history] == [(1, Outcome.LOST), (2, Outcome.LOST)]
    assert len({each.worker for each in history}) == 2
    stage.store.retry(id, "default")
    view = stage.until(id)
    assert (view.run.state, stage.outcome(id)) == (State.SUCCEEDED, 3)
    assert [each.outcome for each in stage.reads.attempts(id, "default").attempts][2:] == [Outcome.SUCCEEDED]


def test_a_retried_task_has_as_many_attempts_as_at_first(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("fail_until", attempts=5)
    assert stage.until(id).run.attempt == 3
    stage.store.retry(id, "default")
    view = stage.until(id, State.SUCCEEDED)
    assert (view.run.attempt, stage.outcome(id)) == (6, 6)
