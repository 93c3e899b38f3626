"""Operators' commands in the folder of a stack, which need no word about its store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stack_process import Package, StackProcess

from bide.operate.stack import told
from bide.settings import Settings
from bide_client import exit_codes
from local.children import ROOT


def bide(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bide_client", *words],
        cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_doctor_finds_a_stack_well(stack: StackProcess) -> None:
    ran = bide("--url", stack.url, "doctor")
    assert (ran.returncode, ran.stderr) == (exit_codes.OK, "")
    first, *others = ran.stdout.splitlines()
    number = len(Settings.names())
    words = (
        f"3 of {number} set, as the `make up` on port {stack.port} has them, the others have their defaults"
    )
    assert first.endswith(words)
    assert others[-1] == "13 ok, 0 warn, 0 fail"
    environ = told({}, stack.url, ROOT).environ
    password = environ["BIDE_REDIS_URL"].split("@")[0].rpartition(":")[2]
    assert len(password) > 20
    assert password not in ran.stdout


def test_the_check_reads_the_tasks_of_a_stack(stack: StackProcess) -> None:
    stack.submit("sleep", wait=0, seconds=600).raise_for_status()
    stack.submit("echo", value=1).raise_for_status()
    ran = bide("check", "--url", stack.url, "--json")
    assert (ran.returncode, ran.stderr) == (exit_codes.OK, "")
    assert json.loads(ran.stdout)["mismatches"] == []


@pytest.mark.parametrize(
    ("command", "code"), [("doctor", exit_codes.FAULT_FOUND), ("check", exit_codes.USAGE)]
)
def test_another_stack_than_the_one_that_runs_is_told_from_it(
    stack: StackProcess, command: str, code: int
) -> None:
    ran = bide(command, "--url", "http://127.0.0.1:1")
    assert ran.returncode == code
    said = ran.stdout + ran.stderr
    assert "no `make up` of this folder serves http://127.0.0.1:1" in said
    assert f"--url {stack.url}" in said


def test_elsewhere_it_says_where_to_go(stack: StackProcess, tmp_path: Path) -> None:
    ran = bide("check", "--url", stack.url, cwd=tmp_path)
    assert ran.returncode == exit_codes.USAGE
    assert "no `make up` runs in this folder. Start it, run this in the folder where it runs" in ran.stderr


def test_tasks_beside_the_clone_are_found_as_the_stack_finds_them_until_it_has_ended(
    start: Callable[..., StackProcess], package: Package
) -> None:
    package.save("orders", "from bide import task\n@task\ndef order() -> None: ...\n")
    stack = start(
        BIDE_TASKS=f"workers.tasks,{package.name}", PYTHONPATH=os.path.relpath(package.folder, ROOT)
    ).ready()
    for command in ("check", "doctor"):
        ran = bide(command, "--url", stack.url)
        assert (ran.returncode, ran.stderr) == (exit_codes.OK, "")
    assert told({}, stack.url, ROOT).port == stack.port
    stack.interrupt()
    assert told({}, stack.url, ROOT).port is None
