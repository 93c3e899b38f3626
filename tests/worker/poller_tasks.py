"""Shared pollers, and tasks that wait for them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from program_tasks import ONCE, TOUGH, leave

from bide import Context, poller, task


def asked(poller_name: str, keys: Sequence[Any]) -> None:
    """Leave a line for a call of a poller: when, by whom, for what, in JSON without spaces."""
    call = json.dumps([time.time(), os.getpid(), list(keys)], separators=(",", ":"))
    leave(f"call:{poller_name}", call)


def _calls(poller_name: str) -> int:
    lines = Path(os.environ["EFFECTS"]).read_text().splitlines()
    return sum(line.startswith(f"call:{poller_name} ") for line in lines)


@poller(every=0.3)
def doubles(keys: list[Any]) -> dict[Any, Any]:
    """Pending in the first round, so that all who come meanwhile are asked for together."""
    asked("doubles", keys)
    if _calls("doubles") < 2:
        return {}
    return {key: ValueError(f"no double of {key}") if key == 13 else key * 2 for key in keys}


@poller(every=0.2)
async def silent(keys: list[Any]) -> dict[Any, Any]:
    asked("silent", keys)
    return {}


@poller(every=0.1, batch=2, rate="4/s")
def spaced(keys: list[Any]) -> dict[Any, Any]:
    asked("spaced", keys)
    return {key: key for key in keys}


class ClientError(Exception):
    """Shaped like botocore's."""

    def __init__(self, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPHeaders": {}}}


class HTTPError(Exception):
    """Shaped like that of requests."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__(f"{status}")
        self.response = type("Response", (), {"status_code": status, "headers": headers})()


@poller(every=0.1)
def throttled_by_aws(keys: list[Any]) -> dict[Any, Any]:
    asked("throttled_by_aws", keys)
    if _calls("throttled_by_aws") <= 3:
        raise ClientError("ThrottlingException")
    return dict.fromkeys(keys, "ok")


@poller(every=0.1)
def throttled_by_http(keys: list[Any]) -> dict[Any, Any]:
    asked("throttled_by_http", keys)
    if _calls("throttled_by_http") == 1:
        raise HTTPError(429, {"Retry-After": "1.5"})
    return dict.fromkeys(keys, "ok")


@poller(every=0.1)
def spoilt(keys: list[Any]) -> dict[Any, Any]:
    """One key spoils every call that it is part of."""
    asked("spoilt", keys)
    if "bad" in keys:
        raise KeyError("bad spoils it")
    return dict.fromkeys(keys, "good") if _calls("spoilt") > 4 else {}


@poller(every=0.2)
async def slow(keys: list[Any]) -> dict[Any, Any]:
    """The first call never ends by itself."""
    asked("slow", keys)
    if _calls("slow") == 1:
        await asyncio.sleep(60)
    return {key: f"{key} at last" for key in keys}


POLLERS = {
    each.name: each
    for each in (doubles, silent, spaced, throttled_by_aws, throttled_by_http, spoilt, slow)
}  # fmt: skip


@task(retry=ONCE)
async def poll_one(ctx: Context, name: str, poller: str, key: Any, timeout: float = 60) -> Any:
    leave(f"{name}:began")
    answer = await ctx.poll(POLLERS[poller], key, timeout=timeout)
    leave(f"{name}:answered")
    return answer


@task(retry=TOUGH)
async def poll_and_stay(ctx: Context, poller: str, key: Any) -> Any:
    """A second answer would be left over in its inbox."""
    answer = await ctx.poll(POLLERS[poller], key)
    await ctx.event("go")
    return answer


@task(retry=ONCE)
async def poll_many(ctx: Context, poller: str, keys: list[Any]) -> list[Any]:
    return await ctx.gather(*(ctx.poll(POLLERS[poller], key) for key in keys))
