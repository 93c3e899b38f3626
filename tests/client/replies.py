"""Replies that a Bide server gives, in the words of its contract."""

from __future__ import annotations

from typing import Any

from .stub_server import Reply

ID = "default~06en5yt8r3k1w9q0x7m2c4v6bz"


def task_json(state: str = "ready", **changes: Any) -> dict[str, Any]:
    """A task in JSON."""
    done = state in ("succeeded", "failed", "cancelled", "expired")
    started = state in ("running", "waiting", "succeeded", "failed")
    return {
        "id": ID,
        "name": "echo",
        "queue": "default",
        "state": state,
        "done": done,
        "args": {"value": 1},
        "result": None,
        "error": None,
        "attempt": int(started),
        "max_attempts": 4,
        "submitted_at": "2026-11-23T21:00:00.123Z",
        "started_at": "2026-11-23T21:00:00.125Z" if started else None,
        "finished_at": "2026-11-23T21:00:00.130Z" if done else None,
        "run_at": None,
        "progress": None,
        "billed_ms": 0.0,
        "waited_ms": 0,
        "replays": 0,
        "polls": 0,
    } | changes


def accepted(retry_after: int = 0, **changes: Any) -> Reply:
    """The answer to a submission."""
    headers = {"Location": f"/v1/tasks/{ID}", "Retry-After": str(retry_after)}
    return Reply(202, task_json(**changes), headers)


def unfinished(retry_after: int = 0, state: str = "running", etag: str = '"1"', **changes: Any) -> Reply:
    """A poll's answer while the task goes on."""
    return Reply(200, task_json(state, **changes), {"ETag": etag, "Retry-After": str(retry_after)})


def unchanged(retry_after: int = 0) -> Reply:
    """A poll's answer when the ETag still fits."""
    return Reply(304, headers={"ETag": '"1"', "Retry-After": str(retry_after)})


def succeeded(result: Any = 1) -> Reply:
    """A poll's answer at the good end."""
    return Reply(200, task_json("succeeded", result=result), {"ETag": '"9"'})


def failed(code: str = "TIMEOUT", message: str = "too slow", **more: str) -> Reply:
    """A poll's answer at the bad end."""
    error = {"code": code, "message": message, **more}
    return Reply(200, task_json("failed", error=error), {"ETag": '"9"'})


def cancelled() -> Reply:
    """A poll's, or a cancel's, answer when the task is cancelled."""
    return Reply(200, task_json("cancelled"), {"ETag": '"9"'})


def expired() -> Reply:
    """A poll's answer when nobody started the task in time."""
    return Reply(200, task_json("expired"), {"ETag": '"9"'})


def sent(state: str = "waiting", **changes: Any) -> Reply:
    """The answer to an event."""
    return Reply(202, task_json(state, **changes), {"Retry-After": "30"})


def stats_json(**changes: Any) -> dict[str, Any]:
    """The totals in JSON."""
    return {
        "tasks": {"succeeded": 500, "failed": 10, "cancelled": 2, "expired": 1},
        "waited_ms": 57_600_000,
        "billed_ms": 41_280.317,
        "worker_ms": 52_110,
        "replays": 1530,
        "polls": 24_000,
        "poller_calls": 310,
        "worker_starts": 12,
        "cost_usd": 0.00034400333,
        "paid_usd": 0.000436650869,
        "memory_mb": 512,
        "summary": "waited 16 h, billed 41 s",
        "queues": [],
        "days": [],
    } | changes


def problem(status: int, code: str, detail: str = "no", retry_after: int | None = None, **more: Any) -> Reply:
    """A refusal."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status, {"title": code, "status": status, "detail": detail, "code": code, **more}, headers)


def server_json(accepting: bool = True, reason: str = "", retry_after: int | None = None) -> dict[str, Any]:
    """The server's state in JSON."""
    return {
        "accepting": accepting,
        "reason": reason,
        "retry_after": retry_after,
        "epoch": 3,
        "changed_at": "2026-11-23T21:00:00.000Z",
    }
