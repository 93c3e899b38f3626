"""Bide's HTTP client.

    from bide_client import Client

    client = Client()                                   # BIDE_URL, BIDE_KEY
    task = client.submit("echo", value=1)
    print(task.id, task.result(timeout=10))

docs/client.md is the tour; `bide_client.errors` draws the tree of errors.
"""

from bide_client.address import KeyExposed
from bide_client.attempt import Attempt
from bide_client.client import Client
from bide_client.errors import (
    AccessDenied,
    BideError,
    ConnectionFailed,
    Forbidden,
    IdempotencyConflict,
    InboxFull,
    InvalidArguments,
    InvalidRequest,
    NotFound,
    NotUnique,
    ProblemError,
    QueueNotFound,
    RateLimited,
    Refused,
    ServerClosed,
    ServerFault,
    StoreUnavailable,
    TaskFinished,
    TaskNotFailed,
    TaskNotFinished,
    TaskNotFound,
    TooLarge,
    UnexpectedAnswer,
    UnknownQueue,
    UnknownTask,
    UsageError,
)
from bide_client.log import LogLine, LogPage
from bide_client.operation import Operation
from bide_client.outcomes import TaskCancelled, TaskError, TaskExpired, TaskFailed, WaitTimeout
from bide_client.queues import Queue
from bide_client.series import Minute, Percentiles, Series
from bide_client.status import ServerStatus, Stats, StatsPart, TaskStatus
from bide_client.submission import Options, Submission, Submitter
from bide_client.task import Task
from bide_client.version import __version__
from bide_client.workers import Held, Worker

__all__ = [
    "AccessDenied",
    "Attempt",
    "BideError",
    "Client",
    "ConnectionFailed",
    "Forbidden",
    "Held",
    "IdempotencyConflict",
    "InboxFull",
    "InvalidArguments",
    "InvalidRequest",
    "KeyExposed",
    "LogLine",
    "LogPage",
    "Minute",
    "NotFound",
    "NotUnique",
    "Operation",
    "Options",
    "Percentiles",
    "ProblemError",
    "Queue",
    "QueueNotFound",
    "RateLimited",
    "Refused",
    "Series",
    "ServerClosed",
    "ServerFault",
    "ServerStatus",
    "Stats",
    "StatsPart",
    "StoreUnavailable",
    "Submission",
    "Submitter",
    "Task",
    "TaskCancelled",
    "TaskError",
    "TaskExpired",
    "TaskFailed",
    "TaskFinished",
    "TaskNotFailed",
    "TaskNotFinished",
    "TaskNotFound",
    "TaskStatus",
    "TooLarge",
    "UnexpectedAnswer",
    "UnknownQueue",
    "UnknownTask",
    "UsageError",
    "WaitTimeout",
    "Worker",
    "__version__",
]
