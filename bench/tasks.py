"""Tasks that the benchmarks submit."""

from __future__ import annotations

import time

from bide import task


@task
async def noop(value: int) -> int:
    """Do nothing, and return the argument, so that there is a result to check."""
    return value


@task
async def clock() -> int:
    """When the body began: nanoseconds on the monotonic clock, which all processes of a machine share."""
    return time.monotonic_ns()
