"""What a saved file does to a running stack."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from stack_process import Package, StackProcess

Start = Callable[..., StackProcess]

TASK = "from bide import task\n\n\n@task\nasync def {name}(value: int) -> int:\n    return value + {more}\n"


@pytest.fixture
def stack(start: Start, package: Package, tmp_path: Path) -> StackProcess:
    """A stack that also finds tasks in `package`."""
    return start(BIDE_TASKS=f"workers.tasks,{package.name}", PYTHONPATH=str(tmp_path)).ready()


def until(condition: Callable[[], bool], at_most: float = 60.0) -> float:
    """Wait for it; returns how many seconds that took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + at_most
        time.sleep(0.02)
    return time.monotonic() - begun


def test_a_saved_task_can_be_submitted_soon(stack: StackProcess, package: Package) -> None:
    """Within two seconds, says the README; on a machine that has nothing else to do."""
    stack.submit("echo", value="warm")
    package.save("fresh", TASK.format(name="fresh", more=1))
    took = until(lambda: stack.submit("fresh", wait=0, value=1).status_code == 202)
    assert took < 10
    assert stack.submit("fresh", value=1).json()["result"] == 2


def test_a_task_saved_again_within_the_same_second_runs_as_saved_last(
    stack: StackProcess, package: Package
) -> None:
    for more in (1, 2, 3):
        seen = len(stack.lines)
        package.save("fresh", TASK.format(name="fresh", more=more))
        stack.wait_for(r"reloaded: .*fresh\.py", after=seen)
        assert stack.submit("fresh", value=0).json()["result"] == more


def test_a_broken_module_is_named_with_its_line_once_and_the_rest_goes_on(
    stack: StackProcess, package: Package
) -> None:
    path = package.save("broken", "import os\nimport nowhere_to_be_found\n")
    stack.wait_for(rf"{path}:2: ModuleNotFoundError: .*nowhere_to_be_found")
    stack.wait_for(r"reloaded: .*broken\.py")
    assert stack.submit("echo", value="still here").json()["result"] == "still here"
    assert sum("nowhere_to_be_found" in line for line in stack.lines) == 1

    package.save("broken", "def (:\n")
    stack.wait_for(rf"{path}:1: SyntaxError")
    assert stack.submit("echo", value="still here").json()["result"] == "still here"

    package.save("broken", TASK.format(name="mended", more=1))
    stack.wait_for("every task module loads again")
    until(lambda: stack.submit("mended", wait=0, value=1).status_code == 202)


def test_no_request_fails_while_processes_are_swapped(stack: StackProcess, package: Package) -> None:
    failures: list[str] = []
    answered = [0] * 4
    done = threading.Event()

    def ask(number: int) -> None:
        with requests.Session() as session:
            while not done.is_set():
                try:
                    answer = session.post(
                        f"{stack.url}/v1/tasks", json={"name": "echo", "args": {"value": number}}, timeout=10
                    )
                    answered[number] += 1
                    if answer.status_code != 202:
                        failures.append(answer.text)
                except requests.RequestException as error:
                    failures.append(repr(error))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(len(answered))]
    for client in clients:
        client.start()
    for more in (1, 2):
        old = {process.pid for process in stack.members("local.api")}
        seen = len(stack.lines)
        package.save("fresh", TASK.format(name="fresh", more=more))
        stack.wait_for(r"reloaded: ", after=seen)
        until(lambda old=old: not old & {process.pid for process in stack.members("local.api")})
    done.set()
    for client in clients:
        client.join()
    assert failures == []
    assert min(answered) > 0


def test_a_running_task_finishes_although_its_worker_is_replaced(
    stack: StackProcess, package: Package
) -> None:
    task = stack.submit("sleep", wait=0, seconds=1.5).json()["id"]
    stack.wait_until_running(task)
    package.save("fresh", TASK.format(name="fresh", more=1))
    stack.wait_for("reloaded: ")
    until(lambda: stack.show(task)["done"])
    assert stack.show(task)["state"] == "succeeded"
    assert stack.show(task)["attempt"] == 1


def test_broken_product_code_leaves_the_old_processes_serving(start: Start, clone: Path) -> None:
    stack = start(root=clone).ready()
    handler = clone / "chalice_app" / "tasks.py"
    whole = handler.read_text()
    handler.write_text("def broken(:\n")
    stack.wait_for(r"api cannot start: chalice_app/tasks\.py:1: SyntaxError")
    stack.wait_for(r"not reloaded: chalice_app/tasks\.py")
    assert stack.submit("echo", value="old").json()["result"] == "old"

    handler.write_text(whole)
    stack.wait_for(r"  reloaded: chalice_app/tasks\.py")
    assert stack.submit("echo", value="new").json()["result"] == "new"
    assert len(stack.members("local.api")) >= 2


def test_a_stack_that_starts_broken_comes_up_when_mended(start: Start, clone: Path) -> None:
    whole = (clone / "app.py").read_text()
    (clone / "app.py").write_text("import nothing_like_this\n")
    stack = start(root=clone)
    stack.wait_for(r"api cannot start: app\.py:1: ModuleNotFoundError")
    stack.wait_for("not everything has started")
    (clone / "app.py").write_text(whole)
    stack.wait_for(r"  reloaded: app\.py")
    assert stack.submit("echo", value="mended").json()["result"] == "mended"
    until(lambda: len(stack.members("local.api")) == 2)
