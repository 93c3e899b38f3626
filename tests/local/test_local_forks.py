"""A process that a task forks harms nobody, whatever becomes of it and of its worker."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from stack_process import Package, StackProcess, gone

Start = Callable[..., StackProcess]

FORKING = """
import asyncio
import ctypes
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

from bide import task

FORK = multiprocessing.get_context("fork")


def tell(path: str) -> None:
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\\n")


def sleep(path: str) -> None:
    tell(path)
    time.sleep(600)


@task
async def pooled(path: str) -> None:
    \"\"\"Has a pool with a process at work, for long.\"\"\"
    with ProcessPoolExecutor(1, mp_context=FORK) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, sleep, path)


@task
async def hidden(path: str) -> None:
    \"\"\"Leaves a process that Python does not know of, with all descriptors and in no group of ours.\"\"\"
    system = ctypes.PyDLL(None)
    if system.fork() == 0:
        system.setsid()
        tell(path)
        while True:
            system.pause()
    await asyncio.sleep(600)


@task
def ended() -> int | None:
    \"\"\"Ends a fork by SIGTERM, as a pool does; the exit code.\"\"\"
    fork = FORK.Process(target=time.sleep, args=(600,))
    fork.start()
    fork.terminate()
    fork.join(20)
    return fork.exitcode


def sockets() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.append(target)
    return found


@task
async def shared() -> int:
    \"\"\"How many sockets of the worker, those of its event loop aside, its forks go on to hold too.\"\"\"
    loop = asyncio.get_running_loop()
    for _ in range(50):  # one that is being connected during a fork is not yet known to be the worker's
        with ProcessPoolExecutor(1, mp_context=FORK) as pool:
            theirs = await loop.run_in_executor(pool, sockets)
        own = {os.readlink(f"/proc/self/fd/{end.fileno()}") for end in (loop._ssock, loop._csock)}
        both = {*theirs} & {*sockets()} - own
        if not both:
            break
        await asyncio.sleep(0.1)
    return len(both)


@task
def pid() -> int:
    return os.getpid()
"""


@pytest.fixture
def environ(package: Package, tmp_path: Path) -> dict[str, str]:
    """For a stack with one worker, which a task of those above can be sent to."""
    package.save("forking", FORKING)
    return {
        "BIDE_TASKS": f"workers.tasks,{package.name}",
        "PYTHONPATH": str(tmp_path),
        "BIDE_WORKERS_MIN": "1",
        "BIDE_WORKERS_MAX": "1",
    }


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Path]:
    """Where a fork writes its process id; it ends with the test."""
    path = tmp_path / "pids"
    yield path
    for pid in path.read_text().split() if path.exists() else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def forked(stack: StackProcess, told: Path, task: str) -> psutil.Process:
    """The process that a task has forked."""
    id = stack.submit(task, wait=0, path=str(told)).json()["id"]
    stack.wait_until_running(id)
    stack.until(lambda: told.exists() and told.read_text().endswith("\n"))
    return psutil.Process(int(told.read_text()))


@pytest.mark.parametrize("task", ["pooled", "hidden"])
def test_a_killed_worker_is_replaced_although_its_fork_lives(
    start: Start, environ: dict[str, str], told: Path, task: str
) -> None:
    stack = start(**environ).ready()
    forked(stack, told, task)
    (worker,) = stack.members("local.worker")
    worker.kill()
    stack.wait_for(rf"worker {worker.pid} was killed by SIGKILL")
    assert stack.submit("pid", wait=20).json()["result"] != worker.pid


def test_what_a_killed_worker_has_forked_ends_with_it(
    start: Start, environ: dict[str, str], told: Path
) -> None:
    stack = start(**environ).ready()
    fork = forked(stack, told, "pooled")
    stack.members("local.worker")[0].kill()
    assert gone([fork])


def test_ctrl_c_ends_a_stack_whose_task_has_a_pool(start: Start, environ: dict[str, str], told: Path) -> None:
    stack = start(**environ).ready()
    fork = forked(stack, told, "pooled")
    family = stack.everyone()
    stack.interrupt()
    assert stack.process.returncode == 0
    assert gone([fork, *family])


def test_killing_the_supervisor_ends_what_its_tasks_have_forked(
    start: Start, environ: dict[str, str], told: Path
) -> None:
    stack = start(**environ).ready()
    fork = forked(stack, told, "pooled")
    stack.process.kill()
    assert gone([fork])


def test_a_fork_is_ended_by_sigterm_which_its_worker_does_not_take_for_its_own(
    start: Start, environ: dict[str, str]
) -> None:
    stack = start(**environ).ready()
    (worker,) = stack.members("local.worker")
    assert stack.submit("ended", wait=20).json()["result"] == -signal.SIGTERM
    assert stack.submit("pid", wait=20).json()["result"] == worker.pid


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells what a process holds")
def test_a_fork_holds_neither_the_line_nor_a_connection_of_its_worker(
    start: Start, environ: dict[str, str]
) -> None:
    stack = start(**environ).ready()
    assert stack.submit("shared", wait=20).json()["result"] == 0
