"""Tasks that wait. Beside their results, they leave lines in the effects file: see `leave`."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from bide import Context, Retry, WaitTimeout, task

TOUGH = Retry(max_attempts=500, backoff="constant", delay="20ms", jitter=False)
QUICKLY = Retry(max_attempts=8, backoff="constant", delay="20ms", jitter=False)
ONCE = Retry(max_attempts=1)


def leave(name: str, token: str = "") -> str:
    """Leave a line `name token` and return the token, by default a new one."""
    token = token or secrets.token_hex(8)
    # One write of an open file: lines of several processes do not mix, and a kill cuts none.
    file = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, f"{name} {token}\n".encode())
    finally:
        os.close(file)
    return token


async def acted(name: str) -> str:
    """The body of a step; its token says which run of it is meant."""
    return leave(f"{name}:ran")


def acted_in_thread(name: str) -> str:
    return leave(f"{name}:ran")


async def step(ctx: Context, name: str) -> str:
    """A step that leaves a line when it runs, and one each time the code gets its result."""
    token: str = await ctx.step(acted, name)
    return leave(f"{name}:seen", token)


def fail_in_step(message: str) -> None:
    raise ValueError(message)


# --- programs ---------------------------------------------------------------------------------


def perhaps(label: str) -> str | None:
    """The check of a poll."""
    return f"true {label}" if random.random() < 0.4 else None


@task(retry=TOUGH)
async def program(ctx: Context, name: str, lines: list[Any]) -> list[Any]:
    """Carries out a random program; see test_worker_programs.py."""
    return await run_lines(ctx, name, "", lines)


async def run_lines(ctx: Context, name: str, at: str, lines: Sequence[Any]) -> list[Any]:
    return [await run_line(ctx, name, f"{at}-{number}", line) for number, line in enumerate(lines)]


async def run_line(ctx: Context, name: str, at: str, line: Sequence[Any]) -> Any:
    kind, *rest = line
    branches = partial(run_lines, ctx, name)
    match kind:
        case "step":
            return ["token", await step(ctx, f"{name}{at}")]
        case "fail":
            try:
                await ctx.step(fail_in_step, at)
            except ValueError as error:
                return f"caught {error}"
        case "sleep":
            return await ctx.sleep(rest[0] / 1000)
        case "poll":
            return await ctx.poll(perhaps, at, every=0.005)
        case "event":
            return await ctx.event(f"e{at}")
        case "late":
            try:
                return await ctx.event("never", timeout=rest[0] / 1000)
            except WaitTimeout:
                return "late"
        case "never":
            return await ctx.event("never")
        case "gather":
            return await ctx.gather(*(branches(f"{at}-{n}", lines) for n, lines in enumerate(rest)))
        case "first":
            return await ctx.first(*(branches(f"{at}-{n}", lines) for n, lines in enumerate(rest)))
    raise AssertionError(f"no program has a line {line}")


# --- steps, one after the other -----------------------------------------------------------------


@task(retry=TOUGH)
async def walk(ctx: Context, name: str) -> list[Any]:
    """Steps with a wait of each kind between them, and a group."""
    ctx.on_exit(leave, f"{name}:exit")
    tokens = [await step(ctx, f"{name}/one")]
    await ctx.sleep(0.02)
    tokens.append(await step(ctx, f"{name}/two"))
    went = await ctx.event("go")
    tokens.append(await step(ctx, f"{name}/three"))
    answer = await ctx.poll(perhaps, "poll", every=0.005)
    tokens += await ctx.gather(step(ctx, f"{name}/four"), step(ctx, f"{name}/five"))
    return [went, answer, tokens]


# --- waiting ----------------------------------------------------------------------------------


@task(retry=QUICKLY)
async def nap(ctx: Context, name: str, seconds: float) -> str:
    leave(f"{name}:began")
    token = await step(ctx, name)
    await ctx.sleep(seconds)
    return token


@task(retry=QUICKLY)
async def nap_first(ctx: Context, name: str, seconds: float) -> str:
    leave(f"{name}:began")
    await ctx.sleep(seconds)
    return await step(ctx, name)


@task(retry=QUICKLY, timeout="300ms")
async def nap_beyond_timeout(ctx: Context, seconds: float) -> str:
    await ctx.sleep(seconds)
    return "awake"


@task(retry=ONCE, timeout="300ms")
async def work_beyond_timeout(ctx: Context) -> None:
    """Neither of its halves exceeds the timeout."""
    await asyncio.sleep(0.2)
    await ctx.sleep(0.05)
    await asyncio.sleep(0.2)


@task(retry=QUICKLY, deadline="400ms")
async def nap_beyond_deadline(ctx: Context) -> None:
    await ctx.sleep(60)


@task(retry=QUICKLY)
async def clean_up_from_groups(ctx: Context, name: str) -> None:
    """Asks for something at its end in branches of groups, behind waits that are over."""
    ctx.on_exit(leave, f"{name}:exit/outer")
    await ctx.first(_clean_up(ctx, name, "0"), ctx.event("never"), ctx.gather(_clean_up(ctx, name, "1")))


async def _clean_up(ctx: Context, name: str, branch: str) -> None:
    await ctx.sleep(0.01)
    token = await step(ctx, f"{name}/{branch}")
    ctx.on_exit(leave, f"{name}:exit/{branch}", token)
    try:
        await ctx.event("never", timeout=0.02)
    except WaitTimeout:
        ctx.on_exit(leave, f"{name}:exit/late{branch}")
    await ctx.event("go")


@task(retry=QUICKLY, deadline="400ms")
async def work_beyond_deadline() -> None:
    await asyncio.sleep(60)


@task(retry=QUICKLY, expires="100ms")
async def expire(name: str) -> None:
    leave(name)


@task(retry=QUICKLY)
async def await_event(ctx: Context, name: str) -> Any:
    ctx.on_exit(leave, f"{name}:exit")
    leave(f"{name}:began")
    return await ctx.event("go")


@task(retry=ONCE)
async def give_up_waiting(ctx: Context, caught: bool) -> str:
    try:
        await ctx.event("go", timeout="50ms")
    except WaitTimeout as error:
        if caught:
            await ctx.sleep(0.05)  # parked: the replay must meet the timeout again
            return error.message
        raise
    return "came"


def never() -> None:
    return None


@task(retry=ONCE)
async def give_up_polling(ctx: Context) -> list[str]:
    try:
        await ctx.poll(never, every=0.02, timeout="100ms")
    except WaitTimeout as error:
        return [error.code, error.message]
    return []


class Refusal(Exception):
    """An error of the task's own, with arguments."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(code, words)
        self.code_given = code


