"""How attempts end: what a task returns or raises, its timeout, its cancel."""

from __future__ import annotations

import json
import signal

import pytest
from stage import SOON_MS, Stage, await_that

from bide.records import Failure
from bide.state import State
from bide.submission import Submission


@pytest.fixture(autouse=True)
def _one_worker(stage: Stage) -> None:
    stage.start_worker()


def failure(stage: Stage, task: str, **args: object) -> Failure:
    """The error of a task that has failed."""
    id = stage.submit(task, **args)
    assert stage.until(id).run.state is State.FAILED
    return Failure(**stage.outcome(id))


def test_the_result_is_what_the_task_returned(stage: Stage) -> None:
    id = stage.submit("returns", what="fine")
    view = stage.until(id)
    assert view.run.state is State.SUCCEEDED
    assert stage.outcome(id) == {"list": [1, 2.5, None, "ä"]}
    assert view.submitted_ms <= view.run.started_ms <= view.run.finished_ms


def test_a_failed_attempt_is_followed_by_another(stage: Stage) -> None:
    id = stage.submit("fail_once", name="f")
    assert stage.until(id).run.attempt == 2
    assert stage.effects("f")[-1] == stage.outcome(id)


def test_reject_fails_for_good(stage: Stage) -> None:
    assert failure(stage, "reject", name="r") == Failure("REJECTED", "no")
    assert len(stage.effects("r")) == 1


def test_retry_after_chooses_the_delay(stage: Stage) -> None:
    view = stage.until(stage.submit("ask_for_later"))
    assert view.run.attempt == 2
    assert view.run.finished_ms - view.run.started_ms >= 200


@pytest.mark.parametrize("task", ["too_slow", "too_slow_in_thread"])
def test_an_attempt_that_takes_too_long_fails(stage: Stage, task: str) -> None:
    error = failure(stage, task)
    assert error.code == "TIMEOUT"
    assert "0.05 s" in error.message


@pytest.mark.parametrize(
    ("what", "said"),
    [("exit", "SystemExit: 3"), ("interrupt", "KeyboardInterrupt"), ("cancelled", "CancelledError")],
)
def test_what_would_end_a_process_fails_the_task_alone(stage: Stage, what: str, said: str) -> None:
    neighbour = stage.submit("doze", name="n", seconds=0.3)
    assert said in failure(stage, "raises", what=what).message
    assert stage.until(neighbour).run.attempt == 1


def test_a_thread_that_exits_fails_its_task_alone(stage: Stage) -> None:
    assert "SystemExit: 3" in failure(stage, "raises_in_thread").message


def test_a_failure_shows_where_it_arose(stage: Stage) -> None:
    error = failure(stage, "raises", what="this")
    assert error.message == "ValueError: this"
    assert "worker_tasks.py" in error.traceback


def test_a_message_that_json_cannot_hold_is_mended(stage: Stage) -> None:
    assert failure(stage, "raises", what="surrogate").message == "ValueError: ?"


@pytest.mark.parametrize(
    ("what", "code"),
    [("object", "RESULT_NOT_JSON"), ("surrogate", "RESULT_NOT_JSON"), ("large", "RESULT_TOO_LARGE")],
)
def test_a_result_that_cannot_be_kept_fails_for_good(stage: Stage, what: str, code: str) -> None:
    id = stage.submit("returns", what=what)
    view = stage.until(id)
    assert (view.run.state, view.run.attempt) == (State.FAILED, 1)
    assert stage.outcome(id)["code"] == code


def test_arguments_of_an_older_signature_are_shown_beside_the_new_one(stage: Stage) -> None:
    args = json.dumps({"title": "old"})
    id = stage.store.submit(Submission("succeed", args, "default", "default", 3, 60_000)).id
    assert stage.until(id, State.RETRYING).run.attempt == 0  # left for a worker with other code
    error = stage.outcome(id)
    assert error["code"] == "ARGUMENTS_OUTDATED"
    assert '{"title": "old"}' in error["message"]
    assert "succeed(name: str)" in error["message"]


def test_a_task_that_the_worker_does_not_know_is_left_for_one_that_does(stage: Stage) -> None:
    id = stage.store.submit(Submission("newer", "{}", "default", "default", 3, 60_000)).id
    stage.until(id, State.RETRYING)
    assert stage.outcome(id)["code"] == "UNKNOWN_TASK"


@pytest.mark.parametrize("task", ["wait_for_cancel", "check_in_loop"])
def test_a_running_task_is_cancelled_at_once(stage: Stage, task: str) -> None:
    id = stage.submit(task, name="c")
    await_that(lambda: stage.effects("c"))
    now_ms = stage.store.now_ms()
    assert not stage.store.cancel(id, "default").now
    view = stage.until(id)
    assert view.run.state is State.CANCELLED
    assert view.run.finished_ms - now_ms < 5_000, "not with the next heartbeat"


def test_tasks_of_all_queues_are_run(stage: Stage) -> None:
    id = stage.submit("elsewhere")
    assert stage.until(id).queue == "other"


def test_a_delayed_task_starts_in_its_time(stage: Stage) -> None:
    id = stage.submit("succeed", delay_ms=300, name="d")
    assert stage.state(id) is State.SCHEDULED
    view = stage.until(id)
    assert 0 <= view.run.started_ms - (view.submitted_ms + 300) < SOON_MS


def test_computing_on_the_loop_costs_neighbours_no_lease(stage: Stage) -> None:
    """The heartbeat has a thread of its own; the computation lasts three leases."""
    neighbour = stage.submit("doze", name="n", seconds=2)
    await_that(lambda: stage.effects("n"))
    computing = stage.submit("compute", seconds=1.8)
    while not stage.state(neighbour).done:
        assert stage.store.tick("default", 0).reaped == 0
    assert stage.view(neighbour).run.attempt == 1
    assert stage.until(computing).run.attempt == 1


def test_no_more_tasks_run_at_once_than_allowed(stage: Stage) -> None:
    stage.end(stage.workers[0], signal.SIGKILL)
    stage.start_worker(concurrency=3)
    ids = [stage.submit("doze", name="n", seconds=0.1) for _ in range(9)]
    (leased,) = stage.store.keys.slot("default", ("leased",))
    most = 0
    while stage.reads.depth("default").tasks[State.SUCCEEDED] < len(ids):
        most = max(most, stage.store.command("ZCARD", leased))
    assert most == 3
