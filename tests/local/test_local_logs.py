"""What a whole stack logs: a line of JSON for each transition, and for whatever else is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from stack_process import Package, StackProcess

from local.emulator.output import Output
from local.up import say

TALKS = """
import logging
from bide import task

@task
def talks(name: str) -> None:
    logging.getLogger("talks").info("hello %s", name)
"""


HOSTILE = "not loaded: \x1b[2J\x9b\u202e\u200b\U000e0041\r\n12:00:00  all is well"


def test_what_the_supervisor_says_is_printable_and_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    first, second = capsys.readouterr().out.splitlines()
    assert first.isprintable()
    assert first.endswith("  not loaded: \\u001b[2J\\u009b\\u202e\\u200b\\U000e0041\\u000d")
    assert second == "    12:00:00  all is well"


def test_what_the_emulator_says_of_an_invocation_is_printable(tmp_path: Path) -> None:
    output = Output(tmp_path / "f.log", 10_000)
    output.line(f"RequestId: 1 Error: {HOSTILE}")
    output.close()
    assert all(line.isprintable() for line in output.path.read_text(encoding="utf-8").split("\n"))


def told(stack: StackProcess, id: str) -> list[dict[str, Any]]:
    """The lines of a task, as far as it has come."""
    return [json.loads(line) for line in list(stack.lines) if line.startswith("{") and id in line]


def test_a_stack_logs_json_if_it_is_told_to(
    start: Callable[..., StackProcess], package: Package, tmp_path: Path
) -> None:
    package.save("talks", TALKS)
    environ = {"BIDE_TASKS": f"workers.tasks,{package.name}", "PYTHONPATH": str(tmp_path)}
    stack = start(BIDE_LOG_FORMAT="json", **environ).ready()
    task = requests.post(f"{stack.url}/v1/tasks", json={"name": "talks", "args": {"name": "Ada"}}, timeout=60)
    id = task.json()["id"]
    order = ["submitted", "started", "log", "succeeded"]  # processes do not wait for one another's lines
    stack.until(lambda: len(told(stack, id)) == len(order))
    lines = sorted(told(stack, id), key=lambda line: order.index(line["event"]))
    assert [line["event"] for line in lines] == order
    submitted, started, said, succeeded = lines
    assert submitted["request_id"]
    assert "worker" not in submitted
    assert started["worker"] == succeeded["worker"] == said["worker"]
    assert (said["logger"], said["message"], said["attempt"]) == ("talks", "hello Ada", 1)
    log = requests.get(f"{stack.url}/v1/tasks/{id}/log", timeout=60).json()
    assert [(line["kind"], line["message"]) for line in log["lines"]] == [("log", "hello Ada")]


def test_for_people_a_stack_logs_text_and_no_transitions(
    start: Callable[..., StackProcess], package: Package, tmp_path: Path
) -> None:
    package.save("talks", TALKS)
    environ = {"BIDE_TASKS": f"workers.tasks,{package.name}", "PYTHONPATH": str(tmp_path)}
    stack = start(**environ).ready()
    task = requests.post(
        f"{stack.url}/v1/tasks",
        json={"name": "talks", "args": {"name": "Ada"}},
        headers={"Prefer": "wait=20"},
        timeout=30,
    ).json()
    assert task["state"] == "succeeded"
    assert stack.wait_for("hello Ada").endswith(" INFO talks: hello Ada")
    assert not [line for line in stack.lines if task["id"] in line]
