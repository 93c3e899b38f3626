"""What an operator does and sees in MODE=lambda: it is what quick mode offers, and costs no worker."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from lambda_process import DRAIN, SECONDS, LambdaProcess, until
from stack_process import Package

MINE = "a-key-of-the-operators-own"

TASKS = """
import asyncio
import logging
from bide import Context, Reject, task

log = logging.getLogger("talks")

@task
async def talks(ctx: Context, seconds: float = 0) -> None:
    log.info("too low to be kept")
    log.warning("hello")
    ctx.progress(0.5, "half")
    await asyncio.sleep(seconds)

@task
def blocks() -> None:
    log.warning("from a thread")

@task
async def rejected() -> None:
    raise Reject("no")
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaProcess]:
    """One stack, whose settings are the user's own."""
    package = Package(tmp_path_factory.mktemp("tasks"), "talking_deployed")
    package.save("talks", TASKS)
    stack = LambdaProcess(
        BIDE_TASKS=f"workers.tasks,{package.name}",
        PYTHONPATH=str(package.folder),
        BIDE_TASK_LOG_LEVEL="WARNING",
        BIDE_LOG_LEVEL="INFO",
        BIDE_LOG_FORMAT="json",
        BIDE_RECORDS="1",
        BIDE_OPERATOR_KEY_HASHES=hashlib.sha256(MINE.encode()).hexdigest(),
    )
    try:
        yield stack.ready()
    finally:
        stack.end()


def ask(stack: LambdaProcess, method: str, path: str, key: str = MINE, **body: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.request(method, f"{stack.url}{path}", headers=headers, json=body or None, timeout=SECONDS)


def logged(stack: LambdaProcess) -> list[dict[str, Any]]:
    """The JSON that all functions have logged; a line that begins with it has nothing else."""
    folder = Path(stack.wait_for(r"what it printed:").split()[-1])
    texts = [file.read_text() for file in folder.iterdir()]
    return [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]


def test_an_operators_key_of_the_user_is_let_in(stack: LambdaProcess) -> None:
    assert ask(stack, "POST", "/v1/queues/default/resume").status_code == 200
    assert ask(stack, "POST", "/v1/queues/default/resume", key="another").status_code == 401


def test_a_paused_queue_starts_no_function_and_resumed_starts_one_at_once(stack: LambdaProcess) -> None:
    until(lambda: not stack.figures(DRAIN)["busy"])
    assert ask(stack, "POST", "/v1/queues/default/pause").json()["paused"]
    before = stack.figures(DRAIN)["invocations"]
    ids = [stack.submit("echo", wait=0, value=number).json()["id"] for number in range(3)]
    batch = [{"name": "echo", "args": {"value": number}, "priority": number} for number in range(3)]
    answer = ask(stack, "POST", "/v1/batches", items=batch)
    ids += [item["task"]["id"] for item in answer.json()["items"]]
    shown = ask(stack, "GET", "/v1/queues/default").json()
    assert (shown["paused"], shown["tasks"]["ready"]) == (True, 6)
    assert (stack.figures(DRAIN)["invocations"], stack.figures(DRAIN)["busy"]) == (before, 0)
    assert ask(stack, "POST", "/v1/queues/default/resume").status_code == 200
    assert {stack.done(id)["state"] for id in ids} == {"succeeded"}
    reasons = ask(stack, "GET", "/v1/scaling").json()["queues"][0]["decisions"]
    assert "resumed" in [decision["reason"] for decision in reasons]


def test_what_a_task_says_is_read_while_it_runs(stack: LambdaProcess) -> None:
    id = stack.submit("talks", wait=0, seconds=600).json()["id"]
    until(lambda: len(ask(stack, "GET", f"/v1/tasks/{id}/log").json()["lines"]) == 2)
    page = ask(stack, "GET", f"/v1/tasks/{id}/log").json()
    assert not page["done"]
    assert [(line["kind"], line["message"]) for line in page["lines"]] == [
        ("log", "hello"),  # and not what is below BIDE_TASK_LOG_LEVEL
        ("progress", "half"),
    ]
    ask(stack, "POST", f"/v1/tasks/{id}/cancel")
    assert stack.done(id)["state"] == "cancelled"


def test_failed_tasks_are_redriven_at_a_rate(stack: LambdaProcess) -> None:
    ids = [stack.submit("rejected", wait=0).json()["id"] for _ in range(3)]
    assert {stack.done(id)["state"] for id in ids} == {"failed"}
    answer = ask(stack, "POST", "/v1/queues/default/redrive", dry_run=False, code="REJECTED", rate=2)
    assert answer.json()["changed"] == 3
    until(lambda: [len(_attempts(stack, id)) for id in ids] == [2, 2, 2])
    starts = sorted(_attempts(stack, id)[1]["started_at"] for id in ids)
    assert len({start[:21] for start in starts}) == 3, "tenths of a second, half a second apart"


def _attempts(stack: LambdaProcess, id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(stack, "GET", f"/v1/tasks/{id}/attempts").json()["attempts"]
    return [attempt for attempt in found if attempt["outcome"] == "failed"]


def test_the_functions_log_a_line_of_json_for_each_transition(stack: LambdaProcess) -> None:
    """Each alone on its line, whatever else is logged, and with the id of its invocation."""
    ids = [stack.submit(name, wait=0).json()["id"] for name in ("talks", "blocks")]
    ids += [stack.submit("flaky", wait=0, fail_times=1).json()["id"]]
    for id in ids:
        stack.done(id)
    until(lambda: not stack.figures(DRAIN)["busy"])
    lines = [line for line in logged(stack) if line.get("task") in ids]
    assert all(line["request_id"] for line in lines)
    found = [Counter(line["event"] for line in lines if line["task"] == id) for id in ids]
    assert found[0] == {"submitted": 1, "started": 1, "log": 2, "succeeded": 1}
    assert found[1] == {"submitted": 1, "started": 1, "log": 1, "succeeded": 1}
    retried = {"submitted": 1, "started": 2, "retrying": 1, "promoted": 1, "succeeded": 1}
    assert {event: count for event, count in found[2].items() if event != "log"} == retried
