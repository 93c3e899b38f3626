"""What is told of a real worker: its life, its places and its tasks."""

from __future__ import annotations

import os
import signal

from stage import Stage, await_that

from bide.crew import Member, Role, crew
from bide.state import State


def _crew(stage: Stage) -> tuple[Member, ...]:
    return crew(stage.store, ("default", "other"), lambda _: False)


def test_a_worker_shows_its_tasks_and_free_places_until_it_leaves(stage: Stage) -> None:
    worker = stage.start_worker(concurrency=5, grace_seconds=10.0)
    ids = [stage.submit("wait_for_cancel", name="w") for _ in range(3)]
    for id in ids:
        stage.until(id, State.RUNNING)
    await_that(lambda: [(each.tasks_total, each.places_free) for each in _crew(stage)] == [(3, 2)])
    (member,) = _crew(stage)
    assert member.role is Role.WORKING
    assert 0 <= member.heard_ms <= member.age_ms
    assert {task.id for task in member.tasks} == set(ids)
    assert all(0 <= task.running_ms <= member.age_ms for task in member.tasks)
    assert {task.attempt for task in member.tasks} == {1}

    os.kill(worker, signal.SIGTERM)
    await_that(lambda: [each.role for each in _crew(stage)] == [Role.LEAVING])
    for id in ids:
        stage.store.cancel(id, "default")
    await_that(lambda: _crew(stage) == ())
    assert {stage.until(id).run.state for id in ids} == {State.CANCELLED}
