"""Tasks that are ended, in each way, at whatever they do; some have asked for something at their end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

from program_tasks import ONCE, QUICKLY, acted, leave, step

from bide import Context, Retry, task

LONG_S = 60.0
"""How long each of them would go on by itself."""
PATIENT = Retry(max_attempts=3, backoff="constant", delay=LONG_S, jitter=False)
LIMITS: dict[str, dict[str, Any]] = {
    "timeout": {"timeout": "300ms"},
    "deadline": {"deadline": "600ms"},
    "expires": {"expires": "300ms"},
    "cancel": {},
}


# --- what runs into a limit -------------------------------------------------------------------


async def code(name: str) -> None:
    leave(name)
    await asyncio.sleep(LONG_S)


def plain(name: str) -> None:
    leave(name)
    time.sleep(LONG_S)


def checking(ctx: Context, name: str) -> None:
    leave(name)
    while True:
        ctx.check()
        time.sleep(0.005)


async def thread_step(ctx: Context, name: str) -> None:
    leave(name)
    await ctx.step(time.sleep, LONG_S)


async def async_step(ctx: Context, name: str) -> None:
    leave(name)
    await ctx.step(asyncio.sleep, LONG_S)


async def parked(ctx: Context, name: str) -> None:
    leave(name)
    await ctx.event("go")


async def retrying(name: str) -> None:
    leave(name)
    raise RuntimeError("again")


async def ready(name: str) -> None:
    leave(name)


KINDS = (code, plain, checking, thread_step, async_step, parked, retrying, ready)

for _limit, _options in LIMITS.items():
    for _kind in KINDS:
        _name = f"{_kind.__name__}.{_limit}"
        _retry = PATIENT if _kind is retrying else ONCE
        globals()[_name] = task(name=_name, retry=_retry, **_options)(_kind)


# --- what has asked for something at its end ----------------------------------------------------


@task(retry=QUICKLY)
async def begin_in_haste(ctx: Context, name: str) -> None:
    """Comes to its wait at once, and to the same again whenever it is resumed."""
    token = await step(ctx, name)
    ctx.on_exit(leave, f"{name}:exit", token)
    leave(f"{name}:asked")
    await ctx.step(acted, f"{name}/more")
    while True:
        await ctx.sleep(0.01)


@task(retry=QUICKLY)
async def ask_and_work(ctx: Context, name: str) -> None:
    ctx.on_exit(leave, f"{name}:exit")
    await step(ctx, name)
    await ctx.step(asyncio.sleep, LONG_S)


@task(retry=PATIENT)
async def ask_and_fail(ctx: Context, name: str) -> None:
    ctx.on_exit(leave, f"{name}:exit")
    await step(ctx, name)
    raise RuntimeError("again")


@task(retry=QUICKLY)
async def ask_and_answer(ctx: Context, name: str) -> None:
    """Answers a cancel with an exception of its own."""
    ctx.on_exit(leave, f"{name}:exit")
    leave(f"{name}:seen")
    try:
        await asyncio.sleep(LONG_S)
    except asyncio.CancelledError:
        raise RuntimeError("how rude") from None


@task(retry=QUICKLY, deadline="600ms")
async def ask_and_wait(ctx: Context, name: str) -> None:
    ctx.on_exit(leave, f"{name}:exit")
    await step(ctx, name)
    await ctx.event("go")


@task(retry=ONCE)
async def ask_and_die(ctx: Context, name: str) -> None:
    ctx.on_exit(leave, f"{name}:exit")
    await step(ctx, name)
    await ctx.step(os.kill, os.getpid(), signal.SIGKILL)


@task(retry=ONCE)
async def ask_and_stay(ctx: Context, name: str) -> None:
    """Does not unwind when it is parked."""
    ctx.on_exit(leave, f"{name}:exit")
    try:
        await ctx.event("go")
    except asyncio.CancelledError:
        await asyncio.sleep(LONG_S)


@task(retry=ONCE)
async def ask_for_the_impossible(ctx: Context, name: str) -> str:
    ctx.on_exit(leave, f"{name}:exit")
    ctx.on_exit(_exit_at_once)
    return "done"


async def _exit_at_once() -> None:
    raise SystemExit(3)


@task(retry=PATIENT)
def ask_in_thread(ctx: Context, name: str) -> None:
    ctx.on_exit(leave, f"{name}:exit")
    raise RuntimeError("again")
