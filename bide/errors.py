"""The error tree. Each class has a stable `code`; its docstring is its default message.

    BideError
    ├── SettingsError            SETTINGS
    ├── RegistryError            REGISTRY
    ├── StoreError
    │   ├── StoreUnavailable     STORE_UNAVAILABLE
    │   └── ScriptError          SCRIPT
    │       └── Superseded       SUPERSEDED
    ├── Refused                  (the store or the edge says no; nothing was written)
    │   ├── Closed               CLOSED
    │   ├── Unregistered         UNREGISTERED
    │   ├── RateLimited          RATE_LIMITED
    │   ├── IdempotencyConflict  IDEMPOTENCY_CONFLICT
    │   ├── TaskNotFound         TASK_NOT_FOUND
    │   ├── TaskFinished         TASK_FINISHED
    │   ├── TaskNotFinished      TASK_NOT_FINISHED
    │   ├── NotUnique            NOT_UNIQUE
    │   ├── QueueNotFound        QUEUE_NOT_FOUND
    │   ├── TaskNotFailed        TASK_NOT_FAILED
    │   ├── OperationNotFound    OPERATION_NOT_FOUND
    │   ├── TooManyOperations    TOO_MANY_OPERATIONS
    │   ├── UnknownTask          UNKNOWN_TASK
    │   ├── UnknownQueue         UNKNOWN_QUEUE
    │   ├── InvalidArguments     INVALID_ARGUMENTS
    │   ├── InboxFull            INBOX_FULL
    │   └── TooLarge             TOO_LARGE
    └── TaskControl              (raised by, or inside, a task)
        ├── Reject               REJECTED
        ├── RetryAfter           RETRY_AFTER
        ├── WaitTimeout          WAIT_TIMEOUT
        ├── StepFailed           STEP_FAILED
        ├── Misuse               MISUSE
        ├── JournalFull          JOURNAL_FULL
        ├── CodeChanged          CODE_CHANGED
        └── Interrupted          INTERRUPTED
            ├── TaskCancelled    CANCELLED
            ├── TaskTimeout      TIMEOUT
            ├── DeadlineExceeded DEADLINE_EXCEEDED
            └── LifetimeExceeded LIFETIME_EXCEEDED

Those of TaskControl are in bide/task_control.py; all are had from here. Only `chalice_app.problems`
knows which HTTP status each one becomes.
"""

from __future__ import annotations

from collections.abc import Sequence

from bide.bide_error import BideError as BideError
from bide.task_control import CodeChanged as CodeChanged
from bide.task_control import DeadlineExceeded as DeadlineExceeded
from bide.task_control import Interrupted as Interrupted
from bide.task_control import JournalFull as JournalFull
from bide.task_control import LifetimeExceeded as LifetimeExceeded
from bide.task_control import Misuse as Misuse
from bide.task_control import Reject as Reject
from bide.task_control import RetryAfter as RetryAfter
from bide.task_control import StepFailed as StepFailed
from bide.task_control import TaskCancelled as TaskCancelled
from bide.task_control import TaskControl as TaskControl
from bide.task_control import TaskTimeout as TaskTimeout
from bide.task_control import WaitTimeout as WaitTimeout


class SettingsError(BideError):
    """The settings are wrong."""

    code = "SETTINGS"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(["The settings are wrong:", *(f"  - {p}" for p in self.problems)]))


class RegistryError(BideError):
    """A task could not be loaded."""

    code = "REGISTRY"


class StoreError(BideError):
    """The store misbehaved."""

    code = "STORE"


class StoreUnavailable(StoreError):
    """The store cannot be reached; nothing is known to have been written. Try again."""

    code = "STORE_UNAVAILABLE"


class ScriptError(StoreError):
    """A store script is malformed or answered something unexpected."""

    code = "SCRIPT"


class Superseded(ScriptError):
    """A later start of this worker, or a later turn of the autoscaler, has the say."""

    code = "SUPERSEDED"


class Refused(BideError):
    """The request was refused; nothing was written."""

    code = "REFUSED"


class Closed(Refused):
    """The server is closed for submissions."""

    code = "CLOSED"

    def __init__(self, reason: str = "", retry_after: int = 0) -> None:
        """`retry_after` is in seconds; 0 means the closer gave no hint."""
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(f"The server is closed for submissions: {reason}" if reason else None)


class Unregistered(Refused):
    """This queue's slot has not been registered with the server yet."""

    code = "UNREGISTERED"


class RateLimited(Refused):
    """Too many submissions and events; slow down."""

    code = "RATE_LIMITED"

    def __init__(self, retry_after_ms: int) -> None:
        self.retry_after_ms = retry_after_ms
        super().__init__()


class IdempotencyConflict(Refused):
    """This Idempotency-Key was used before with a different request."""

    code = "IDEMPOTENCY_CONFLICT"


class TaskNotFound(Refused):
    """There is no such task (or its retention has ended)."""

    code = "TASK_NOT_FOUND"


class TaskFinished(Refused):
    """The task has already finished."""

    code = "TASK_FINISHED"

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"The task has already finished: it is {state}.")


class TaskNotFinished(Refused):
    """The task has not finished yet."""

    code = "TASK_NOT_FINISHED"

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"The task has not finished yet: it is {state}. Cancel it first, or wait.")


class NotUnique(Refused):
    """Another task with this unique value has not finished yet."""

    code = "NOT_UNIQUE"

    def __init__(self, task: str) -> None:
        self.task = task
        """Its id."""
        super().__init__(f"The task {task} has the same unique value, and has not finished yet.")


class QueueNotFound(Refused):
    """There is no such queue; GET /v1/queues lists them."""

    code = "QUEUE_NOT_FOUND"


class TaskNotFailed(Refused):
    """Only a failed task can be retried."""

    code = "TASK_NOT_FAILED"

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"Only a failed task can be retried; this one is {state}.")


class OperationNotFound(Refused):
    """There is no such operation (or a hundred have followed it)."""

    code = "OPERATION_NOT_FOUND"


class TooManyOperations(Refused):
    """Ten operations of this queue are running; begin another when one of them is done."""

    code = "TOO_MANY_OPERATIONS"


class UnknownTask(Refused):
    """No task of this name is registered."""

    code = "UNKNOWN_TASK"

    def __init__(self, name: str, nearest: str | None = None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f" Did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"No task named {name!r} is registered.{hint}")


class UnknownQueue(Refused):
    """No queue of this name exists."""

    code = "UNKNOWN_QUEUE"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"No queue named {name!r}; known queues: {', '.join(known)}. "
            "Name it in a task's queue= or in BIDE_QUEUES to add it."
        )


class InvalidArguments(Refused):
    """The arguments do not fit the task's signature."""

    code = "INVALID_ARGUMENTS"

    def __init__(self, message: str, pointer: str = "") -> None:
        """`pointer` is a JSON pointer (RFC 6901) into the task's arguments."""
        self.pointer = pointer
        super().__init__(message)


class InboxFull(Refused):
    """The task has not read 64 events, or 256 KiB of them; send the next when it has read some."""

    code = "INBOX_FULL"


class TooLarge(Refused):
    """The value is larger than the limit."""

    code = "TOO_LARGE"
