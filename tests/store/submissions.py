"""Submissions with defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bide.ids import TaskId
from bide.submission import Submission

Submit = Callable[..., TaskId]
"""Submits a task with these fields of Submission, and `rate_limit`."""

DEFAULTS: dict[str, Any] = {
    "name": "echo",
    "args": '{"value":1}',
    "queue": "default",
    "tenant": "",
    "max_attempts": 3,
    "retention_ms": 60_000,
}


def submission(**given: Any) -> Submission:
    """An echo task, but for what is given."""
    return Submission(**DEFAULTS | given)
