"""Whose work it is: the request, or the attempt, that the code which runs belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from bide.journal import Cursor
    from bide.scribe import Speaker


class RunningBranch(Protocol):
    """What of a `Branch` (bide/branches.py) is needed where its code is not loaded."""

    cursor: Cursor
    speaker: Speaker | None


REQUEST_ID: Final[ContextVar[str]] = ContextVar("bide_request_id", default="")
"""API Gateway's of the request that is answered, or Lambda's of the invocation; empty where there is none."""

BRANCH: Final[ContextVar[RunningBranch | None]] = ContextVar("bide_branch", default=None)
"""The branch of a task's code that runs, also in asyncio tasks and in threads that it has made."""
