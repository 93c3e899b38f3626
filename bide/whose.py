"""Whose work it is: the request, or the attempt, that the code which runs belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from bide.ids import TaskId


class RunningAttempt(Protocol):
    """What of an attempt is told where the code of workers is not loaded."""

    id: TaskId
    attempt: int


class RunningBranch(Protocol):
    """The same of a `Branch` (bide/worker/branches.py)."""

    @property
    def speaker(self) -> RunningAttempt | None:
        """Whose code it is; None where nobody has to know."""


REQUEST_ID: Final[ContextVar[str]] = ContextVar("bide_request_id", default="")
"""API Gateway's of the request that is answered, or Lambda's of the invocation; empty where there is none."""

BRANCH: Final[ContextVar[RunningBranch | None]] = ContextVar("bide_branch", default=None)
"""The branch of a task's code that runs, also in asyncio tasks and in threads that it has made."""
