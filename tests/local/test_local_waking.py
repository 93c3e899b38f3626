"""Workers come when there is something to do, and only then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests
from stack_process import Package, StackProcess, gone

from bide.clock import Clock
from bide.connection import connect
from bide.keys import Keys
from bide.settings import DEFAULT_QUEUE, Settings
from bide.store import Store
from bide.submission import Submission

Start = Callable[..., StackProcess]

ON_DEMAND = {"BIDE_WORKERS_MIN": "0", "BIDE_IDLE_SECONDS": "0.2"}
WITHOUT_TICK = {**ON_DEMAND, "BIDE_TICK_SECONDS": "3600"}
"""The tick looks once at its start; what happens later, only a wake or an alarm can have done."""

ASKING = """
from bide import Context, task

@task
async def asking(ctx: Context) -> dict:
    return await ctx.event("approved", timeout="1h")
"""


BUSY = """
import time
from bide import task

@task
def busy(seconds: float) -> float:
    time.sleep(seconds)
    return seconds
"""


def workers(stack: StackProcess) -> list[psutil.Process]:
    return stack.members("local.worker")


def submit_in(stack: StackProcess, seconds: float) -> str:
    """A task that is due only then; returns its id."""
    body = {"name": "echo", "args": {"value": seconds}, "delay": seconds}
    answer = requests.post(f"{stack.url}/v1/tasks", json=body, timeout=10)
    assert answer.status_code == 202
    id: str = answer.json()["id"]
    return id


def until(condition: Callable[[], bool], at_most: float = 30.0) -> None:
    deadline = time.monotonic() + at_most
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until_done(stack: StackProcess, task: str) -> None:
    until(lambda: stack.show(task)["done"])
    assert stack.show(task)["state"] == "succeeded"


def store_of(stack: StackProcess) -> Store:
    """The stack's store, as a process has it whose wakes reach nobody."""
    environ = stack.members("local.tick")[0].environ()
    return Store(connect(environ["BIDE_REDIS_URL"]), Keys(Settings().prefix), Clock())


def submit_unheard(stack: StackProcess, delay_ms: int = 0) -> str:
    """A submission that nobody is woken for; returns the task's id."""
    submission = Submission(
        name="echo", args='{"value": "unheard"}', queue=DEFAULT_QUEUE, tenant="default",
        max_attempts=1, retention_ms=60_000, delay_ms=delay_ms,
    )  # fmt: skip
    return str(store_of(stack).submit(submission).id)


@pytest.fixture
def awake_by_wakes_alone(start: Start) -> StackProcess:
    return start(**WITHOUT_TICK).ready()


def test_a_submission_starts_a_worker_which_leaves_when_it_is_done(
    awake_by_wakes_alone: StackProcess,
) -> None:
    stack = awake_by_wakes_alone
    assert workers(stack) == []
    assert stack.submit("echo", value="woken", wait=20).json()["result"] == "woken"
    assert gone(workers(stack), 20)
    assert stack.submit("echo", value="again", wait=20).json()["result"] == "again"
    assert gone(workers(stack), 20)


def test_no_worker_is_there_until_a_task_is_due_and_one_is_then(awake_by_wakes_alone: StackProcess) -> None:
    stack = awake_by_wakes_alone
    task = submit_in(stack, 2)
    assert stack.show(task)["state"] == "scheduled"
    assert workers(stack) == []
    until_done(stack, task)
    until(lambda: not workers(stack))


def test_an_earlier_due_time_has_an_alarm_of_its_own(awake_by_wakes_alone: StackProcess) -> None:
    stack = awake_by_wakes_alone
    late, early = submit_in(stack, 3600), submit_in(stack, 1)
    until_done(stack, early)
    assert stack.show(late)["state"] == "scheduled"
    until(lambda: not workers(stack))


def test_a_worker_that_leaves_sets_the_alarm_for_what_is_due_next(awake_by_wakes_alone: StackProcess) -> None:
    stack = awake_by_wakes_alone
    first, second = submit_in(stack, 1), submit_in(stack, 4)
    until_done(stack, first)
    assert gone(workers(stack), 20)
    until_done(stack, second)


def test_a_task_that_waits_holds_no_worker_and_goes_on_in_time(awake_by_wakes_alone: StackProcess) -> None:
    stack = awake_by_wakes_alone
    task = stack.submit("sleep", wait=0, seconds=4).json()["id"]
    until(lambda: stack.show(task)["state"] == "waiting" and not workers(stack))
    until_done(stack, task)
    assert stack.show(task)["attempt"] == 1
    until(lambda: not workers(stack))


def test_an_event_wakes_a_worker_for_the_task_that_waits_for_it(
    start: Start, package: Package, tmp_path: Path
) -> None:
    package.save("asking", ASKING)
    found = {"BIDE_TASKS": f"workers.tasks,{package.name}", "PYTHONPATH": str(tmp_path)}
    stack = start(**WITHOUT_TICK, **found).ready()
    task = stack.submit("asking", wait=0).json()["id"]
    until(lambda: stack.show(task)["state"] == "waiting" and not workers(stack))
    sent = requests.post(f"{stack.url}/v1/tasks/{task}/events/approved", json={"by": "me"}, timeout=10)
    assert sent.ok
    until_done(stack, task)
    assert stack.show(task)["result"] == {"by": "me"}


