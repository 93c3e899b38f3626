"""Tasks that take their time, and one that cannot be ended."""

from __future__ import annotations

import threading
import time

from bide import task


@task
def slow() -> None:
    """Take 0.2 s of a thread."""
    time.sleep(0.2)


@task
def stubborn() -> None:
    """Wait for ever."""
    print("begun", flush=True)
    threading.Event().wait()
