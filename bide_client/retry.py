"""When to make a failed request again. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from bide_client.errors import BideError, ConnectionFailed, ProblemError, ServerClosed, StoreUnavailable

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 5.0
"""Seconds; the delay doubles from the first to the longest."""


def seconds_from(header: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header names, as a number or an HTTP date; None when it names none."""
    if not header:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header[:12])
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def is_transient(error: BideError, *, reached: bool, retry_closed: bool) -> bool:
    """Whether the same request may fare better in a moment.

    A server that was never reached (`reached` is False) is more likely misspelt
    or not started than restarting, so that is reported at once.
    """
    if isinstance(error, ConnectionFailed):
        return reached or error.may_have_arrived
    if isinstance(error, ServerClosed):
        return retry_closed
    if isinstance(error, ProblemError):
        if error.status == 503:
            return isinstance(error, StoreUnavailable) or error.code is None
        return error.status in (429, 502, 504)
    return False


def delay(failures: int, retry_after: float | None, left: float, draw: float) -> float | None:
    """Seconds to wait before the next try, or None when there is no time for one.

    `failures` so far (1 or more), `retry_after` as the server asked, `left`
    seconds of patience, `draw` a random number from 0 to 1. Exponential with
    jitter; never sooner than the server asked.
    """
    backoff = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16)) * (0.5 + draw / 2)
    chosen = backoff if retry_after is None else retry_after + backoff / 2
    return chosen if chosen < left else None