def test_a_wake_is_not_lost_on_a_worker_that_is_just_leaving(awake_by_wakes_alone: StackProcess) -> None:
    stack = awake_by_wakes_alone
    store = store_of(stack)
    rows = store.keys.slot(DEFAULT_QUEUE, ("workers",))[0]
    stack.submit("echo", value="first", wait=20)
    for turn in range(5):
        while store.command("ZCARD", rows):  # until it has taken its leave; its process is still there
            time.sleep(0.001)
        assert stack.submit("echo", value=turn, wait=20).json()["result"] == turn


def test_what_a_killed_worker_held_wakes_another_when_its_lease_has_ended(start: Start) -> None:
    stack = start(**WITHOUT_TICK, BIDE_LEASE_SECONDS="0.5").ready()
    task = stack.submit("sleep", wait=0, seconds=1).json()["id"]
    stack.wait_until_running(task)
    workers(stack)[0].kill()
    until_done(stack, task)
    assert stack.show(task)["attempt"] == 2


def test_a_burst_starts_the_workers_that_it_needs_and_no_more_than_may_be(
    start: Start, package: Package, tmp_path: Path
) -> None:
    package.save("busy", BUSY)
    found = {"BIDE_TASKS": f"workers.tasks,{package.name}", "PYTHONPATH": str(tmp_path)}
    stack = start(**WITHOUT_TICK, BIDE_WORKERS_MAX="3", BIDE_CONCURRENCY="2", **found).ready()
    tasks = [stack.submit("busy", wait=0, seconds=4).json()["id"] for _ in range(3)]
    until(lambda: len(workers(stack)) == 2)
    tasks += [stack.submit("busy", wait=0, seconds=4).json()["id"] for _ in range(7)]
    until(lambda: len(workers(stack)) == 3)
    for task in tasks:
        until_done(stack, task)
        assert len(workers(stack)) <= 3
    until(lambda: not workers(stack))


def test_workers_beyond_those_that_are_kept_leave_when_it_is_over(
    start: Start, package: Package, tmp_path: Path
) -> None:
    package.save("busy", BUSY)
    found = {"BIDE_TASKS": f"workers.tasks,{package.name}", "PYTHONPATH": str(tmp_path)}
    limits = {"BIDE_WORKERS_MIN": "1", "BIDE_WORKERS_MAX": "3", "BIDE_CONCURRENCY": "1"}
    stack = start(**limits, BIDE_IDLE_SECONDS="0.2", **found).ready()
    for _ in range(3):
        stack.submit("busy", wait=0, seconds=2)
    until(lambda: len(workers(stack)) == 3)
    until(lambda: len(workers(stack)) == 1)
    assert stack.submit("echo", value="kept", wait=20).json()["result"] == "kept"


def test_workers_that_are_killed_again_and_again_make_room_for_others(start: Start) -> None:
    stack = start(BIDE_WORKERS_MIN="1", BIDE_WORKERS_MAX="1", BIDE_TICK_SECONDS="3600").ready()
    for turn in range(3):
        assert stack.submit("echo", value=turn, wait=20).json()["result"] == turn
        (worker,) = workers(stack)
        worker.kill()
        assert gone([worker], 20)


def test_the_tick_makes_up_for_a_lost_wake(start: Start) -> None:
    stack = start(**ON_DEMAND, BIDE_TICK_SECONDS="0.2").ready()
    until_done(stack, submit_unheard(stack))
    until(lambda: not workers(stack))


def test_the_tick_makes_up_for_a_lost_alarm(start: Start) -> None:
    stack = start(**ON_DEMAND, BIDE_TICK_SECONDS="0.2").ready()
    until_done(stack, submit_unheard(stack, delay_ms=1000))
    until(lambda: not workers(stack))


def test_alarms_outlive_the_stack_that_set_them(start: Start) -> None:
    stack = start(**WITHOUT_TICK).ready()
    task = submit_in(stack, 5)
    stack.interrupt()
    again = start(stack.port, **WITHOUT_TICK).ready()
    until_done(again, task)


def test_work_that_an_earlier_stack_has_left_wakes_a_worker(start: Start) -> None:
    stack = start(**WITHOUT_TICK).ready()
    task = submit_unheard(stack)
    stack.interrupt()
    again = start(stack.port, **WITHOUT_TICK).ready()
    until_done(again, task)


def test_a_reload_with_no_worker_awake_starts_none_and_wakes_go_on(
    start: Start, package: Package, tmp_path: Path
) -> None:
    found = {"BIDE_TASKS": f"workers.tasks,{package.name}", "PYTHONPATH": str(tmp_path)}
    stack = start(**WITHOUT_TICK, **found).ready()
    package.save("fresh", "from bide import task\n\n\n@task\ndef fresh() -> int:\n    return 1\n")
    stack.wait_for("  reloaded: ")
    assert workers(stack) == []
    assert stack.submit("fresh", wait=20).json()["result"] == 1
