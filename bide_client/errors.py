"""Everything that the client raises. Those about a task's end stand in `outcomes`.

BideError
├── UsageError                 the client was called wrongly (also a ValueError)
├── ConnectionFailed           no answer: refused, timed out, broke off
├── UnexpectedAnswer           an answer, but not one of a Bide server
├── ProblemError               the server answered with a problem (RFC 9457)
│   ├── Refused                4xx: the same request will be refused again
│   │   ├── InvalidRequest     MALFORMED_JSON, INVALID_REQUEST, METHOD_NOT_ALLOWED,
│   │   │   │                  UNSUPPORTED_MEDIA_TYPE, NOT_SUPPORTED_YET
│   │   │   ├── InvalidArguments   INVALID_ARGUMENTS
│   │   │   ├── UnknownTask        UNKNOWN_TASK
│   │   │   ├── UnknownQueue       UNKNOWN_QUEUE
│   │   │   └── TooLarge           TOO_LARGE
│   │   ├── AccessDenied       UNAUTHENTICATED, FORBIDDEN_HOST, FORBIDDEN_USER
│   │   │   └── Forbidden          FORBIDDEN
│   │   ├── NotFound           NOT_FOUND
│   │   │   ├── TaskNotFound       TASK_NOT_FOUND
│   │   │   └── QueueNotFound      QUEUE_NOT_FOUND
│   │   ├── TaskFinished       TASK_FINISHED
│   │   ├── TaskNotFinished    TASK_NOT_FINISHED
│   │   ├── TaskNotFailed      TASK_NOT_FAILED
│   │   ├── NotUnique          NOT_UNIQUE
│   │   ├── IdempotencyConflict    IDEMPOTENCY_CONFLICT
│   │   ├── InboxFull          INBOX_FULL
│   │   └── RateLimited        RATE_LIMITED
│   └── ServerFault            5xx: INTERNAL, NOT_CONFIGURED
│       ├── StoreUnavailable   STORE_UNAVAILABLE
│       └── ServerClosed       CLOSED
├── TaskError                  the task is done, without a result
│   ├── TaskFailed
│   ├── TaskExpired
│   └── TaskCancelled
└── WaitTimeout                the task is not done yet (also a TimeoutError)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final


class BideError(Exception):
    """Something went wrong between here and the end of a task."""

    attempts: int = 1
    """How often the request was made before this was raised."""


class UsageError(BideError, ValueError):
    """The client was called with something it cannot use; nothing was sent."""


class ConnectionFailed(BideError):
    """No answer came from the server.

    `may_have_arrived` is False when the request certainly never left, so that
    the server cannot have acted on it. `timed_out` tells waiting from refusal.
    """

    def __init__(self, message: str, *, may_have_arrived: bool, timed_out: bool = False) -> None:
        self.may_have_arrived = may_have_arrived
        self.timed_out = timed_out
        super().__init__(message)


class UnexpectedAnswer(BideError):
    """What answered is not a Bide server, or one of another version."""


class ProblemError(BideError):
    """The server answered with a problem.

    `status` is the HTTP status; `code` the stable machine word, None when the
    answer came from something in front of the server; `problem` the JSON object
    as it came; `errors` its `[{"pointer", "detail"}]`, often empty;
    `retry_after` the seconds after which to try again, if the server named any.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.problem = dict(problem)
        self.retry_after = retry_after
        code = problem.get("code")
        self.code: str | None = code if isinstance(code, str) else None
        errors = problem.get("errors")
        listed = errors if isinstance(errors, list) else []
        self.errors: list[dict[str, Any]] = [error for error in listed if isinstance(error, dict)]
        self.detail = str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
        super().__init__("\n".join([self.detail, *self._fields()]))

    def _fields(self) -> list[str]:
        """One line for each wrong field that the detail does not tell by itself."""
        lines = []
        for error in self.errors:
            detail = str(error.get("detail", ""))
            pointer = str(error.get("pointer", ""))
            if detail not in self.detail:
                lines.append(f"  {pointer}: {detail}")
            elif pointer not in self.detail:
                lines.append(f"  at {pointer}")
        return lines


class Refused(ProblemError):
    """The server will not do this; asking again unchanged is of no use."""


class InvalidRequest(Refused):
    """The request does not fit the API."""


