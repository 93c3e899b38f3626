"""Tasks that are deployed. Each leaves a line in a file whenever its body, or a step of it, runs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bide import Context, Retry, task

QUICKLY = Retry(max_attempts=3, backoff="constant", delay="50ms", jitter=False)


def mark(file: str, what: str) -> None:
    with Path(file).open("a") as marks:
        marks.write(f"{what}\n")


@task(retry=QUICKLY)
async def quick(file: str, name: str) -> str:
    mark(file, name)
    return name


@task(retry=QUICKLY)
async def stepping(ctx: Context, file: str, steps: int, seconds: float) -> int:
    """Busy all the time, step after step."""
    for number in range(steps):
        await ctx.step(one_step, file, number, seconds)
    return steps


async def one_step(file: str, number: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    mark(file, f"step {number}")
    return number


@task(retry=QUICKLY)
async def polling(ctx: Context, seconds: float, every: float) -> str:
    since = await ctx.step(now)
    await ctx.poll(has_passed, since + seconds, every=every)
    return "polled"


async def now() -> float:
    return time.time()


async def has_passed(due: float) -> bool | None:
    return time.time() >= due or None


@task(retry=QUICKLY)
def stubborn(file: str, seconds: float) -> str:
    """A plain function, which cannot be ended."""
    mark(file, "stubborn")
    time.sleep(seconds)
    return "through"
