"""The smallest tasks: try them, copy them, delete them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from bide import Context, Retry, task


@task
async def echo(value: Any) -> Any:
    """Return what was sent."""
    return value


@task(timeout="1d")
async def sleep(ctx: Context, seconds: Annotated[float, Meta(ge=0, le=86_400)]) -> float:
    """Wait, and return how long. A long wait holds no worker."""
    await ctx.sleep(seconds)
    return seconds


@task(retry=Retry(max_attempts=10, backoff="constant", delay="100ms"))
async def flaky(ctx: Context, fail_times: Annotated[int, Meta(ge=0)]) -> int:
    """Fail as often as asked, then succeed; returns the number of the attempt that did."""
    if ctx.attempt <= fail_times:
        raise RuntimeError(f"attempt {ctx.attempt} of {fail_times} that fail")
    return ctx.attempt