class InvalidArguments(InvalidRequest):
    """The arguments do not fit the task's signature; `errors` points at each."""


class UnknownTask(InvalidRequest):
    """The server knows no task of this name."""


class UnknownQueue(InvalidRequest):
    """The server has no queue of this name."""


class TooLarge(InvalidRequest):
    """The submission, or the event, is larger than the server takes."""


class AccessDenied(Refused):
    """The key is missing or wrong, or the server does not serve this host name."""


class Forbidden(AccessDenied):
    """The key is right, but this needs an operator's key."""


class NotFound(Refused):
    """There is nothing at this address."""


class TaskNotFound(NotFound):
    """There is no such task, its retention has ended, or it is another tenant's."""


class QueueNotFound(NotFound):
    """The server has no queue of this name."""


class TaskFinished(Refused):
    """The task is done already."""


class TaskNotFinished(Refused):
    """The task is not done yet, so that it cannot be deleted."""


class TaskNotFailed(Refused):
    """The task has not failed, so that it cannot be retried."""


class NotUnique(Refused):
    """An unfinished task has the same `unique` value; `task` is its id, None if the server did not say."""

    @property
    def task(self) -> str | None:
        """The id of the unfinished task."""
        id = self.problem.get("task")
        return id if isinstance(id, str) else None


class IdempotencyConflict(Refused):
    """The Idempotency-Key was used before, for another submission or event."""


class InboxFull(Refused):
    """The task has as many unread events as it may have; `retry_after` says when to try again."""


class RateLimited(Refused):
    """Too many requests; `retry_after` says when there is room again."""


class ServerFault(ProblemError):
    """The server, or something in front of it, failed."""


class StoreUnavailable(ServerFault):
    """The server cannot reach its store."""


class ServerClosed(ServerFault):
    """The server takes no submissions; `detail` holds the reason its operator gave."""


_BY_CODE: Final[Mapping[str, type[ProblemError]]] = MappingProxyType(
    {
        "INVALID_ARGUMENTS": InvalidArguments,
        "UNKNOWN_TASK": UnknownTask,
        "UNKNOWN_QUEUE": UnknownQueue,
        "TOO_LARGE": TooLarge,
        "TASK_NOT_FOUND": TaskNotFound,
        "QUEUE_NOT_FOUND": QueueNotFound,
        "TASK_FINISHED": TaskFinished,
        "TASK_NOT_FINISHED": TaskNotFinished,
        "TASK_NOT_FAILED": TaskNotFailed,
        "NOT_UNIQUE": NotUnique,
        "IDEMPOTENCY_CONFLICT": IdempotencyConflict,
        "INBOX_FULL": InboxFull,
        "STORE_UNAVAILABLE": StoreUnavailable,
        "CLOSED": ServerClosed,
        "FORBIDDEN": Forbidden,
        "FORBIDDEN_HOST": AccessDenied,
        "FORBIDDEN_USER": AccessDenied,
        "UNAUTHENTICATED": AccessDenied,
        "RATE_LIMITED": RateLimited,
        "NOT_FOUND": NotFound,
        "MALFORMED_JSON": InvalidRequest,
        "INVALID_REQUEST": InvalidRequest,
        "METHOD_NOT_ALLOWED": InvalidRequest,
        "UNSUPPORTED_MEDIA_TYPE": InvalidRequest,
        "NOT_SUPPORTED_YET": InvalidRequest,
        "INTERNAL": ServerFault,
        "NOT_CONFIGURED": ServerFault,
    }
)

_BY_STATUS: Final[Mapping[int, type[ProblemError]]] = MappingProxyType(
    {
        400: InvalidRequest,
        401: AccessDenied,
        403: AccessDenied,
        404: NotFound,
        405: InvalidRequest,
        413: TooLarge,
        415: InvalidRequest,
        422: InvalidRequest,
        429: RateLimited,
    }
)


def problem_error(status: int, problem: Mapping[str, Any], retry_after: float | None) -> ProblemError:
    """The error for an answer with a status of 400 or above: by its code, else by its status."""
    family = _BY_CODE.get(str(problem.get("code")))
    if family is None:
        family = _BY_STATUS.get(status, ServerFault if status >= 500 else Refused)
    return family(status, problem, retry_after)
