"""A plain function that cannot be ended."""

from __future__ import annotations

import threading

from bide import task


@task(local_only=True)
def stubborn() -> None:
    """Wait for ever."""
    print("begun", flush=True)
    threading.Event().wait()
