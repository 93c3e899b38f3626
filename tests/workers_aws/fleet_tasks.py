"""Tasks that take their time, one that cannot be ended, and one that fails."""

from __future__ import annotations

import threading
import time

from bide import Reject, task


@task
def slow() -> None:
    """Take 0.2 s of a thread."""
    time.sleep(0.2)


@task
def stubborn() -> None:
    """Wait for ever."""
    print("begun", flush=True)
    threading.Event().wait()


@task
async def reject() -> None:
    """Fail at once, for good."""
    raise Reject("no")
