"""Submitting many tasks in one request."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from bide_client.answer import Answer
from bide_client.errors import ProblemError, UnexpectedAnswer, UsageError, problem_error
from bide_client.status import TaskStatus
from bide_client.submission import Submission
from bide_client.task import Task
from bide_client.transport import Transport
from bide_client.wire import an_object, objects, reading

MOST_ITEMS: Final = 100
"""Tasks in one request."""


def submit_many(
    transport: Transport, submissions: Iterable[Submission], *, prefer_wait: int
) -> list[Task | ProblemError]:
    """Submit 1 to 100 tasks; for each, in order, its handle or the problem that the server has with it.

    Every item carries an Idempotency-Key, so the request is made again safely
    when the connection breaks. Raises what concerns all of them: a Refused, a
    ServerFault or ConnectionFailed, UsageError.
    """
    items = [_item(submission) for submission in submissions]
    if not 1 <= len(items) <= MOST_ITEMS:
        raise UsageError(f"submit_many takes 1 to {MOST_ITEMS} tasks, not {len(items)}")
    answer = transport.call("POST", "/v1/batches", body={"items": items})
    with reading("a batch"):
        outcomes = list(objects(answer.json["items"]))
    if len(outcomes) != len(items):
        raise UnexpectedAnswer(f"The server answered {len(items)} submissions with {len(outcomes)} items")
    return [_outcome(transport, item, answer, prefer_wait) for item in outcomes]


def _item(submission: Submission) -> dict[str, Any]:
    options = submission.options
    key = options.idempotency_key or str(uuid.uuid4())
    return options.body(submission.name, submission.args) | {"idempotency_key": key}


def _outcome(
    transport: Transport, item: Mapping[str, Any], answer: Answer, prefer_wait: int
) -> Task | ProblemError:
    with reading("an item of a batch"):
        wait = item.get("retry_after")
        retry_after = None if wait is None else float(wait)
        if "problem" in item:
            problem = an_object(item["problem"])
            return problem_error(int(problem["status"]), problem, retry_after)
        status = TaskStatus.from_json(an_object(item["task"]))
    task = Task(transport, status.id, prefer_wait=prefer_wait)
    task.learn(replace(answer, json=status.json, etag=None, retry_after=retry_after))
    return task
