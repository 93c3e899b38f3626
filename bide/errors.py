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

Only `chalice_app.problems` knows which HTTP status each one becomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class BideError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "ERROR"

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)


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
    """Too many submissions; slow down."""

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
    """The task has as many unread events as it may have; send the next when it has read some."""

    code = "INBOX_FULL"


class TooLarge(Refused):
    """The value is larger than the limit."""

    code = "TOO_LARGE"


class TaskControl(BideError):
    """Raised in a task to steer its own attempt."""

    code = "TASK_CONTROL"


class Reject(TaskControl):
    """The task rejected its work; it will not be retried."""

    code = "REJECTED"


class RetryAfter(TaskControl):
    """The task asked to be tried again later."""

    code = "RETRY_AFTER"

    def __init__(self, seconds: float, message: str | None = None) -> None:
        """`seconds` from now; the next attempt still counts against max_attempts."""
        if not 0 <= seconds <= 365 * 86400:
            raise ValueError(f"RetryAfter(seconds) takes 0 to 365 days in seconds, not {seconds!r}")
        self.seconds = seconds
        super().__init__(message or f"The task asked to be tried again in {seconds:g} s.")


class WaitTimeout(TaskControl, TimeoutError):
    """A wait lasted longer than its timeout."""

    code = "WAIT_TIMEOUT"


class StepFailed(TaskControl):
    """A step failed, with an exception whose type can no longer be found."""

    code = "STEP_FAILED"


class Misuse(TaskControl):
    """The context was used in a way that could not be replayed."""

    code = "MISUSE"


class JournalFull(TaskControl):
    """The task's journal has no room for another entry."""

    code = "JOURNAL_FULL"


class CodeChanged(TaskControl):
    """The code does something else than what the task's journal holds."""

    code = "CODE_CHANGED"


class Interrupted(TaskControl):
    """The attempt was asked to end."""

    code = "INTERRUPTED"


class TaskCancelled(Interrupted):
    """The task was cancelled."""

    code = "CANCELLED"


class TaskTimeout(Interrupted):
    """The attempt ran longer than its timeout."""

    code = "TIMEOUT"


class DeadlineExceeded(Interrupted):
    """The task's deadline has passed."""

    code = "DEADLINE_EXCEEDED"


class LifetimeExceeded(Interrupted):
    """The attempt ran longer than its worker could live."""

    code = "LIFETIME_EXCEEDED"
