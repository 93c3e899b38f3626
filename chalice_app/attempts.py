"""The JSON form of a task's attempts. Pure."""

from __future__ import annotations

import msgspec

from bide.history import FAILURES, Attempt, History
from chalice_app.wire import time_text

_encode = msgspec.json.Encoder().encode


class AttemptJson(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt on the wire. docs/http-api.md describes each field."""

    attempt: int
    worker: str | None
    started_at: str | None
    ended_at: str | None
    outcome: str
    code: str | None
    message: str | None
    traceback: str = ""


class AttemptsJson(msgspec.Struct, frozen=True):
    """All attempts that are kept, the oldest first."""

    attempts: list[AttemptJson]
    dropped: int


def attempts_json(history: History, *, traceback: bool) -> bytes:
    """The body that shows a task's attempts.

    traceback: show where in the code the latest failure arose; for whoever runs the server.
    """
    latest = next((each for each in reversed(history.attempts) if each.outcome in FAILURES), None)
    return _encode(
        AttemptsJson(
            [
                _form(attempt, history.traceback if traceback and attempt is latest else "")
                for attempt in history.attempts
            ],
            history.dropped,
        )
    )


def _form(attempt: Attempt, traceback: str) -> AttemptJson:
    return AttemptJson(
        attempt.number,
        attempt.worker or None,
        time_text(attempt.began_ms),
        time_text(attempt.ended_ms),
        attempt.outcome,
        attempt.code or None,
        attempt.message or None,
        traceback,
    )
