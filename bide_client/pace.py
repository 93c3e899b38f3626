"""When to ask again about a task that is not done. Pure.

`Retry-After: n` with n >= 1 is the server's prediction: ask after n seconds,
and not sooner. 0 means "very soon": the next poll goes out at once and asks to
be held until the task is done (`Prefer: wait`). A server that will not hold
answers at once; then polls follow a short backoff while it says 0.
"""

from __future__ import annotations

from typing import Final

FIRST_STEP: Final = 0.02
LONGEST_STEP: Final = 0.5
"""Seconds; the backoff doubles from the first to the longest."""
LONGEST_LOG_PAUSE: Final = 2.0
"""Seconds."""
LONGEST_PAUSE: Final = 86_400.0
"""Seconds; a task that starts next month is asked for once a day."""


def pause(retry_after: float, zeros: int, took: float, *, holding: bool) -> float:
    """Seconds between an answer and the next poll.

    `retry_after` is what the answer said; `zeros` how many answers in a row,
    this one included, said 0; `took` how many seconds this one took, so that a
    poll which was held is followed up without delay; `holding` is whether the
    next poll may be held.
    """
    if retry_after > 0:
        return min(retry_after, LONGEST_PAUSE)
    steps = zeros - 1 if holding else zeros
    return max(0.0, _step(steps) - took) if steps > 0 else 0.0


def log_pause(retry_after: float) -> float:
    """Seconds until a log that is followed is asked for its next lines; `retry_after` is what it said.

    Who follows a log wants to see it, though nothing is predicted of it: so not
    as late as a prediction of the task's end may be.
    """
    return min(max(retry_after, LONGEST_STEP), LONGEST_LOG_PAUSE)


def _step(number: int) -> float:
    return min(LONGEST_STEP, FIRST_STEP * 2.0 ** min(number - 1, 16))
