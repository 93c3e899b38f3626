"""Whose work it is: the request, or the attempt, that the code which runs belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bide.scribe import Speaker

REQUEST_ID: Final[ContextVar[str]] = ContextVar("bide_request_id", default="")
"""API Gateway's of the request that is answered, or Lambda's of the invocation; empty where there is none."""

SPEAKER: Final[ContextVar[Speaker | None]] = ContextVar("bide_speaker", default=None)
"""The attempt whose code runs, in its asyncio tasks and in its threads."""
