"""Tasks that log."""

from __future__ import annotations

import asyncio
import logging

from bide import Context, Retry, task

log = logging.getLogger("talking")
library = logging.getLogger("a.library")
ONCE = Retry(max_attempts=1)


def in_a_thread(text: str) -> None:
    library.info("%s in a thread", text)


@task(retry=ONCE)
async def talk(ctx: Context, name: str) -> None:
    """On the loop, in a step and beside, before and after it is parked."""
    log.info("%s begins", name)
    log.debug("%s whispers", name)
    await asyncio.gather(asyncio.to_thread(in_a_thread, name))
    await ctx.step(in_a_thread, f"{name}, a step")
    ctx.progress(0.5, "half way")
    await ctx.event("go")
    log.warning("%s ends", name)


@task(retry=ONCE)
def talk_plainly(ctx: Context, name: str) -> None:
    in_a_thread(name)
    ctx.progress(1.0)


@task(retry=Retry(max_attempts=2, delay="1ms", jitter=False))
async def talk_and_fail(ctx: Context) -> None:
    log.info("attempt %d", ctx.attempt)
    raise RuntimeError("no")


@task(retry=ONCE)
async def talk_and_nap(ctx: Context, seconds: float) -> None:
    await ctx.sleep(seconds)
    log.info("awake")


@task(retry=ONCE)
async def talk_until(ctx: Context) -> None:
    """Says something at once, and then waits for good."""
    log.info("first words")
    await asyncio.sleep(3600)


@task(retry=ONCE)
async def talk_too_much(count: int) -> None:
    for number in range(count):
        log.info("%d", number)
