"""`bide check` against journals that a real worker has written."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stage import await_that

from bide import registry
from bide.ids import TaskId
from bide.operate.check import replays
from bide.operate.rehearsal import Mismatch
from bide.reads import Reads
from bide.settings import Settings
from bide.state import State
from bide.store import Store
from bide.submission import Submission
from bide.worker.worker import Worker
from bide_client import exit_codes

ROOT = Path(__file__).parents[2]

JOURNEY = """
from bide import Context, task
from pathlib import Path

def {create}(size: int) -> str:
    Path(__file__).with_suffix(".effects").open("a").write("created ")
    return f"vm-{{size}}"

@task(version={version})
async def journey(ctx: Context, size: int) -> str:
    print("on the way")
    Path(__file__).with_suffix(".begun").open("a").write("begun ")
    {before}
    vm = await ctx.step({create}, size)
    await ctx.sleep(3600)
    return vm
"""


class Project:
    """A folder with tasks, whose journals are in the store."""

    def __init__(self, folder: Path, store: Store, store_url: str, prefix: str) -> None:
        self.folder = folder
        self._store = store
        self._url = store_url
        self._prefix = prefix

    def write(self, module: str, *, create: str = "create", version: int = 0, before: str = "pass") -> None:
        code = JOURNEY.format(create=create, version=version, before=before)
        (self.folder / f"{module}.py").write_text(code, encoding="utf-8")

    def effects(self, module: str) -> str:
        file = self.folder / f"{module}.effects"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def began(self, module: str) -> int:
        """How often the code of its task was called."""
        return (self.folder / f"{module}.begun").read_text(encoding="utf-8").count("begun")

    def replay(self, module: str, limit_s: float) -> list[Mismatch | None]:
        """What the check does, in this process."""
        return list(replays(self._store, registry.load((module,), local=True), limit_s))

    def park(self, module: str, number: int = 1) -> list[TaskId]:
        """Submit so many tasks of a module, and let a worker run them until all are parked."""
        submission = Submission("journey", '{"size": 1}', "default", "default", 1, 3_600_000)
        ids = [self._store.submit(submission).id for _ in range(number)]
        reads = Reads(self._store)

        async def work() -> None:
            settings = replace(Settings(), prefix=self._prefix, hot_wait_seconds=0.0)
            worker = Worker(settings, registry.load((module,), local=True), self._url)
            running = asyncio.create_task(worker.run())
            try:
                await asyncio.to_thread(
                    await_that,
                    lambda: all(reads.task(id, "default").run.state is State.WAITING for id in ids),
                )
            finally:
                worker.stop()
                await running

        asyncio.run(work())
        return ids

    def check(self, module: str, *words: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")}
        environ |= {"PYTHONPATH": str(ROOT), "BIDE_PREFIX": self._prefix, "BIDE_TASKS": module}
        environ |= {"BIDE_REDIS_URL": self._url if url is None else url}
        return subprocess.run(
            [sys.executable, "-m", "bide_client", "check", *words],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def project(
    tmp_path: Path, store: Store, store_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Project:
    monkeypatch.syspath_prepend(tmp_path)
    return Project(tmp_path, store, store_url, prefix)


def test_the_code_that_runs_fits_and_runs_no_step(project: Project) -> None:
    project.write("journeys_that_stay")
    project.park("journeys_that_stay", 120)
    assert project.effects("journeys_that_stay") == "created " * 120
    ran = project.check("journeys_that_stay")
    assert (ran.returncode, ran.stdout) == (0, "120 tasks in flight with a journal: all fit this code\n")
    assert "on the way" in ran.stderr, "what the code prints is kept apart"
    assert project.effects("journeys_that_stay") == "created " * 120


def test_changed_code_is_shown_with_both_paths_and_an_exit_code_of_its_own(project: Project) -> None:
    project.write("journeys_before")
    project.write("journeys_after", create="start")
    (id,) = project.park("journeys_before")
    ran = project.check("journeys_after")
    assert ran.returncode == exit_codes.CODE_MISMATCHED
    line, summary = ran.stdout.splitlines()
    assert line.startswith(f"{id}  journey  CODE_CHANGED: ")
    assert "create#1" in line
    assert "start#1" in line
    assert summary == "1 task in flight with a journal: 1 would fail with this code"
    assert project.effects("journeys_after") == ""


def test_a_version_that_is_gone_is_a_mismatch_in_json(project: Project) -> None:
    project.write("journeys_of_one", version=1)
    project.write("journeys_of_two", version=2)
    (id,) = project.park("journeys_of_one")
    ran = project.check("journeys_of_two", "--json")
    assert ran.returncode == exit_codes.CODE_MISMATCHED
    document = json.loads(ran.stdout)
    (mismatch,) = document["mismatches"]
    assert document["checked"] == 1
    assert (mismatch["id"], mismatch["code"]) == (str(id), "UNKNOWN_TASK")
    assert "version 1" in mismatch["message"]


def test_code_that_always_hangs_does_not_hang_the_check(project: Project, store: Store) -> None:
    project.write("journeys_that_flow")
    project.write("journeys_that_hang", before="import time; time.sleep(60)")
    project.park("journeys_that_flow", 5)
    found = [mismatch and mismatch.code for mismatch in project.replay("journeys_that_hang", limit_s=0.05)]
    assert found == ["TIMEOUT"] * 5
    assert project.began("journeys_that_hang") == 3


def test_a_task_that_has_ended_is_not_checked(project: Project, store: Store) -> None:
    project.write("journeys_to_end")
    project.write("journeys_that_ended", create="start")
    (id,) = project.park("journeys_to_end")
    store.cancel(id, "default")
    ran = project.check("journeys_that_ended")
    assert (ran.returncode, ran.stdout) == (0, "0 tasks in flight with a journal: all fit this code\n")


def test_without_a_store_it_says_what_is_missing(project: Project) -> None:
    ran = project.check("workers.tasks", url="")
    assert ran.returncode == exit_codes.USAGE
    assert "BIDE_REDIS_URL names none, and no `make up` runs in this folder" in ran.stderr


def test_a_store_out_of_reach_has_an_exit_code_of_its_own(project: Project) -> None:
    project.write("journeys_nowhere")
    ran = project.check("journeys_nowhere", url=f"unix://{project.folder}/nothing.sock")
    assert ran.returncode == exit_codes.UNREACHABLE
    assert "Traceback" not in ran.stderr
    assert "The store cannot be used" in ran.stderr


def test_tasks_that_cannot_be_loaded_are_a_mistake(project: Project) -> None:
    ran = project.check("no_such_module")
    assert ran.returncode == exit_codes.USAGE
    assert "no_such_module" in ran.stderr
