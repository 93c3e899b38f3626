"""`make up MODE=lambda`: deployed, run as Lambda would, and left without a trace."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from lambda_process import DRAIN, SECONDS, LambdaProcess, until
from stack_process import Package, gone

from local import ports
from local.children import ROOT

TASKS = """
import asyncio
from bide import task

@task
async def edition() -> str:
    return "first"

@task
async def busy() -> None:
    await asyncio.sleep(600)
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A user's package of tasks, somewhere outside of the clone."""
    package = Package(tmp_path_factory.mktemp("tasks"), "deployed_tasks")
    package.save("one", TASKS)
    return package


@pytest.fixture(scope="module")
def stack(tasks: Package) -> Iterator[LambdaProcess]:
    """One stack for the tests that leave it as they found it."""
    stack = LambdaProcess(BIDE_TASKS=f"workers.tasks,{tasks.name}", PYTHONPATH=str(tasks.folder))
    try:
        yield stack.ready()
    finally:
        stack.end()


def test_it_prints_a_curl_line_that_works(stack: LambdaProcess) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    first = next(index for index, line in enumerate(stack.lines) if line.strip().startswith("curl "))
    command = "\n".join(stack.lines[first : first + 2]).replace("wait=5", "wait=20")
    answer = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=SECONDS)
    assert '"result":"hello"' in answer.stdout


def test_it_prints_a_bide_command_that_works(stack: LambdaProcess) -> None:
    line = stack.wait_for(r"\.venv/bin/bide").strip()
    command = line.replace(".venv/bin/bide", f"{sys.executable} -m bide_client")
    answer = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=SECONDS, cwd=ROOT
    )
    assert answer.stdout.strip() == '"hello"'


def test_what_it_says_to_export_suffices_for_any_command(stack: LambdaProcess) -> None:
    line = stack.wait_for(r"export BIDE_URL=\S+ BIDE_KEY=").strip()
    command = f"{line}\n{sys.executable} -m bide_client queue list"
    answer = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=SECONDS, cwd=ROOT
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_doctor_knows_its_variables(stack: LambdaProcess, tasks: Package) -> None:
    environ = {"PYTHONPATH": f"{ROOT}:{tasks.folder}"}
    words = [sys.executable, "-m", "bide_client", "doctor", "--url", stack.url]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, cwd=ROOT, env=environ)
    assert f"as the `make up` on port {stack.port} has them" in answer.stdout
    assert "1 key of 1 tenant, 1 operator key among them" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "13 ok, 0 warn, 0 fail"


def test_without_the_key_nothing_is_answered(stack: LambdaProcess) -> None:
    answer = requests.post(f"{stack.url}/v1/tasks", json={"name": "echo", "args": {"value": 1}}, timeout=30)
    assert answer.status_code == 401


def test_the_tasks_that_reach_out_are_not_deployed(stack: LambdaProcess) -> None:
    assert stack.submit("vm").json()["code"] == "UNKNOWN_TASK"


def test_a_failing_task_is_tried_again(stack: LambdaProcess) -> None:
    task = stack.submit("flaky", fail_times=2).json()["id"]
    assert stack.done(task)["result"] == 3


def test_while_a_task_sleeps_nothing_is_at_work_and_the_queue_brings_a_worker(stack: LambdaProcess) -> None:
    rung = stack.figures("bide-dev-wake_by_queue")["invocations"]
    task = stack.submit("sleep", wait=0, seconds=4).json()["id"]
    until(lambda: stack.show(task)["state"] == "waiting")
    until(lambda: not stack.figures(DRAIN)["busy"])
    assert stack.show(task)["state"] == "waiting"
    assert stack.done(task)["result"] == 4
    until(lambda: stack.figures("bide-dev-wake_by_queue")["invocations"] > rung)
    assert not stack.figures("bide-dev-tick")["invocations"]


def test_tasks_that_are_saved_are_deployed_again(stack: LambdaProcess, tasks: Package) -> None:
    assert stack.done(stack.submit("edition").json()["id"])["result"] == "first"
    seen = len(stack.lines)
    tasks.save("one", TASKS.replace("first", "second"))
    stack.wait_for("deployed again: .*one.py", SECONDS, after=seen)
    assert stack.done(stack.submit("edition").json()["id"])["result"] == "second"


def test_tasks_that_would_not_load_in_lambda_are_told_with_their_place(
    stack: LambdaProcess, tasks: Package
) -> None:
    """psutil is in this installation, and not in the package."""
    seen = len(stack.lines)
    file = tasks.save("two", "import psutil\n")
    stack.wait_for(f"not loaded: {tasks.name}/two.py:1: ModuleNotFoundError.*psutil", SECONDS, after=seen)
    assert stack.submit("echo", value=1).status_code == 503
    seen = len(stack.lines)
    file.unlink()
    stack.wait_for("deployed again", SECONDS, after=seen)
    assert stack.done(stack.submit("echo", value=1).json()["id"])["result"] == 1


