"""Bide: a task server whose tasks wait for free.

What a task author imports:

    from bide import Context, Pending, Reject, Retry, RetryAfter, WaitTimeout, poller, task
"""

from bide.context import Context, Winner
from bide.definition import task
from bide.errors import Reject, RetryAfter, StepFailed, WaitTimeout
from bide.poller import Pending, poller
from bide.retry import Retry

__all__ = [
    "Context",
    "Pending",
    "Reject",
    "Retry",
    "RetryAfter",
    "StepFailed",
    "WaitTimeout",
    "Winner",
    "poller",
    "task",
]
