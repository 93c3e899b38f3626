"""Bide's HTTP client.

    from bide_client import Client

    client = Client()                                   # BIDE_URL, BIDE_KEY
    task = client.submit("echo", value=1)
    print(task.id, task.result(timeout=10))

docs/client.md is the tour; `bide_client.errors` draws the tree of errors.
"""

from bide_client.client import Client
from bide_client.errors import (
    AccessDenied,
    BideError,
    ConnectionFailed,
    IdempotencyConflict,
    InboxFull,
    InvalidArguments,
    InvalidRequest,
    NotFound,
    ProblemError,
    RateLimited,
    Refused,
    ServerClosed,
    ServerFault,
    StoreUnavailable,
    TaskFinished,
    TaskNotFound,
    TooLarge,
    UnexpectedAnswer,
    UnknownQueue,
    UnknownTask,
    UsageError,
)
from bide_client.outcomes import TaskCancelled, TaskError, TaskExpired, TaskFailed, WaitTimeout
from bide_client.status import ServerStatus, Stats, StatsPart, TaskStatus
from bide_client.submission import Options, Submitter
from bide_client.task import Task
from bide_client.version import __version__

__all__ = [
    "AccessDenied",
    "BideError",
    "Client",
    "ConnectionFailed",
    "IdempotencyConflict",
    "InboxFull",
    "InvalidArguments",
    "InvalidRequest",
    "NotFound",
    "Options",
    "ProblemError",
    "RateLimited",
    "Refused",
    "ServerClosed",
    "ServerFault",
    "ServerStatus",
    "Stats",
    "StatsPart",
    "StoreUnavailable",
    "Submitter",
    "Task",
    "TaskCancelled",
    "TaskError",
    "TaskExpired",
    "TaskFailed",
    "TaskFinished",
    "TaskNotFound",
    "TaskStatus",
    "TooLarge",
    "UnexpectedAnswer",
    "UnknownQueue",
    "UnknownTask",
    "UsageError",
    "WaitTimeout",
    "__version__",
]