def test_a_killed_environment_is_replaced(stack: LambdaProcess) -> None:
    until(lambda: not stack.figures(DRAIN)["busy"])
    for environment in stack.environments():
        environment.kill()
    until(lambda: not stack.figures("bide-dev")["environments"])
    assert stack.done(stack.submit("echo", value=2).json()["id"])["result"] == 2


def test_a_killed_store_is_started_again_with_its_data(stack: LambdaProcess) -> None:
    task = stack.submit("echo", value=3).json()["id"]
    stack.done(task)
    until(lambda: not stack.figures(DRAIN)["busy"])
    seen = len(stack.lines)
    (store,) = (process for process in stack.everyone() if process.cmdline()[0].startswith("bide-store"))
    store.kill()
    stack.wait_for("started, with its data", SECONDS, after=seen)
    until(lambda: stack.show(task).get("result") == 3)


def test_ctrl_c_leaves_nothing_and_the_next_one_has_the_tasks(tasks: Package) -> None:
    """The first is woken by the queue, the second by the stream; then its AWS is killed."""
    environ = {
        "BIDE_TASKS": f"workers.tasks,{tasks.name}",
        "PYTHONPATH": str(tasks.folder),
        "BIDE_LEASE_SECONDS": "3",
    }
    stack = LambdaProcess(BIDE_WAKE="sqs", **environ)
    try:
        stack.ready()
        finished = stack.submit("echo", value="before").json()["id"]
        assert stack.done(finished)["result"] == "before"
        until(lambda: stack.figures("bide-dev-wake_by_queue")["invocations"])
        until(lambda: stack.figures(DRAIN)["invocations"])  # only one that has ended is in the table
        parked = stack.submit("sleep", wait=0, seconds=3600).json()["id"]
        running = stack.submit("busy", wait=0).json()["id"]
        stack.wait_until_running(running, SECONDS)
        family = stack.everyone()
        assert stack.interrupt() < 20, "twice what it takes at most on a machine that has nothing else to do"
        assert stack.process.returncode == 0
        assert gone(family)
        assert not any("Traceback" in line for line in stack.lines)
        assert stack.wait_for(rf"^{DRAIN} +\d+ ")
        assert stack.wait_for("1 worker ended amid tasks")

        stack = LambdaProcess(stack.port, BIDE_WAKE="kinesis", **environ).ready()
        assert stack.show(finished)["result"] == "before"
        assert stack.show(parked)["state"] == "waiting"
        scaling = requests.get(f"{stack.url}/v1/scaling", headers=stack.headers, timeout=30).json()
        reasons = [decision["reason"] for queue in scaling["queues"] for decision in queue["decisions"]]
        assert "lost" in reasons, "the worker that was ended is counted on no longer"
        requests.post(f"{stack.url}/v1/tasks/{running}/cancel", headers=stack.headers, timeout=30)
        assert stack.done(running)["state"] == "cancelled"
        until(lambda: _echoes(stack) and stack.figures("bide-dev-wake_by_stream")["invocations"])
        family = stack.everyone()
        (aws,) = (process for process in family if "local.aws.server" in process.cmdline())
        aws.kill()
        assert stack.process.wait(SECONDS) == 1
        stack.wait_for("the AWS on this machine .* ended with code -9")
        assert gone(family)
    finally:
        stack.end()


def test_killing_it_amid_a_deployment_leaves_nothing() -> None:
    stack = LambdaProcess()
    try:
        stack.wait_for("deploying", SECONDS)
        until(lambda: any("local.deploy" in _words(process) for process in stack.everyone()))
        family = stack.everyone()
        stack.process.kill()
        stack.process.wait()
        assert gone(family, SECONDS)
    finally:
        stack.end()


def _echoes(stack: LambdaProcess) -> bool:
    """Whether a task is run that comes when no worker is left."""
    until(lambda: not stack.figures(DRAIN)["busy"])
    return bool(stack.done(stack.submit("echo", value="now").json()["id"])["result"] == "now")


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize(
    ("mode", "environ", "complaint"),
    [
        ("lamda", {}, "MODE is quick or lambda, not 'lamda'"),
        ("lambda", {"BIDE_WAKE": "none"}, "BIDE_WAKE is none"),
        (
            "lambda",
            {"BIDE_WORKERS_MIN": "11"},
            "BIDE_WORKERS_MAX (10) must not be below",
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(
    mode: str, environ: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    port = ports.free_port()
    ended = subprocess.run(
        [sys.executable, "-m", "local", "up", "--port", str(port), "--mode", mode],
        cwd=ROOT,
        env={"PATH": str(tmp_path), **environ},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ctrl_c_while_it_is_deployed_ends_it_and_leaves_nothing_that_the_next_start_trips_over(
    tmp_path: Path,
) -> None:
    stack = LambdaProcess()
    try:
        stack.wait_for("packaging and deploying", SECONDS)
        family = stack.everyone()
        stack.interrupt()
        assert stack.process.returncode == 130
        assert gone(family)
        assert not any("Traceback" in line for line in stack.lines)
    finally:
        stack.end()
