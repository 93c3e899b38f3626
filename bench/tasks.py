"""Tasks that the benchmarks submit."""

from __future__ import annotations

import time

from bide import Context, task


@task
async def noop(value: int) -> int:
    """Do nothing, and return the argument, so that there is a result to check."""
    return value


@task
async def clock() -> int:
    """When the body began: nanoseconds on the monotonic clock, which all processes of a machine share."""
    return time.monotonic_ns()


@task
async def pause(ctx: Context, seconds: float, value: int) -> int:
    """Wait, and return the argument."""
    await ctx.sleep(seconds)
    return value


@task
async def watch(ctx: Context, seconds: float, every: float, value: int) -> int:
    """Ask something every so often that becomes true some seconds after the first look, and return the argument."""
    since = await ctx.step(time.time)
    await ctx.poll(_has_passed, since + seconds, every=every)
    return value


def _has_passed(due: float) -> bool | None:
    """Whether that moment (seconds since the epoch) is over."""
    return time.time() >= due or None
