"""What starts, what is started again, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests
from stack_process import Package, StackProcess, gone

from local import ports
from local.children import ROOT
from local.data import HOME

Start = Callable[..., StackProcess]


BUSY = """
import asyncio
from bide import task

@task
async def busy() -> None:
    await asyncio.sleep(60)
"""


@pytest.fixture
def busy(package: Package, tmp_path: Path) -> dict[str, str]:
    """The environment for a stack that knows a task `busy`, which no worker can park."""
    package.save("busy", BUSY)
    return {"BIDE_TASKS": f"workers.tasks,{package.name}", "PYTHONPATH": str(tmp_path)}


def test_it_prints_a_curl_line_that_works(stack: StackProcess) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    first = next(index for index, line in enumerate(stack.lines) if line.strip().startswith("curl "))
    command = "\n".join(stack.lines[first : first + 2])
    answer = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30)
    assert '"result":"hello"' in answer.stdout


def test_it_prints_a_bide_command_that_works(stack: StackProcess) -> None:
    line = stack.wait_for(r"\.venv/bin/bide").strip()
    words = [sys.executable, "-m", "bide_client", *line.split()[1:]]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert answer.stdout.strip() == '"hello"'


def test_elsewhere_than_expected_it_says_what_to_export(stack: StackProcess) -> None:
    line = stack.wait_for(r"export BIDE_URL=").strip()
    command = f"{line}\n{sys.executable} -m bide_client top --json"
    answer = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert f"export BIDE_URL={stack.url} " in line


@pytest.mark.parametrize(
    ("role", "count"), [("local.worker", 2), ("local.api", 2), ("local.tick", 1), ("bide-store", 1)]
)
def test_every_process_names_its_role(stack: StackProcess, role: str, count: int) -> None:
    stack.wait_for_members(role, count)


@pytest.mark.parametrize(
    ("role", "word"),
    [("local.worker", "worker"), ("local.api", "api"), ("local.tick", "tick"), ("bide-store", "store")],
)
def test_a_killed_process_is_replaced_and_the_stack_says_so(
    stack: StackProcess, role: str, word: str
) -> None:
    before = stack.members(role)
    seen = len(stack.lines)
    before[0].kill()
    stack.wait_for(rf"{word} {before[0].pid} .*start", after=seen)
    stack.wait_for(rf"{word} \d+ started", after=seen)
    stack.wait_for_members(role, len(before))
    assert stack.submit("echo", value=role).json()["result"] == role


def test_tasks_survive_the_death_of_the_store(stack: StackProcess) -> None:
    task = stack.submit("echo", value="kept").json()["id"]
    seen = len(stack.lines)
    stack.members("bide-store")[0].kill()
    stack.wait_for(r"store \d+ started", after=seen)
    assert stack.show(task)["result"] == "kept"


def test_a_taken_port_ends_with_code_2_and_names_the_holder(stack: StackProcess) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "local", "up", "--port", str(stack.port)],
        cwd=ROOT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert second.returncode == 2
    assert f"process {stack.process.pid}: " in second.stderr
    assert "local up" in second.stderr


def test_wrong_settings_end_with_code_2_and_are_named_together() -> None:
    environ = {**os.environ, "BIDE_WORKERS_MAX": "none", "BIDE_REDIS_URL": "ftp://here"}
    command = [sys.executable, "-m", "local", "up", "--port", str(ports.free_port())]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert "BIDE_WORKERS_MAX" in ended.stderr
    assert "BIDE_REDIS_URL" in ended.stderr


def test_a_store_elsewhere_that_does_not_answer_is_named_at_once(start: Start) -> None:
    nobody = f"redis://127.0.0.1:{ports.free_port()}"
    stack = start(BIDE_REDIS_URL=nobody)
    assert nobody not in stack.wait_for("The store at BIDE_REDIS_URL does not answer")
    assert stack.process.wait(20) == 1


def test_two_stacks_run_side_by_side_in_one_clone(stack: StackProcess, start: Start) -> None:
    other = start().ready()
    task = stack.submit("echo", value="mine").json()["id"]
    assert stack.show(task)["result"] == "mine"
    assert other.show(task)["code"] == "TASK_NOT_FOUND"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere the store may need its guard's time"
)
def test_killing_the_supervisor_leaves_nothing(start: Start) -> None:
    stack = start().ready()
    family = stack.everyone()
    assert len(family) == 8
    stack.process.kill()
    stack.process.wait()
    assert gone(family[1:])


@pytest.mark.parametrize(("least", "most"), [("2", "2"), ("0", "1")])
def test_after_a_killed_supervisor_its_workers_keep_nobody_out(
    start: Start, busy: dict[str, str], least: str, most: str
) -> None:
    """As many as may be are dead, and had room for more tasks."""
    few = {**busy, "BIDE_WORKERS_MIN": least, "BIDE_WORKERS_MAX": most}
    stack = start(**few).ready()
    stack.wait_until_running(stack.submit("busy", wait=0).json()["id"])
    stack.process.kill()
    stack.process.wait()
    again = start(stack.port, **few).ready()
    assert again.submit("echo", value="now", wait=15).json()["result"] == "now"
    assert not any("ended with code" in line for line in again.lines)


def test_killing_the_supervisor_ends_even_frozen_children(start: Start) -> None:
    stack = start().ready()
    family = stack.everyone()
    for child in family[1:]:
        child.suspend()
    stack.process.kill()
    stack.process.wait()
    assert gone(family[1:])


def test_ctrl_c_ends_everything_in_time_and_keeps_the_tasks(start: Start, busy: dict[str, str]) -> None:
    stack = start(**busy).ready()
    finished = stack.submit("echo", value="before").json()["id"]
    parked = stack.submit("sleep", wait=0, seconds=3600).json()["id"]
    running = stack.submit("busy", wait=0).json()["id"]
    delayed = requests.post(
        f"{stack.url}/v1/tasks", json={"name": "echo", "args": {"value": "later"}, "delay": 3600}, timeout=10
    ).json()["id"]
    stack.wait_until_running(running)
    family = stack.everyone()
    assert stack.interrupt() < 20, "twice what it takes at most on a machine that has nothing else to do"
    assert stack.process.returncode == 0
    assert gone(family)

    again = start(stack.port, **busy).ready()
    assert again.show(finished)["result"] == "before"
    assert again.show(parked)["state"] == "waiting"
    assert again.show(parked)["attempt"] == 1
    again.wait_until_running(running)
    assert again.show(running)["attempt"] == 1, "what was handed back had not begun"
    assert again.show(delayed)["state"] == "scheduled"


def test_a_second_ctrl_c_ends_it_at_once(start: Start, busy: dict[str, str]) -> None:
    stack = start(**busy).ready()
    running = stack.submit("busy", wait=0).json()["id"]
    stack.wait_until_running(running)
    family = stack.everyone()
    stack.process.send_signal(signal.SIGINT)
    stack.wait_for("stopping")
    assert stack.interrupt() < 5, "less than what the first one grants"
    assert gone(family)


def test_sigterm_stops_like_ctrl_c(start: Start) -> None:
    stack = start().ready()
    family = stack.everyone()
    stack.process.terminate()
    assert stack.process.wait(10) == 0
    assert gone(family)


def test_a_store_left_behind_is_ended_before_the_next_start(start: Start) -> None:
    stack = start().ready()
    stack.submit("echo", value=1)
    store = stack.members("bide-store")[0]
    leftover = psutil.Popen(
        ["bide-store", "-"], executable=store.exe(), stdin=subprocess.PIPE, cwd=store.cwd()
    )  # stands in for a store that outlived its supervisor
    identity = f"{store.cwd()}/store.json"
    stack.interrupt()
    port = ports.free_port()
    assert leftover.stdin is not None
    leftover.stdin.write(f'port {port}\nrequirepass secret\nproc-title-template "bide-store"\n'.encode())
    leftover.stdin.close()
    with open(identity, "w") as file:
        file.write(f'{{"pid": {leftover.pid}, "port": {port}, "password": "secret"}}')
    start(stack.port).ready()
    assert leftover.wait(5) == 0


def test_without_a_minimum_workers_leave_and_one_comes_for_a_task(start: Start) -> None:
    stack = start(BIDE_WORKERS_MIN="0", BIDE_IDLE_SECONDS="0.2", BIDE_TICK_SECONDS="0.1").ready()
    assert stack.members("local.worker") == []
    assert stack.submit("echo", value="woken", wait=20).json()["result"] == "woken"
    assert gone(stack.members("local.worker"))
    assert not any("worker" in line and "killed" in line for line in stack.lines)


def test_an_own_store_is_used_where_its_url_is_given(stack: StackProcess, start: Start) -> None:
    url = stack.members("local.worker")[0].environ()["BIDE_REDIS_URL"]
    guest = start(BIDE_REDIS_URL=url).ready()
    assert guest.members("bide-store") == []
    task = guest.submit("echo", value="shared").json()["id"]
    assert stack.show(task)["result"] == "shared"


def test_a_stack_started_by_make_ends_when_make_is_killed() -> None:
    port = ports.free_port()
    command = f"{sys.executable} -m local up --with-parent --port {port} & echo $!; wait"
    with subprocess.Popen(["/bin/sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as make:
        assert make.stdout is not None
        supervisor = psutil.Process(int(make.stdout.readline()))
        assert any(line.startswith("Bide is up") for line in make.stdout)
        family = [supervisor, *supervisor.children()]
        make.kill()
        make.stdout.read()
    assert gone(family)
    shutil.rmtree(HOME / str(port))


def test_a_second_make_up_says_where_the_first_runs_and_ends_with_code_2(start: Start, clone: Path) -> None:
    stack = start(root=clone)
    command = [sys.executable, "-m", "local", "up"]
    stack.ready()
    second = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert (
        f"Bide runs here already, or is starting: {stack.url} (process {stack.process.pid})" in second.stderr
    )


@pytest.mark.parametrize("gone_folder", ["", "store"])
def test_a_stack_whose_data_is_deleted_says_so_and_stops(start: Start, clone: Path, gone_folder: str) -> None:
    stack = start(root=clone).ready()
    family = stack.everyone()
    folder = clone / ".bide" / str(stack.port) / gone_folder
    folder.rename(clone / "trash")  # what a store is just writing would keep it from being deleted at once
    shutil.rmtree(clone / "trash")
    stack.wait_for("has been deleted, and the tasks with it")
    assert stack.process.wait(30) == 1
    assert gone(family)
    assert not any("tasks are kept" in line for line in stack.lines)


def test_ctrl_c_while_it_loads_its_code_ends_it_in_a_line(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (tmp_path / "uvloop.py").write_text(f"import time\nopen({str(here)!r}, 'w').close()\ntime.sleep(600)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "up", "--port", str(ports.free_port())],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not here.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.read().strip() == "interrupted"
    assert process.wait(30) == 130


def test_ctrl_c_before_it_is_up_ends_with_code_130(start: Start, clone: Path) -> None:
    (clone / "app.py").write_text("import time\ntime.sleep(600)\n")
    stack = start(root=clone)
    stack.until(lambda: len(stack.members("local.api")) == 2)
    family = stack.everyone()
    stack.interrupt()
    assert stack.process.returncode == 130
    assert gone(family)
    assert not any("Traceback" in line for line in stack.lines)
