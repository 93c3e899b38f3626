"""Errors that carry a task's status: it ended without a result, or has not ended in time."""

from __future__ import annotations

from bide_client.errors import BideError
from bide_client.status import TaskStatus


class TaskError(BideError):
    """The task is done and has no result. `task_status` is its final status."""

    def __init__(self, message: str, task_status: TaskStatus) -> None:
        self.task_status = task_status
        super().__init__(message)


class TaskFailed(TaskError):
    """The task failed for good. `code`, `message` and `traceback` say why."""

    def __init__(self, task_status: TaskStatus) -> None:
        error = task_status.error or {}
        self.code = str(error.get("code") or "FAILED")
        self.message = str(error.get("message") or f"it is {task_status.state}")
        traceback = error.get("traceback")
        self.traceback: str | None = traceback if isinstance(traceback, str) and traceback else None
        super().__init__(f"Task {task_status.id} failed: {self.code}: {self.message}", task_status)


class TaskExpired(TaskError):
    """Nobody started the task in the time that it may wait for a start."""

    def __init__(self, task_status: TaskStatus) -> None:
        super().__init__(f"Task {task_status.id} has expired: no worker started it in time", task_status)


class TaskCancelled(TaskError):
    """The task was cancelled."""

    def __init__(self, task_status: TaskStatus) -> None:
        super().__init__(f"Task {task_status.id} was cancelled", task_status)


class WaitTimeout(BideError, TimeoutError):
    """The task was not done in time; it goes on. `task_status` is the latest one, None if none came."""

    def __init__(self, task_id: str, timeout: float, task_status: TaskStatus | None) -> None:
        self.task_id = task_id
        self.timeout = timeout
        self.task_status = task_status
        state = task_status.state if task_status else "not known to be done"
        super().__init__(f"Task {task_id} is still {state} after {timeout:g} s")