def refuse(name: str) -> None:
    leave(f"{name}:ran")
    raise Refusal(7, "not today")


@task(retry=ONCE)
async def catch_failure(ctx: Context, name: str) -> list[Any]:
    try:
        await ctx.step(refuse, name)
    except Refusal as error:
        leave(f"{name}:caught", f"{type(error).__name__}:{error.args[0]}:{error.args[1].replace(' ', '_')}")
        caught = [type(error).__name__, *error.args]
    await ctx.sleep(0.05)
    return [*caught, await ctx.event("go")]


@task(retry=QUICKLY)
async def fail_twice(ctx: Context, name: str) -> str:
    ctx.on_exit(leave, f"{name}:exit")
    token = await step(ctx, name)
    await ctx.sleep(0.02)
    if ctx.attempt < 3:
        raise RuntimeError("again")
    return token


@task(retry=ONCE)
async def report(ctx: Context) -> None:
    ctx.progress(0.25, "a quarter")
    await ctx.event("go")
    ctx.progress(0.75, "three quarters")
    await ctx.event("go")


@task(retry=ONCE)
async def remember(ctx: Context, name: str) -> list[Any]:
    """What must be the same in every replay."""
    kept = [ctx.now().isoformat(), ctx.random(), ctx.token("t"), ctx.patched("p"), ctx.random()]
    leave(name, repr(kept).replace(" ", ""))
    await ctx.sleep(0.02)
    await ctx.event("go")
    return kept


