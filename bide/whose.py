"""Whose work it is: the request, or the attempt, that the code which runs belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bide.branches import Branch

REQUEST_ID: Final[ContextVar[str]] = ContextVar("bide_request_id", default="")
"""API Gateway's of the request that is answered, or Lambda's of the invocation; empty where there is none."""

BRANCH: Final[ContextVar[Branch | None]] = ContextVar("bide_branch", default=None)
"""The branch of a task's code that runs, also in asyncio tasks and in threads that it has made."""
