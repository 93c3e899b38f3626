"""What a task raises to steer its own attempt, and what is raised in it. See bide/errors.py."""

from __future__ import annotations

from bide.bide_error import BideError


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
