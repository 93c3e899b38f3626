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


def server_json(
    accepting: bool = True, reason: str = "", retry_after: int | None = None, **changes: Any
) -> dict[str, Any]:
    """The server's state in JSON."""
    return {
        "accepting": accepting,
        "reason": reason,
        "retry_after": retry_after,
        "epoch": 3,
        "changed_at": "2026-11-23T21:00:00.000Z",
    } | changes


def listed(*ids: str, next_page_token: str | None = None, **changes: Any) -> Reply:
    """A page of a list of tasks."""
    tasks = [task_json(**{"id": id, **changes}) for id in ids]
    for task in tasks:
        del task["args"], task["result"]
    return Reply(200, {"tasks": tasks, "next_page_token": next_page_token})


def attempt_json(attempt: int = 1, outcome: str = "failed", **changes: Any) -> dict[str, Any]:
    """An attempt in JSON."""
    unlucky = outcome in ("failed", "retrying")
    return {
        "attempt": attempt,
        "worker": "w1",
        "started_at": "2026-11-23T21:00:00.000Z",
        "ended_at": None if outcome == "running" else "2026-11-23T21:00:01.500Z",
        "outcome": outcome,
        "code": "TIMEOUT" if unlucky else None,
        "message": "too slow" if unlucky else None,
    } | changes


def line_json(number: int, message: str = "hello", kind: str = "log", **changes: Any) -> dict[str, Any]:
    """A line of a log in JSON."""
    of_logging = kind == "log"
    return {
        "number": number,
        "at": "2026-11-23T21:00:00.123Z",
        "kind": kind,
        "attempt": 1,
        "level": "INFO" if of_logging else None,
        "logger": "tasks.web" if of_logging else None,
        "message": message,
        "fraction": None,
    } | changes


def log(*lines: dict[str, Any], done: bool = False, dropped: int = 0, next: int | None = None) -> Reply:
    """A page of a log."""
    last = lines[-1]["number"] if lines else 0
    said = {"lines": list(lines), "next": last if next is None else next, "dropped": dropped, "done": done}
    return Reply(200, said, {} if done else {"Retry-After": "0"})


def queue_json(name: str = "default", paused: bool = False, **tasks: int) -> dict[str, Any]:
    """A queue in JSON."""
    states = (
        "scheduled", "ready", "running", "waiting", "retrying",
        "succeeded", "failed", "cancelled", "expired",
    )  # fmt: skip
    return {
        "queue": name,
        "paused": paused,
        "tasks": dict.fromkeys(states, 0) | tasks,
        "oldest_ready_ms": 1500 if tasks.get("ready") else None,
    }


def worker_json(worker: str = "w1", tasks: int = 1, **changes: Any) -> dict[str, Any]:
    """A worker in JSON."""
    held = [
        {"id": ID, "name": "echo", "attempt": 1, "lease_ms": 9_500, "running_ms": 61_000 + number}
        for number in range(tasks)
    ]
    return {
        "worker": worker,
        "role": "working",
        "age_ms": 300_000,
        "heard_ms": 850,
        "places_free": 99,
        "tasks": held,
        "tasks_total": tasks,
    } | changes


def operation_json(state: str = "done", *, dry_run: bool = False, **changes: Any) -> dict[str, Any]:
    """An operation in JSON."""
    return {
        "id": "op1",
        "kind": "redrive",
        "queue": "mail",
        "state": state,
        "dry_run": dry_run,
        "filter": {},
        "rate": None,
        "matched": 12,
        "changed": 0 if dry_run else 12,
        "skipped": 0,
        "created_at": "2026-11-23T21:00:00.000Z",
        "finished_at": "2026-11-23T21:00:01.000Z" if state == "done" else None,
    } | changes


def operating(state: str = "done", *, dry_run: bool = False, **changes: Any) -> Reply:
    """The answer to a redrive or purge, or to the question how it is."""
    headers = {"Retry-After": "0"} if state == "running" else {}
    return Reply(202, operation_json(state, dry_run=dry_run, **changes), headers)


def series_json(queue: str = "default", name: str | None = None, **changes: Any) -> dict[str, Any]:
    """A series in JSON."""
    delays, runs = {"p50": 4, "p95": 20.5, "p99": 950}, {"p50": 100, "p95": 12_340, "p99": 61_000}
    return {
        "queue": queue,
        "name": name,
        "succeeded": 590,
        "failed": 10,
        "cancelled": 0,
        "expired": 0,
        "per_minute": 10.0,
        "start_delay_ms": delays,
        "run_ms": runs,
        "buckets": [
            {
                "at": "2026-11-23T21:00:00.000Z",
                "succeeded": 59,
                "failed": 1,
                "start_delay_ms": None,
                "run_ms": runs,
            }
        ],
    } | changes
