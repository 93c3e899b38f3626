"""Bide: a task server whose tasks wait for free.

What a task author imports:

    from bide import Context, Reject, Retry, RetryAfter, task
"""

from bide.context import Context
from bide.definition import task
from bide.errors import Reject, RetryAfter
from bide.retry import Retry

__all__ = ["Context", "Reject", "Retry", "RetryAfter", "task"]