@task(name="patch", retry=ONCE)
async def patch(ctx: Context, name: str) -> str:
    """Changed code, guarded, in a worker whose NEW is set."""
    token = await step(ctx, f"{name}/before")
    if os.environ.get("NEW") and ctx.patched("added"):
        await step(ctx, f"{name}/added")
    await ctx.event("go")
    return token


@task(retry=ONCE)
async def change(ctx: Context, name: str) -> None:
    """Other code in a worker whose NEW is set."""
    await ctx.step(acted if os.environ.get("NEW") else acted_in_thread, name)
    await ctx.event("go")


@task(name="editions", retry=ONCE, version=1)
async def first_edition(ctx: Context) -> str:
    await ctx.event("go")
    return "first"


# --- limits and misuse -------------------------------------------------------------------------


def _letters(count: int) -> str:
    return "x" * count


def _object() -> object:
    return object()


@task(retry=QUICKLY)
async def overflow(ctx: Context, what: str) -> None:
    match what:
        case "entries":
            for _ in range(1_001):
                ctx.random()
        case "bytes":
            for _ in range(5):
                await ctx.step(_letters, 60_000)
        case "entry":
            await ctx.step(_letters, 70_000)


@task(retry=QUICKLY)
async def misuse(ctx: Context, what: str) -> Any:
    match what:
        case "not json":
            await ctx.step(_object)
        case "foreign step":
            await asyncio.gather(ctx.step(never), ctx.step(never))
        case "foreign wait":
            await asyncio.create_task(ctx.sleep(1))
        case "wait_for":
            # wait_for awaits in the same asyncio task since Python 3.12, and in another before.
            await asyncio.wait_for(asyncio.ensure_future(ctx.event("go")), 5)
        case "parked beside foreign":
            task = asyncio.create_task(asyncio.sleep(60))
            try:
                await ctx.event("go")
            finally:
                task.cancel()
        case "event name":
            await ctx.event("No Name")


@task(retry=ONCE)
def plain(ctx: Context, seconds: float) -> str:
    time.sleep(seconds)
    ctx.progress(1.0)
    return "slept"


@task(retry=ONCE)
def plain_waits(ctx: Context) -> None:
    ctx.sleep(1)


# --- groups ----------------------------------------------------------------------------------


async def _hold(ctx: Context, name: str) -> None:
    try:
        await ctx.sleep(60)
    except asyncio.CancelledError:
        leave(f"{name}:cancelled")
        raise


async def _fail_soon(ctx: Context) -> None:
    await ctx.sleep(0.02)
    raise ValueError("a branch fails")


@task(retry=ONCE)
async def gather_fails(ctx: Context, name: str) -> str:
    try:
        await ctx.gather(_hold(ctx, name), _fail_soon(ctx), step(ctx, name))
    except ValueError as error:
        await ctx.event("go")
        return str(error)
    return "no failure"


@task(retry=ONCE)
async def first_wins(ctx: Context, name: str) -> list[Any]:
    winner = await ctx.first(_hold(ctx, name), step(ctx, name), ctx.event("never"))
    await ctx.event("go")
    return [winner.which, winner.value]


async def _naps(ctx: Context, seconds: list[float]) -> None:
    for each in seconds:
        await ctx.sleep(each)


async def _work_on(ctx: Context) -> None:
    await ctx.sleep(0.15)
    await ctx.step(asyncio.sleep, 1.0)


@task(retry=ONCE)
async def crowd(ctx: Context, name: str) -> None:
    """One branch works on after its wait, beside another with wait after wait."""
    leave(f"{name}:began")
    await ctx.gather(_work_on(ctx), _naps(ctx, [0.25, 0.1, 0.1]))
