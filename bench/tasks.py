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
async def stamp(value: int) -> tuple[int, int]:
    """The argument, and when the body began, as `clock` has it."""
    return value, time.monotonic_ns()


@task
async def pause(ctx: Context, seconds: float, value: int) -> int:
    """Wait, and return the argument."""
    await ctx.sleep(seconds)
    return value


# A name each: what a server knows of how long tasks take, it knows by their names.


@task
async def blink(ctx: Context) -> None:
    """Take a tenth of a second."""
    await ctx.sleep(0.1)


@task
async def breath(ctx: Context) -> None:
    """Take a second."""
    await ctx.sleep(1)


@task
async def stroll(ctx: Context) -> None:
    """Take ten seconds."""
    await ctx.sleep(10)


@task
async def nap(ctx: Context) -> None:
    """Take a minute."""
    await ctx.sleep(60)


@task
async def watch(ctx: Context, seconds: float, every: float, value: int) -> int:
    """Ask every so often for what becomes true some seconds after the start, and return the argument."""
    since = await ctx.step(_now)
    await ctx.poll(_has_passed, since + seconds, every=every)
    return value


@task
async def hop(ctx: Context, times: int, value: int) -> int:
    """Wait a moment, so many times, and return the argument."""
    for _ in range(times):
        await ctx.sleep(0.001)
    return value


@task
async def climb(ctx: Context, steps: int) -> int:
    """Step after step; returns where it has come to."""
    height = 0
    for _ in range(steps):
        height = await ctx.step(_up, height)
    return height


async def _now() -> float:
    return time.time()


async def _has_passed(due: float) -> bool | None:
    """Whether that moment, in seconds since the epoch, is over; None while it is not."""
    return time.time() >= due or None


async def _up(height: int) -> int:
    return height + 1
