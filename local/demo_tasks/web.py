"""Web pages: fetched from whatever address the submitter names."""

from __future__ import annotations

import time
from typing import Annotated, TypedDict

import requests  # here, not in a thread: botocore, loading in another, would take its filter of warnings away
from msgspec import Meta

from bide import Context, task


class Check(TypedDict):
    """What `http_check` found. Network trouble is a finding, not a failure of the task."""

    url: str
    ok: bool
    status: int | None
    elapsed_ms: float
    bytes: int
    error: str | None


@task(local_only=True, timeout="2m")
def http_check(
    ctx: Context,
    url: Annotated[str, Meta(pattern="^https?://", max_length=2000)],
    timeout: Annotated[float, Meta(gt=0, le=60)] = 5.0,
) -> Check:
    """Fetch a page: its status, how long it took, how many bytes came. `timeout` is in seconds."""
    started = time.perf_counter()
    status, received, error = None, 0, None
    try:
        with requests.get(url, timeout=timeout, stream=True) as response:
            status = response.status_code
            for chunk in response.iter_content(64 * 1024):
                received += len(chunk)
                ctx.check()
                if time.perf_counter() - started > timeout:
                    raise requests.Timeout(f"no end after {timeout:g} s")
    except requests.RequestException as problem:
        status, error = None, f"{type(problem).__name__}: {problem}"
    elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
    ok = status is not None and 200 <= status < 300
    return Check(url=url, ok=ok, status=status, elapsed_ms=elapsed_ms, bytes=received, error=error)
