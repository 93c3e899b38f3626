"""A deploy, with workers of the code before it and of that after it: none of them fails the others' tasks."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from stage import Stage

from bide.ids import TaskId
from bide.records import Run
from bide.state import State
from bide.submission import Submission

PARK: dict[str, Any] = {"hot_wait_seconds": 0.0}
OLD: dict[str, Any] = {"tasks": ["program_tasks"]}
NEW: dict[str, Any] = {"tasks": ["program_tasks", "second_edition", "worker_tasks"], "environ": {"NEW": "1"}}
_keys = itertools.count()


def send(stage: Stage, id: TaskId) -> None:
    stage.store.send_event(id, "default", "go", b'"came"', key=str(next(_keys)))


def refused(stage: Stage, id: TaskId, code: str) -> Run:
    """Wait until a worker has refused it, and say how that left it."""
    run = stage.until(id, State.RETRYING).run
    error = stage.outcome(id)
    assert (error["code"], run.refused_ms > 0) == (code, True)
    assert " the task is left to workers with other code; then it fails." in error["message"]
    return run


def test_a_task_that_older_workers_do_not_know_runs_in_a_newer_one(stage: Stage) -> None:
    old = stage.start_worker(wish=OLD)
    ids = [stage.submit("succeed", name=f"n{number}") for number in range(3)]
    for id in ids:
        assert refused(stage, id, "UNKNOWN_TASK").attempt == 0
    stage.start_worker(wish=NEW)
    stage.end(old)
    for number, id in enumerate(ids):
        run = stage.until(id).run
        assert (run.state, run.attempt, run.refused_ms) == (State.SUCCEEDED, 1, 0)
        assert len(stage.effects(f"n{number}")) == 1


@pytest.mark.parametrize(
    ("task", "args", "code"),
    [("editions", {}, "UNKNOWN_TASK"), ("patch", {"name": "p"}, "CODE_CHANGED")],
    ids=["another version", "another journal"],
)
def test_a_task_begun_by_newer_code_is_not_failed_by_an_older_worker_that_resumes_it(
    stage: Stage, task: str, args: dict[str, str], code: str
) -> None:
    new = stage.start_worker(wish=NEW, **PARK)
    id = stage.submit(task, **args)
    stage.until(id, State.WAITING)
    stage.end(new)
    old = stage.start_worker(wish=OLD, **PARK)
    send(stage, id)
    run = refused(stage, id, code)
    assert (run.attempt, run.resumes) == (1, 1)
    stage.end(old)
    stage.start_worker(wish=NEW, **PARK)
    run = stage.until(id).run
    assert (run.state, run.attempt) == (State.SUCCEEDED, 1)
    if task == "patch":
        assert [len(stage.effects(f"p/{step}:ran")) for step in ("before", "added")] == [1, 1]


def test_a_task_whose_arguments_have_changed_waits_for_a_worker_that_takes_them(stage: Stage) -> None:
    stage.start_worker(wish=NEW)
    submission = Submission("succeed", '{"title": "old"}', "default", "default", 3, 60_000)
    id = stage.store.submit(submission).id
    assert refused(stage, id, "ARGUMENTS_OUTDATED").attempt == 0


def test_a_task_that_no_worker_knows_fails_when_the_last_could_have_come(stage: Stage) -> None:
    stage.start_worker(wish={**OLD, "patience_s": 1.5})
    id = stage.submit("succeed", name="n")
    run = stage.until(id).run
    assert (run.state, run.attempt, stage.outcome(id)["code"]) == (State.FAILED, 1, "UNKNOWN_TASK")
    assert run.refused_ms == 0


def test_a_refused_task_can_be_cancelled(stage: Stage) -> None:
    stage.start_worker(wish=OLD)
    id = stage.submit("succeed", name="n")
    refused(stage, id, "UNKNOWN_TASK")
    stage.store.cancel(id, "default")
    assert stage.until(id).run.state is State.CANCELLED
