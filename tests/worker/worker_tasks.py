"""Tasks for the tests. Each leaves a line in the effects file whenever its body starts."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from pathlib import Path
from typing import Any

from bide import Context, Reject, Retry, RetryAfter, task

QUICKLY = Retry(max_attempts=8, backoff="constant", delay="20ms", jitter=False)


def _effect(name: str) -> str:
    """Leave a line `name token` and return the token, new at each call."""
    token = secrets.token_hex(8)
    with Path(os.environ["EFFECTS"]).open("a") as effects:
        effects.write(f"{name} {token}\n")
    return token


@task(retry=QUICKLY)
async def succeed(name: str) -> str:
    return _effect(name)


@task(retry=QUICKLY)
async def fail_once(ctx: Context, name: str) -> str:
    token = _effect(name)
    if ctx.attempt == 1:
        raise RuntimeError("once")
    return token


@task(retry=QUICKLY)
async def reject(name: str) -> None:
    _effect(name)
    raise Reject("no")


@task(retry=QUICKLY)
async def wait_for_cancel(name: str) -> None:
    _effect(name)
    await asyncio.sleep(60)


@task(retry=QUICKLY)
def in_thread(name: str) -> str:
    return _effect(name)


@task(retry=QUICKLY)
async def doze(name: str, seconds: float) -> str:
    token = _effect(name)
    await asyncio.sleep(seconds)
    return token


@task(retry=Retry(max_attempts=3))
async def kill_worker(name: str) -> None:
    _effect(name)
    await asyncio.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)


@task(retry=Retry(max_attempts=3, backoff="constant", delay="20ms", jitter=False))
async def fail_until(ctx: Context, attempts: int) -> int:
    """Fail in so many attempts."""
    if ctx.attempt <= attempts:
        raise ValueError("not yet")
    return ctx.attempt


@task(retry=Retry(max_attempts=2))
async def kill_until(ctx: Context, attempts: int) -> int:
    """Kill the worker in so many attempts."""
    if ctx.attempt <= attempts:
        os.kill(os.getpid(), signal.SIGKILL)
    return ctx.attempt


@task(retry=Retry(max_attempts=3))
async def innocent(name: str) -> str:
    await asyncio.sleep(0.1)
    return name


@task
async def compute(seconds: float) -> str:
    """Holds the event loop up, as no task should."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


@task
def check_in_loop(ctx: Context, name: str) -> None:
    _effect(name)
    while True:
        ctx.check()
        time.sleep(0.005)


@task(retry=QUICKLY)
async def ticking(ctx: Context, name: str, times: int, seconds: float) -> None:
    """Waits again and again, never for long."""
    _effect(name)
    for _ in range(times):
        await ctx.sleep(seconds)


@task(retry=Retry(max_attempts=2, delay="20ms"))
def deaf(name: str, seconds: float) -> str:
    """Neither checks whether it is to end, nor can be ended."""
    token = _effect(name)
    time.sleep(seconds)
    return token


@task(timeout="50ms", retry=Retry(max_attempts=1))
async def too_slow() -> None:
    await asyncio.sleep(60)


@task(timeout="50ms", retry=Retry(max_attempts=1))
def too_slow_in_thread(ctx: Context) -> None:
    while True:
        ctx.check()
        time.sleep(0.005)


@task(retry=QUICKLY)
async def ask_for_later(ctx: Context) -> int:
    if ctx.attempt == 1:
        raise RetryAfter(0.2)
    return ctx.attempt


@task(retry=Retry(max_attempts=1))
async def raises(what: str) -> None:
    match what:
        case "exit":
            raise SystemExit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "cancelled":
            raise asyncio.CancelledError
        case "surrogate":
            raise ValueError("\ud800")
    raise ValueError(what)


@task(retry=Retry(max_attempts=1))
def raises_in_thread() -> None:
    raise SystemExit(3)


@task
async def returns(what: str) -> Any:
    values: dict[str, Any] = {
        "object": object(),
        "large": "x" * 300_000,
        "surrogate": "\ud800",
        "fine": {"list": [1, 2.5, None, "ä"]},
    }
    return values[what]


@task(queue="other")
async def elsewhere() -> str:
    return "elsewhere"
